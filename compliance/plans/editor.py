"""What the editor shows: boxes with their values and what is wrong with each, and what differs from the original."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext_noop

from compliance.line_differences import line_differences
from compliance.plans.checks import TEXT, Problem
from compliance.plans.depth import Depth, reads, runnable_tests
from compliance.plans.fields import ATTRIBUTES, CHECKS, LINES, LONG, PARTS, Box, Part, attribute_boxes
from compliance.plans.merge import FORM_PREFIX, DraftSides, plain

CUT = 160
TESTS_BOX = "tests.run"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A box with its value. ``options`` are (value, chosen); ``errors`` the lines beside it.

    ``choices`` are those of the depth, where not all that the box has.
    """

    box: Box
    value: Any
    errors: tuple[str, ...]
    choices: tuple[str, ...] | None = None

    @property
    def id(self) -> str:
        """Of its input; ``e-`` before it is that of its errors."""
        return "f-" + self.box.key.replace(".", "-")

    @property
    def name(self) -> str:
        """As it is sent."""
        return FORM_PREFIX + self.box.key

    @property
    def kind(self) -> str:
        """How it is drawn: a text of several lines needs a box that keeps them."""
        several = isinstance(self.value, str) and "\n" in self.value
        return LONG if several or self.box.kind == LINES else self.box.kind

    @property
    def text(self) -> str:
        """The value as it stands in a text box."""
        return "\n".join(self.value) if isinstance(self.value, list) else str(self.value)

    @property
    def options(self) -> list[tuple[str, bool]]:
        """What there is to choose, and what else is chosen: a value that is no choice must not be lost."""
        held = self.value if isinstance(self.value, list) else [self.value] if self.value else []
        choices = self.box.choices if self.choices is None else self.choices
        more = tuple(item for item in held if item not in choices)
        empty = () if self.box.kind == CHECKS else ("",)
        return [(item, item in held or (not item and not held)) for item in (*empty, *choices, *more)]


@dataclass(frozen=True, kw_only=True)
class ShownPart:
    """A section of the form."""

    part: Part
    boxes: tuple[Shown, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One key that is not as in the original; ``None`` where it is not there."""

    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True)
class Form:
    """The whole form and the lines beside the TOML."""

    parts: tuple[ShownPart, ...]
    text_errors: tuple[str, ...]

    @property
    def boxes(self) -> tuple[Shown, ...]:
        """Every box."""
        return tuple(box for part in self.parts for box in part.boxes)


def form_of(draft: DraftSides, problems: Iterable[Problem], *, depth: Depth = Depth.WEIGHTS) -> Form:
    """The form of a draft. A line about what has no box of its own stands at its section, or beside the TOML.

    Boxes that a run at the ``depth`` does not read are left out, unless something stands in them.
    """
    values = draft.values()
    attributes = Part(
        key=ATTRIBUTES,
        title=gettext_noop("Who is compared with whom"),
        lead=gettext_noop("Each protected field, the groups it is set to, and the group the others are compared with."),
        boxes=tuple(box for number in range(draft.attributes + 1) for box in attribute_boxes(number)),
    )
    at = next(index for index, part in enumerate(PARTS) if part.key == "placebo")
    parts = tuple(_read_at(depth, part, values) for part in (*PARTS[:at], attributes, *PARTS[at:]))
    parts = tuple(part for part in parts if part.boxes)
    told = [*problems, *(Problem(key=key, line=line) for key, line in draft.refused.items())]
    placed = _placed(told, parts)
    shown = tuple(
        ShownPart(
            part=part,
            boxes=tuple(
                Shown(
                    box=box,
                    value=values.get(box.key, ""),
                    errors=tuple(placed.get(box.key, ())),
                    choices=runnable_tests(depth) if box.key == TESTS_BOX else None,
                )
                for box in part.boxes
            ),
            errors=tuple(placed.get(part.key, ())),
        )
        for part in parts
    )
    return Form(parts=shown, text_errors=tuple(placed.get(TEXT, ())))


def _read_at(depth: Depth, part: Part, values: Mapping[str, Any]) -> Part:
    """A section with the boxes that the depth reads, and those in which something stands."""
    kept = tuple(box for box in part.boxes if reads(depth, box.key) or values.get(box.key))
    return replace(part, boxes=kept)


def place_of(problem: Problem, keys: Iterable[str]) -> str:
    """The longest of ``keys`` that the problem's key is, or lies under; else the box of the whole text."""
    fits = [key for key in keys if problem.key == key or problem.key.startswith(f"{key}.")]
    return max(fits, key=len, default=TEXT)


def differences(before: str, after: str) -> list[Difference] | None:
    """The keys that differ between two TOML texts; ``None`` while one of them cannot be read."""
    first, second = plain(before), plain(after)
    if first is None or second is None:
        return None
    old, new = _flat(first), _flat(second)
    keys = [*new, *(key for key in old if key not in new)]
    return [
        Difference(key=key, before=_said(old, key), after=_said(new, key))
        for key in keys
        if old.get(key) != new.get(key) or (key in old) != (key in new)
    ]


def lines_between(before: str, after: str) -> list[str]:
    """The same line by line, comments included."""
    return line_differences(before, after, names=("original", "draft"))


def _placed(problems: Iterable[Problem], parts: Iterable[Part]) -> dict[str, list[str]]:
    keys = [key for part in parts for key in (part.key, *(box.key for box in part.boxes))]
    placed: dict[str, list[str]] = {}
    for problem in problems:
        placed.setdefault(place_of(problem, keys), []).append(problem.line)
    return placed


def _flat(raw: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in raw.items():
        here = f"{key}.{name}".removeprefix(".")
        if isinstance(value, Mapping):
            found |= _flat(value, here)
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                found |= _flat(item, f"{here}.{number}")
        else:
            found[here] = value
    return found


def _said(values: Mapping[str, Any], key: str) -> str | None:
    if key not in values:
        return None
    said = json.dumps(values[key], ensure_ascii=False, default=str)
    return said if len(said) <= CUT else f"{said[:CUT]}…"
