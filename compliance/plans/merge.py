"""A draft as two texts of one thing: TOML, and the values of a form. Either may be edited; both come out alike.

    agreed text ──▶ form values          what the page showed when both last said the same
    form changes ──▶ typed TOML          only boxes that were changed are put into the TOML, in their place
    typed TOML that no parser reads ──▶ changes wait beside it until it can be read again

Comments and the order of keys stay; a comment inside a list goes when the form changes that list.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from auditor.toml_text import parse_toml
from compliance.form_fields import one_way_lines
from compliance.plans.fields import ATTRIBUTES, CHECKS, LINES, NUMBER, Box, boxes

Values = dict[str, Any]  # by key: text, or for lists and checked boxes the items
NUMBER_TEXT = re.compile(r"[+-]?(\d{1,100})(\.\d{1,100})?([eE][+-]?\d{1,9})?")
FORM_PREFIX = "f."


@dataclass(frozen=True, kw_only=True)
class DraftSides:
    """What the two sides hold: ``text`` as typed, ``agreed`` the text the form was last filled from, ``changes`` the
    boxes that were changed since and could not be put into ``text`` yet, each with why."""

    text: str
    agreed: str
    changes: Values = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def values(self) -> Values:
        """What the form shows."""
        return {**form_values(plain(self.agreed) or {}), **self.changes}

    @property
    def attributes(self) -> int:
        """How many attributes the form shows, without the empty row after the last."""
        return attribute_count(plain(self.agreed) or {})


def plain(text: str) -> dict[str, Any] | None:
    """A TOML text as plain data, ``None`` if it is none."""
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError:
        return None


def attribute_count(raw: Mapping[str, Any]) -> int:
    """Attributes in a plan's data."""
    found = raw.get(ATTRIBUTES)
    return len(found) if isinstance(found, list) and all(isinstance(item, dict) for item in found) else 0


def form_values(raw: Mapping[str, Any]) -> Values:
    """The value of every box, one empty attribute after the last."""
    return {box.key: _shown(box, _at(raw, box.key)) for box in boxes(attribute_count(raw) + 1)}


def posted_values(post: Any, agreed: str) -> Values:
    """The boxes of a sent form; ``post`` as Django gives it."""
    found: Values = {}
    for box in boxes(attribute_count(plain(agreed) or {}) + 1):
        name = FORM_PREFIX + box.key
        if box.kind == CHECKS:
            found[box.key] = post.getlist(name)
        elif name in post:
            text = one_way_lines(post[name])
            found[box.key] = _lines(text) if box.kind == LINES else text
    return found


def merged(*, text: str, agreed: str, posted: Mapping[str, Any]) -> DraftSides:
    """Put what was changed in the form into what was typed as TOML.

    Parameters
    ----------
    text
        The TOML as typed.
    agreed
        The text from which the sent form was filled.
    posted
        Values of the form's boxes.
    """
    count = attribute_count(plain(agreed) or {})
    before = form_values(plain(agreed) or {})
    shown = {box.key: box for box in boxes(count + 1)}
    changes = {key: value for key, value in posted.items() if key in shown and _differs(shown[key], value, before[key])}
    if not changes:
        return DraftSides(text=text, agreed=text if plain(text) is not None else agreed)
    if plain(text) is None:
        return DraftSides(text=text, agreed=agreed, changes=changes)
    refused: dict[str, str] = {}
    for key, value in changes.items():
        try:
            text = _with(text, key, _meant(shown[key], value, before[key]))
        except (TOMLKitError, TypeError, KeyError, ValueError, IndexError, AttributeError):
            refused[key] = f"plan: {key}: the form cannot put this into the TOML; expected it to be written there"
    added = any(key.startswith(f"{ATTRIBUTES}.{count}.") for key in changes)
    text = _tidy_attributes(text, new=count if added else None)
    waiting = {key: changes[key] for key in refused}
    return DraftSides(text=text, agreed=text, changes=waiting, refused=refused)


def as_toml(value: Any) -> Any:
    """A value as TOML writes it: several lines between three quotes, long lists over several lines."""
    if isinstance(value, str) and "\n" in value:
        body = tomlkit.string(value, multiline=True).as_string()
        opened = '"""\n' + body[3:] if body[3:4] != "\n" else body
        written = tomlkit.parse(f"x = {opened}")["x"]
        return written if written == value else tomlkit.string(value)
    item = tomlkit.item(value)
    if isinstance(value, list) and len(str(value)) > 100:
        item.multiline(True)
    return item


def _shown(box: Box, value: Any) -> Any:
    if box.kind in (LINES, CHECKS):
        if value is None:
            return []
        return [str(item) for item in value] if isinstance(value, list) else [str(value)]
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _differs(box: Box, value: Any, before: Any) -> bool:
    """Whether somebody changed a box. What it cannot show as it stands, such as an empty line, is no change."""
    if box.kind == CHECKS:
        return set(value) != set(before)
    return bool(value != (_lines("\n".join(before)) if box.kind == LINES else before))


def _meant(box: Box, value: Any, before: Any) -> Any:
    """What a box says, ``None`` if it was emptied. What is no number is left for the engine to refuse by name."""
    if not value:
        return None
    if box.kind == CHECKS:
        # In the order in which they stood; what is new comes last.
        return [item for item in before if item in value] + [item for item in value if item not in before]
    match = NUMBER_TEXT.fullmatch(value.strip()) if box.kind == NUMBER else None
    if match is None:
        return value
    whole = match[2] is None and match[3] is None
    return int(value) if whole else float(value)


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def _at(raw: Mapping[str, Any], key: str) -> Any:
    found: Any = raw
    for part in key.split("."):
        if isinstance(found, list) and part.isdecimal():
            found = found[int(part)] if int(part) < len(found) else None
        elif isinstance(found, Mapping):
            found = found.get(part)
        else:
            return None
    return found


def _with(text: str, key: str, value: Any) -> str:
    """The text with one key set, or taken out for ``None``; ValueError unless that is all that changed."""
    document: Any = tomlkit.parse(text)
    expected: Any = copy.deepcopy(plain(text))
    for data, toml in ((expected, False), (document, True)):
        _put(data, key.split("."), value, toml=toml)
    written = tomlkit.dumps(document)
    if tomllib.loads(written) != expected:
        raise ValueError(key)
    return written


def _put(data: Any, path: list[str], value: Any, *, toml: bool) -> None:
    *sections, last = path
    here, parents = data, []
    for part in sections:
        parents.append((here, part))
        if part.isdecimal():
            if int(part) == len(here):
                here.append(tomlkit.table() if toml else {})
            here = here[int(part)]
            continue
        if part not in here:
            if value is None:
                return
            if part == ATTRIBUTES:
                here[part] = tomlkit.aot() if toml else []
            else:
                here[part] = tomlkit.table() if toml else {}
        here = here[part]
    if not hasattr(here, "keys"):
        raise TypeError(f"{path} is not a table")
    if value is not None:
        here[last] = as_toml(value) if toml else value
    elif last in here:
        del here[last]
        # A section that the form emptied is not there: an empty placebo would be a placebo.
        parent, name = parents[-1] if parents else (None, "")
        if parent is not None and not here and not name.isdecimal():
            del parent[name]


def _tidy_attributes(text: str, *, new: int | None) -> str:
    """Take out attributes that the form emptied; a line of air after the one it added."""
    document: Any = tomlkit.parse(text)
    found = document.get(ATTRIBUTES)
    if not isinstance(found, AoT):
        return text
    if new is not None and len(found) > new:
        found[new].add(tomlkit.nl())
    for number in reversed([number for number, item in enumerate(found) if not item]):
        del found[number]
    if not len(found):
        del document[ATTRIBUTES]
    return tomlkit.dumps(document)
