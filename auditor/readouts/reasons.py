"""Reading reasons: codes of a list, each known, or text as it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditor.readouts.reading import NotRead, ReadAnswer, read_strictly
from auditor.readouts.strict_json import one_object
from auditor.systems.asking import Response


@dataclass(frozen=True, kw_only=True)
class ReasonGrammar:
    """What readable reasons look like.

    Attributes
    ----------
    codes
        Code and what it means; empty for reasons in words.
    key
        Where they stand in a JSON object: a list, or one text. Empty: the text is them, separated by comma, semicolon
        or line.
    none
        The text that says there is no reason, where the text is them; empty: nothing says so.
    most
        How many there may be.
    """

    codes: Mapping[str, str]
    key: str = ""
    none: str = ""
    most: int = 20


def read_reasons(response: Response, grammar: ReasonGrammar, *, tool: bool = False) -> ReadAnswer[tuple[str, ...]]:
    """Reasons in the order given, each once. No reason at all is a value: an empty list in a JSON object.

    A code nobody knows makes the answer unreadable: leaving it out would make two answers alike that are not.
    """
    return read_strictly(response, lambda text: _reasons(text, grammar), tool=tool, answers=tuple(grammar.codes))


def _reasons(text: str, grammar: ReasonGrammar) -> tuple[str, ...]:
    if not grammar.key:
        if grammar.none and text.strip().removesuffix(".").casefold() == grammar.none.strip().casefold():
            return ()
        return _known(re.split(r"[,;\n]", text) if grammar.codes else [text], grammar)
    value: Any = one_object(text).get(grammar.key)
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise NotRead(f"{grammar.key!r} is missing or no list of texts")
    return _known(parts, grammar)


def _known(parts: list[str], grammar: ReasonGrammar) -> tuple[str, ...]:
    given = [part.strip() for part in parts]
    if "" in given:
        raise NotRead("a reason is empty")
    if grammar.codes:
        folded = {code.casefold(): code for code in grammar.codes}
        unknown = [part for part in given if part.casefold() not in folded]
        if unknown:
            raise NotRead(f"a reason is not in the list of codes: {unknown[0][:40]!r}")
        given = [folded[part.casefold()] for part in given]
    once = tuple(dict.fromkeys(given))
    if len(once) > grammar.most:
        raise NotRead(f"{len(once)} reasons; at most {grammar.most} were asked for")
    return once
