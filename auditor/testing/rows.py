"""What chunks of a test are given and give, as types: read once where it comes in, written once where it goes out.

    plan_chunks ─▶ Payload ─▶ bytes in the ledger ─▶ Payload ─▶ compute ─▶ Result ─▶ bytes ─▶ Result ─▶ measure

A ledger keeps bytes of canonical JSON, in which a number has one spelling: 1.0 comes back as 1. Reading it as its type
makes it what it was, and refuses a row that is of another version: as strictly as a record that is hashed, so that no
text passes for a number. What a method builds in the same process may hold lists and numpy's numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from auditor.exceptions import RunError


class Row(BaseModel):
    """A frozen row with named, typed values; what it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def row(self) -> dict[str, Any]:
        """Plain JSON data."""
        return self.model_dump(mode="json")

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """The row that plain JSON data holds; see :func:`read_row`."""
        found: Self = read_row(cls, row, what=cls.__name__)
        return found


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_row(kind: Any, row: Any, *, what: str) -> Any:
    """The typed row that plain JSON data holds.

    Parameters
    ----------
    kind
        A :class:`Row`, or a union of several that a literal tells apart.
    row
        Plain JSON data, or the typed row itself.
    what
        What is read, for errors.

    Raises
    ------
    RunError
        For data of another form, naming the first value that does not fit.
    """
    try:
        if isinstance(row, Row):
            return _adapter(kind).validate_python(row)
        # As JSON: lists stand for tuples there, and strict Python mode would refuse them.
        return _adapter(kind).validate_json(json.dumps(row), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise RunError(f"{what}: {place}: {first['msg']}; expected what this version of the engine writes") from error
