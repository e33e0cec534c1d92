"""The records of a bundle against the types that a run writes: a value of another kind is named by its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from auditor.records import Check, Finding, Measurement
from reports.differences import Mismatch, short

ROWS = {"measurements.json": Measurement, "findings.json": Finding}
STRICT = ConfigDict(strict=True, extra="forbid")
WRITTEN = "a row as a run writes it"
UNIONS = (["float"], ["int"])
"""What the reader of types appends to the place of a value that may be either."""


def wrong_rows(name: str, file: str, value: Any) -> Iterator[Mismatch]:
    """The first value in the rows of a record that is none of its type, is missing, or belongs to no row.

    Parameters
    ----------
    name
        The bundle's name, for lines.
    file
        One of `ROWS`; others have no rows.
    value
        What was parsed of it.
    """
    if file not in ROWS:
        return
    if not isinstance(value, list):
        yield Mismatch(name, file, "no list", "a list of rows")
        return
    try:
        # As JSON: a row holds lists and words where its type has tuples and constants.
        _rows(ROWS[file]).validate_json(json.dumps(value))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        number, *keys = problem["loc"]
        keys = keys[:-1] if keys[-1:] in UNIONS and len(keys) > 1 else keys
        row = value[int(number)]
        which = row.get("id") if isinstance(row, Mapping) else None
        place = f"row {int(number) + 1}" + (f" ({short(which)})" if isinstance(which, str) else "")
        where = ": ".join([file, place, *([short(".".join(map(str, keys)))] if keys else [])])
        yield Mismatch(name, where, _words(problem), f"{WRITTEN} ({_lower(problem['msg'])})")


def unread_key(record: BaseModel, path: str = "") -> str | None:
    """The path of the first key of a record that its type does not know, and that nobody reads; ``None`` if none."""
    for key in sorted(record.model_extra or {}):
        return f"{path}{key}"
    for key in type(record).model_fields:
        if found := _unread(getattr(record, key), f"{path}{key}"):
            return found
    return None


def _unread(value: Any, path: str) -> str | None:
    if isinstance(value, BaseModel):
        return unread_key(value, f"{path}.")
    if isinstance(value, Mapping):
        held: Sequence[tuple[str, Any]] = [(f"{path}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        held = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return None
    return next((found for place, item in held if (found := _unread(item, place))), None)


@lru_cache
def _rows(kind: type) -> TypeAdapter[Any]:
    model: Any = _strict(kind)
    return TypeAdapter(list[model])


def _strict(kind: type) -> type[BaseModel]:
    """A row's dataclass as a model that takes its types to the letter, and no key beside them."""
    types, values = get_type_hints(kind), {}
    for each in fields(kind):
        own = tuple[_strict(Check), ...] if each.name == "checks" else types[each.name]  # type: ignore[misc]
        needed = each.default is MISSING and each.default_factory is MISSING
        values[each.name] = (own, ... if needed else None)
    made: type[BaseModel] = create_model(kind.__name__, __config__=STRICT, **values)  # type: ignore[call-overload]
    return made


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _words(problem: Any) -> str:
    if problem["type"] == "missing":
        return "nothing"
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"a key that no row has ({short(problem['input'])})"
    return f"{short(problem['input'])}"
