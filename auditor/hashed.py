"""Records whose bytes are hashed: typed like a plan, and written again byte for byte as they were read.

A record keeps apart what it was given and what it says where nothing was given. Only the first is ever written or
hashed: a record from before there was some key keeps its hash, and a key of a later version is kept though no attribute
reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from auditor.canonical import canonical_json, sha256_bytes
from auditor.exceptions import InputError


class Hashed(BaseModel):
    """Base of every record: frozen, strict about types. A key that it does not know is kept and read by nobody."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, populate_by_name=True)

    @classmethod
    def read(cls, raw: Mapping[str, Any] | bytes | str, *, where: str) -> Self:
        """Read a record.

        Parameters
        ----------
        raw
            JSON, or what was parsed from it.
        where
            What errors call it.

        Raises
        ------
        InputError
            If it is no such record: with the first key at fault and what was expected of it.
        """
        try:
            # As JSON: lists stand for tuples there, and strict Python mode would refuse them.
            return cls.model_validate_json(raw if isinstance(raw, bytes | str) else json.dumps(raw))
        except ValidationError as error:
            raise _refusal(error, where) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(where, "is not plain JSON data", "a record as a run writes it") from error

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some values changed, and nothing that was worked out from the old ones (`cached_property`)."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    def given(self) -> dict[str, Any]:
        """What was given as plain data, keys in the order of the type, nothing that is only a default."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def to_bytes(self) -> bytes:
        """Its canonical JSON (RFC 8785), of what was given."""
        return canonical_json(self.given())

    def digest(self) -> str:
        """SHA-256 of its canonical JSON."""
        return sha256_bytes(self.to_bytes())

    def plain(self) -> dict[str, Any]:
        """What was given as plain data, keys and numbers as canonical JSON has them."""
        return dict(json.loads(self.to_bytes()))


def _refusal(error: ValidationError, where: str) -> InputError:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    place = f"{where}: {key}" if key else where
    if problem["type"] == "json_invalid" and "hex escape" in problem["ctx"]["error"]:
        # Half a pair of surrogates: JSON can write it, and no file can hold it.
        return InputError(where, "text that is not Unicode (half a pair of surrogates)", "a record as a run writes it")
    if problem["type"] == "json_invalid":
        return InputError(where, f"is not valid JSON ({problem['ctx']['error']})", "a record as a run writes it")
    text = str(problem["msg"])
    said = text[:1].lower() + text[1:]
    if problem["type"] == "missing" or isinstance(problem["input"], Mapping | list):
        return InputError(place, said, "a record as a run writes it")
    return InputError(place, f"{problem['input']!r:.80}: {said}", "a record as a run writes it")
