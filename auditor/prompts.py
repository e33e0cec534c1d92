"""Prompts with spans: a template with named fields rendered for one application, and where every value stands.

Two kinds of placeholder: ``{field}`` for a field's words, and ``{fields}`` for all listed fields in one of four
serialisation styles. ``{{`` and ``}}`` stand for braces. Character spans are exact by construction: the text is built
from pieces, so a span is where its piece was put. Token spans follow from the tokenizer's offsets over the whole
prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.exceptions import PlanError

STYLES = ("lines", "table", "json", "prose")
ALL_FIELDS = "fields"
_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a field's words go; ``quoted`` ones stand between the quotes of a JSON string and are escaped for it."""

    name: str
    quoted: bool = False

    def fill(self, words: str) -> str:
        """The words as they stand in the text."""
        return json.dumps(words, ensure_ascii=False)[1:-1] if self.quoted else words


@dataclass(frozen=True)
class Template:
    """A parsed template: literal strings and slots in turn."""

    pieces: tuple[str | Slot, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The fields the template names, in order of first use."""
        return tuple(dict.fromkeys(piece.name for piece in self.pieces if isinstance(piece, Slot)))


@dataclass(frozen=True)
class Rendered:
    """A prompt and the half-open character span of every field's value in it, as written there (the first use, if
    used twice)."""

    text: str
    spans: dict[str, tuple[int, int]]


def parse_template(text: str, *, fields: Sequence[str], labels: Mapping[str, str], style: str, where: str) -> Template:
    """Parse a template and expand ``{fields}``.

    Parameters
    ----------
    text
        The template.
    fields
        Names that ``{fields}`` expands to, in order.
    labels
        Label by field name; a placeholder must be one of these names.
    style
        Serialisation of ``{fields}``: ``lines``, ``table``, ``json`` or ``prose``.
    where
        Plan file and key, for errors.

    Raises
    ------
    PlanError
        For an unknown field, a stray brace, an unknown style, ``{fields}`` without fields, or a template that names no
        field at all.
    """
    if style not in STYLES:
        raise PlanError(f"{where}.style", f"{style!r} is unknown", f"one of: {', '.join(STYLES)}")
    pieces: list[str | Slot] = []
    position = 0
    for match in _PIECE.finditer(text):
        pieces.append(text[position : match.start()])
        position = match.end()
        token = match.group(0)
        name = match.group(1)
        if name == ALL_FIELDS:
            if not fields:
                raise PlanError(where, "{fields} stands in the template, but no fields are listed", "prompt.fields")
            pieces.extend(_serialise(fields, labels, style))
        elif name is not None:
            pieces.append(Slot(name))
        elif token in ("{{", "}}"):
            pieces.append(token[0])
        else:
            raise PlanError(where, f"stray {token!r} at character {match.start()}", "{field}, or {{ and }} for braces")
    pieces.append(text[position:])
    template = Template(pieces=tuple(_joined(pieces)))
    for name in template.names:
        if name not in labels:
            raise PlanError(where, f"the template names an unknown field {name!r}", f"one of: {', '.join(labels)}")
    if not template.names:
        raise PlanError(where, "the template names no field", "at least one {field} or {fields}")
    return template


def render(template: Template, words: Mapping[str, str]) -> Rendered:
    """Put the words of one application into the template.

    Parameters
    ----------
    template
        A parsed template.
    words
        The words of every field the template names.

    Returns
    -------
    Rendered
        The text and character spans.
    """
    parts: list[str] = []
    spans: dict[str, tuple[int, int]] = {}
    length = 0
    for piece in template.pieces:
        part = piece if isinstance(piece, str) else piece.fill(words[piece.name])
        if isinstance(piece, Slot):
            spans.setdefault(piece.name, (length, length + len(part)))
        parts.append(part)
        length += len(part)
    return Rendered(text="".join(parts), spans=spans)


def token_span(offsets: Sequence[tuple[int, int]], span: tuple[int, int]) -> tuple[int, int]:
    """The half-open range of tokens that carry any character of ``span``.

    A token that also carries neighbouring characters (a merge across the border) counts: leaving it out would lose part
    of the value. Tokens of no width (special tokens) never count.

    Parameters
    ----------
    offsets
        Character range of every token of the whole prompt, as a fast tokenizer gives them.
    span
        Character range of the value.

    Returns
    -------
    tuple of int
        First token and one past the last; equal numbers for an empty value.
    """
    start, stop = span
    touched = [index for index, (first, last) in enumerate(offsets) if first < last and first < stop and last > start]
    if not touched:
        return (0, 0)
    return (touched[0], touched[-1] + 1)


def _serialise(fields: Sequence[str], labels: Mapping[str, str], style: str) -> list[str | Slot]:
    pieces: list[str | Slot] = []
    if style == "table":
        pieces.append("| Field | Value |\n| --- | --- |\n")
    for index, name in enumerate(fields):
        last = index == len(fields) - 1
        label = labels.get(name, name)
        if style == "lines":
            pieces += [f"{label}: ", Slot(name), "" if last else "\n"]
        elif style == "table":
            pieces += [f"| {label} | ", Slot(name), " |" if last else " |\n"]
        elif style == "json":
            opening = "{" if index == 0 else " "
            pieces += [
                f'{opening}{json.dumps(label, ensure_ascii=False)}: "',
                Slot(name, quoted=True),
                '"}' if last else '",\n',
            ]
        else:
            pieces += ["The " if index == 0 else " The ", f"{label[:1].lower()}{label[1:]} is ", Slot(name), "."]
    return pieces


def _joined(pieces: Sequence[str | Slot]) -> list[str | Slot]:
    joined: list[str | Slot] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece:
            joined.append(piece)
    return joined
