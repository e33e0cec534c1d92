"""One JSON object and nothing else: no second value of a key, nothing before or behind, nothing that is no JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from auditor.readouts.reading import NotRead

_FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)


def one_object(text: str) -> dict[str, Any]:
    """The object a text consists of; one code fence around it is allowed.

    Raises
    ------
    NotRead
        Saying why it is none.
    """
    bare = text.strip()
    fence = _FENCE.fullmatch(bare)
    try:
        value = json.loads(fence.group(1) if fence else bare, object_pairs_hook=_once, parse_constant=_no_constant)
    except NotRead:
        raise
    except (ValueError, RecursionError):
        raise NotRead("the answer is not one JSON object") from None
    if not isinstance(value, dict):
        raise NotRead("the answer is JSON, but not an object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotRead("a key stands twice in the answer")
    return found


def _no_constant(text: str) -> None:
    raise NotRead(f"{text} is not JSON")
