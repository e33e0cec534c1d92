"""Putting an application's fields into the body and the path of a request.

``{name}`` in a text stands for a field. A text that is nothing but ``{name}`` takes the value as it is: a number stays
one. ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

Value = str | int | float | bool | None

_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.-]*)\}|[{}]")


def names(template: Any) -> Iterator[str]:
    """The fields a template asks for.

    Raises
    ------
    ValueError
        If a text in it has a brace that is neither a field nor doubled.
    """
    if isinstance(template, str):
        for found in _FIELD.finditer(template):
            if found.group(1):
                yield found.group(1)
            elif found.group() not in ("{{", "}}"):
                raise ValueError(f"expected {{name}} or a doubled brace in {template!r}")
    elif isinstance(template, Mapping):
        for part in template.values():
            yield from names(part)
    elif isinstance(template, list | tuple):
        for part in template:
            yield from names(part)


def fill(template: Any, values: Mapping[str, Value]) -> Any:
    """A body with its fields in it; plain data of the template's shape."""
    if isinstance(template, str):
        whole = re.fullmatch(r"\{([A-Za-z_][\w.-]*)\}", template)
        return values[whole.group(1)] if whole else _put(template, values, lambda text: text)
    if isinstance(template, Mapping):
        return {key: fill(part, values) for key, part in template.items()}
    if isinstance(template, list | tuple):
        return [fill(part, values) for part in template]
    return template


def fill_path(template: str, values: Mapping[str, Value]) -> str:
    """A path with its fields in it, each quoted whole: a value adds no step, query or host.

    Raises
    ------
    ValueError
        If a value is ``.`` or ``..``, which would take a step away.
    """
    filled = _put(template, values, lambda text: quote(text, safe=""))
    if {".", ".."} & set(filled.split("/")):
        raise ValueError(f"{filled!r} is not a path to one place")
    return filled


def _put(template: str, values: Mapping[str, Value], written: Callable[[str], str]) -> str:
    def one(found: re.Match[str]) -> str:
        if found.group(1) is None:
            return found.group()[0]
        value = values[found.group(1)]
        if value is None:
            return ""
        return written(str(value).lower() if isinstance(value, bool) else str(value))

    return _FIELD.sub(one, template)
