"""Reading JSON that a stranger wrote: every value by its kind, every fault with its place."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from auditor.systems.exceptions import WireError

Kind = TypeVar("Kind")
#: Tokens. A stranger counts them, and money is counted by them.
MOST_COUNTED = 1 << 32
_NAMES = {dict: "an object", list: "a list", str: "a string", int: "a whole number", float: "a number"}


class Twice:
    """What stands under a name that an object has twice, with different values: nobody knows which is meant."""


_LONGEST_NAME = 200


def read_json(body: bytes) -> dict[str, Any]:
    """An answer as an object. ``NaN`` and infinities, which are no JSON, are read as such: what needs a number says so.
    Where a name stands twice with different values, what needs it says so: ``Twice`` is of no kind.

    Raises
    ------
    WireError
        If it is no UTF-8, no JSON, nested beyond reading, or not an object.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_pairs)
    except UnicodeDecodeError:
        raise WireError("the answer is not valid UTF-8") from None
    except RecursionError:
        raise WireError("the answer is nested too deeply to be read") from None
    except ValueError as error:
        raise WireError(f"the answer is not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise WireError("the answer is JSON, but not an object")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        for name, value in pairs:
            if value != found[name]:
                found[name] = Twice()
    return found


def twice(value: Any) -> str:
    """The place in an answer at which a name stands twice with different values; empty where none does."""
    left: list[tuple[tuple[str | int, ...], Any]] = [((), value)]  # no recursion: a stranger says how deep it goes
    while left:
        path, found = left.pop()
        if isinstance(found, Twice):
            return place(path)
        parts = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
        left += [((*path, name), part) for name, part in parts if isinstance(part, dict | list | Twice)]
    return ""


def place(path: tuple[str | int, ...]) -> str:
    """A path as people write it.

    >>> place(("choices", 0, "message"))
    'choices[0].message'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the answer"


def maybe(value: Any, *path: str | int, kind: type[Kind]) -> Kind | None:
    """The value at a path, or ``None`` where the path ends early or holds ``null``.

    Raises
    ------
    WireError
        If something of another kind stands there.
    """
    for index, part in enumerate(path):
        if value is None:
            return None
        if isinstance(part, int):
            if not isinstance(value, list):
                raise WireError(f"{place(path[:index])} is not a list")
            value = value[part] if part < len(value) else None
        else:
            if not isinstance(value, dict):
                raise WireError(f"{place(path[:index])} is not an object")
            value = value.get(part)
    if value is None:
        return None
    if isinstance(value, Twice):
        raise WireError(f"{place(path)} stands twice in the answer, with different values")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 53 else float("inf")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise WireError(f"{place(path)} is not {_NAMES.get(kind, kind.__name__)}")
    if isinstance(value, str) and not value.isascii():
        # Half a pair of surrogates, where a server cut a text between them, is no text: nothing could be written of it.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # type: ignore[return-value]
    return value


def take(value: Any, *path: str | int, kind: type[Kind]) -> Kind:
    """The value at a path.

    Raises
    ------
    WireError
        If it is missing or of another kind.
    """
    found = maybe(value, *path, kind=kind)
    if found is None:
        raise WireError(f"{place(path)} is missing")
    return found


def said(value: Any, *path: str | int) -> str:
    """The text at a path; empty where there is none."""
    return maybe(value, *path, kind=str) or ""


def name_at(value: Any, *path: str | int) -> str:
    """The name at a path in one line, cut where it is long: what a stranger calls itself is kept and shown."""
    text = said(value, *path)
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in text[:_LONGEST_NAME])


def objects(value: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects of the list at a path; none where there is no list.

    Raises
    ------
    WireError
        If something in it is no object.
    """
    found = maybe(value, *path, kind=list) or []
    for index, item in enumerate(found):
        if not isinstance(item, dict):
            raise WireError(f"{place((*path, index))} is not an object")
    return found


def count(value: Any, *path: str | int) -> int | None:
    """The count at a path; ``None`` where there is none, it is below zero, or no answer could be so long.

    What is no count at all is none either: an answer is not lost for what is said beside it.
    """
    try:
        found = maybe(value, *path, kind=int)
    except WireError:
        return None
    return None if found is None or not 0 <= found <= MOST_COUNTED else found
