"""A mapping's two sides put together: the TOML as it was typed, and the boxes of the table that somebody changed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.mapping_files import as_toml
from auditor.mappings import Field
from auditor.toml_text import parse_toml
from compliance.registry.column_facts import ColumnFacts
from compliance.registry.mapping_rows import Values, places, values_of, with_changes

HEAD = ("name", "title", "citation", "population")
UNREADABLE = gettext_noop(
    "mapping: the TOML cannot be read, so what was changed in the table waits; expected the TOML to be mended"
)
OF_A_FIELD = re.compile(r"fields\[([0-9]+)\]")


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Both sides: the TOML, the text from which the table was filled, and boxes that could not be written yet."""

    text: str
    agreed: str
    waiting: Mapping[int, Values] = field(default_factory=dict)
    refused: str = ""


def plain_of(text: str) -> dict[str, Any] | None:
    """A text as plain data; ``None`` if it is no TOML."""
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError:
        return None


def merged(*, text: str, agreed: str, posted: Mapping[int, Values], facts: Sequence[ColumnFacts]) -> Sides:
    """Put what was changed in the table into what was typed as TOML.

    Parameters
    ----------
    text
        The TOML as typed.
    agreed
        The text from which the sent table was filled.
    posted
        Boxes by the place of their column in ``facts``; columns that were not on the page are not there.
    """
    before = plain_of(agreed) or {}
    names = [each.name for each in facts]
    stood = places(before, names)
    changes: dict[int, Values] = {}
    for at, values in posted.items():
        if at < len(facts):
            shown = values_of(before, stood[at], facts[at])
            changed = {key: value for key, value in values.items() if key in shown and value != shown[key]}
            changes |= {at: changed} if changed else {}
    raw = plain_of(text)
    if not changes:
        return Sides(text=text, agreed=text if raw is not None else agreed)
    if raw is None or not _has_fields(raw):
        return Sides(text=text, agreed=agreed, waiting=changes, refused=_(UNREADABLE))
    told = comments_of(text)
    for at, changed in changes.items():
        before_it = [str(item.get("name")) for item in raw.get("fields", ())]
        raw = with_changes(raw, places(raw, names)[at], facts[at], changed)
        told = _moved(told, before_it, [str(item.get("name")) for item in raw.get("fields", ())])
    written = text_of(raw, told)
    return Sides(text=written, agreed=written)


def row_of(error: str, raw: Mapping[str, Any], facts: Sequence[ColumnFacts]) -> int | None:
    """The place of the column that a line about a mapping is of; ``None`` where it is about none of them."""
    found = OF_A_FIELD.search(error)
    if found is None:
        return None
    rows = places(raw, [each.name for each in facts])
    return next((at for at, place in enumerate(rows) if place.at == int(found[1])), None)


def text_of(raw: Mapping[str, Any], comments: Mapping[int, Sequence[str]] | None = None) -> str:
    """A mapping's plain data as TOML, right or wrong, that reads back as the same data.

    ``comments`` stand above the field of that place, those under -1 above all.
    """
    comments = comments or {}
    rest = [key for key in raw if key not in (*HEAD, "reading", "fields", "decisions", "excluded")]
    lines = [f"{as_toml_key(key)} = {as_toml(raw[key])}" for key in (*HEAD, *rest) if key in raw]
    lines += ["", *comments[-1]] if comments.get(-1) else []
    if "reading" in raw:
        lines += ["", *_table("reading", raw["reading"])]
    for at, item in enumerate(raw.get("fields", ())):
        known = [part.name for part in dataclass_fields(Field) if part.name in item]
        lines += ["", *comments.get(at, ()), "[[fields]]"]
        lines += [
            f"{as_toml_key(key)} = {as_toml(item[key])}" for key in (*known, *(k for k in item if k not in known))
        ]
    if "decisions" in raw:
        lines += ["", *_table("decisions", raw["decisions"])]
    if "excluded" in raw:
        lines += ["", *_table("excluded", raw["excluded"])]
    return "\n".join(lines).lstrip("\n") + "\n"


def as_toml_key(key: str) -> str:
    """A key as TOML writes it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else as_toml(key)


def comments_of(text: str) -> dict[int, list[str]]:
    """The comments that stand right above each field, by its place; those above all under -1."""
    found: dict[int, list[str]] = {}
    held: list[str] = []
    at = -1
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("#"):
            held.append(bare)
        elif bare == "[[fields]]":
            at += 1
            found[at], held = held, []
        elif bare.startswith("[") or bare:
            if at == -1 and held:
                found.setdefault(-1, []).extend(held)
            held = []
    return {key: lines for key, lines in found.items() if lines}


def _moved(told: Mapping[int, list[str]], before: Sequence[str], after: Sequence[str]) -> dict[int, list[str]]:
    """The comments where their fields stand now: one may be gone, another called otherwise in its place."""
    if len(before) <= len(after):
        return dict(told)
    gone = next((at for at, name in enumerate(before) if at >= len(after) or after[at] != name), len(before))
    return {at if at < gone else at - 1: lines for at, lines in told.items() if at != gone}


def _table(name: str, value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{name} = {as_toml(value)}"]
    return [f"[{name}]", *(f"{as_toml_key(key)} = {as_toml(each)}" for key, each in value.items())]


def _has_fields(raw: Mapping[str, Any]) -> bool:
    found = raw.get("fields")
    return (
        isinstance(found, list)
        and all(isinstance(item, Mapping) for item in found)
        and isinstance(raw.get("excluded", {}), Mapping)
    )
