"""Reading a choice: a label alone, or a label in a JSON object that follows its schema. Nothing is searched for.

A text is a decision only if the whole of it is one label. So a text with both answers, a negation, quoted options or a
reasoning around the answer is unreadable, and never the answer that happens to stand in it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from auditor.readouts.reading import NotRead, ReadAnswer, read_strictly
from auditor.readouts.strict_json import one_object
from auditor.systems.asking import AnswerForm, Response


class Choice(StrEnum):
    """Which way a decision went."""

    FAVOURABLE = "favourable"
    ADVERSE = "adverse"


@dataclass(frozen=True, kw_only=True)
class ChoiceGrammar:
    """What a readable choice looks like.

    Attributes
    ----------
    favourable, adverse
        The labels. Case and white space around them do not count, nor does one full stop at the end of a text.
    form
        ``labels``: the text is a label. ``json_schema`` and ``tool``: an object whose ``key`` holds a label.
    key
        Where the label stands.
    beside
        Other keys the object may hold, with their JSON schemas: an amount, reasons.
    """

    favourable: tuple[str, ...]
    adverse: tuple[str, ...]
    form: Literal["labels", "json_schema", "tool"] = "labels"
    key: str = "decision"
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        folded = [fold(label) for label in self.labels]
        if not self.favourable or not self.adverse:
            raise ValueError("expected labels for both ways a decision can go")
        if "" in folded or len(set(folded)) != len(folded):
            raise ValueError("expected labels that differ in more than case and white space, none of them empty")
        if self.key in self.beside:
            raise ValueError(f"{self.key!r} cannot stand beside itself")

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, favourable first."""
        return self.favourable + self.adverse

    def answer_form(self, name: str = "decision") -> AnswerForm | None:
        """What the system is told about the form; ``None`` for labels, which the prompt has to tell."""
        if self.form == "labels":
            return None
        properties = {self.key: {"type": "string", "enum": list(self.labels)}, **self.beside}
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        return AnswerForm(kind=self.form, name=name, schema=schema)


def read_choice(response: Response, grammar: ChoiceGrammar) -> ReadAnswer[Choice]:
    """The decision of an answer, or that it is refused or unreadable."""
    parse = _label if grammar.form == "labels" else _in_object
    return read_strictly(
        response, lambda text: parse(text, grammar), tool=grammar.form == "tool", answers=grammar.labels
    )


def _label(text: str, grammar: ChoiceGrammar) -> Choice:
    choice = _known(text, grammar) or _known(text.strip().removesuffix("."), grammar)
    if choice is None:
        raise NotRead("the answer is not one of the labels")
    return choice


def _in_object(text: str, grammar: ChoiceGrammar) -> Choice:
    found = one_object(text)
    unknown = sorted(found.keys() - grammar.beside.keys() - {grammar.key})
    if unknown:
        raise NotRead(f"the answer has a key nobody asked for: {unknown[0]!r}")
    value = found.get(grammar.key)
    choice = _known(value, grammar) if isinstance(value, str) else None
    if choice is None:
        raise NotRead(f"{grammar.key!r} holds no label")
    return choice


def _known(text: str, grammar: ChoiceGrammar) -> Choice | None:
    folded = fold(text)
    if folded in map(fold, grammar.favourable):
        return Choice.FAVOURABLE
    if folded in map(fold, grammar.adverse):
        return Choice.ADVERSE
    return None


def fold(text: str) -> str:
    """A text as labels are compared: without case, and with any white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()
