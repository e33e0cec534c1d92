"""A mapping as a table, one row a column: what its boxes hold, and the TOML that a changed box makes of it.

Two sides of one thing, as a plan has them: the TOML is kept, the table is read from it, and of a sent table only the
boxes that somebody changed are written into it. What has no box (a ratio, indicator columns, a scale) stays as it is.
Nothing is checked here: what is wrong is written down as it was typed, and the engine's line says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.column_meanings import label_of
from auditor.column_words import plain
from auditor.decision_columns import ONE as SINGLE_PARTS
from auditor.decision_columns import SEVERAL as LIST_PARTS
from auditor.mappings import FLAG_WORDS, code_of, nfc
from compliance.registry.column_facts import ColumnFacts

LEFT_OUT = ""
#: How digits are parted and decimals marked, as a box names it: decimal mark, mark between thousands.
MARKS: Mapping[str, tuple[str, str]] = {
    "": (".", ""),
    "1,234.5": (".", ","),
    "1 234.5": (".", " "),
    "1'234.5": (".", "'"),
    "1234,5": (",", ""),
    "1.234,5": (",", "."),
    "1 234,5": (",", " "),
    "1'234,5": (",", "'"),
}
FAVOURABLE, ADVERSE = "favourable", "adverse"
#: Parts of a decision that a column alone can play; what is held equal and compared within are ticks beside them.
PARTS = (*SINGLE_PARTS, *(part for part in LIST_PARTS if part not in ("controls", "segments")))
TICKS = ("controls", "segments")
TEXTS = ("type", "label", "name", "unit", "missing_words")
FORM_TEXTS = ("before", "after", "minus")
ROLE_KEYS = {"outcome": (FAVOURABLE, ADVERSE), "id": ("repeats", "empty")}
BY_HAND = "left out by hand"
NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")

Values = dict[str, str]
Raw = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a column stands in a mapping: its own field, by its place there, and the fields that several make."""

    column: str
    at: int | None = None
    shared: tuple[str, ...] = ()


def places(raw: Mapping[str, Any], columns: Iterable[str]) -> list[Place]:
    """Where each column stands in a mapping that may be wrong; tolerant of whatever it holds."""
    own: dict[str, int] = {}
    shared: dict[str, list[str]] = {}
    for at, item in enumerate(_fields(raw)):
        column = item.get("column")
        if isinstance(column, str):
            if nfc(column) in own:
                shared.setdefault(nfc(column), []).append(str(item.get("name", "")))
            own.setdefault(nfc(column), at)
        several = item.get("ratio") or item.get("one_of")
        for each in several if isinstance(several, (list, tuple, dict)) else ():
            shared.setdefault(nfc(str(each)), []).append(str(item.get("name", "")))
    return [
        Place(column=column, at=own.get(nfc(column)), shared=tuple(shared.get(nfc(column), ()))) for column in columns
    ]


def codes_in(item: Mapping[str, Any], facts: ColumnFacts) -> list[str]:
    """The codes a row has boxes for: those seen in the file, then those that only the mapping names."""
    seen = [code_of(code) for code, _ in facts.codes]
    named = [code_of(code) for code in _table(item.get("words"))]
    return list(dict.fromkeys([*seen, *named]))


def values_of(raw: Mapping[str, Any], place: Place, facts: ColumnFacts) -> Values:
    """What the boxes of a column's row hold."""
    item = _fields(raw)[place.at] if place.at is not None else {}
    found: Values = {"role": str(item.get("role", LEFT_OUT))}
    found |= {key: _said(item.get(key)) for key in TEXTS}
    found["type"] = found["type"] or facts.kind
    found["decimals"] = _said(item.get("decimals"))
    found["missing"] = "\n".join(_said(code) for code in _listed(item.get("missing")))
    found |= {key: _said(item.get(key)) for key in ("repeats", "empty")}
    form = _table(item.get("form"))
    pair = (str(form.get("decimal", ".")), str(form.get("thousands", "")))
    found["marks"] = next((name for name, marks in MARKS.items() if marks == pair), "".join(pair))
    found |= {key: _said(form.get(key)) for key in FORM_TEXTS}
    found["times"] = _said(form.get("times"))
    words = {code_of(code): _said(said) for code, said in _table(item.get("words")).items()}
    sides = sides_of_codes(item, codes_in(item, facts))
    for code in codes_in(item, facts):
        found[f"words:{code}"] = words.get(code, "")
        found[f"side:{code}"] = sides.get(code, "")
    decisions, name = _table(raw.get("decisions")), item.get("name")
    found["part"] = next((part for part in PARTS if name is not None and _plays(decisions, part, name)), "")
    found |= {tick: "on" if name is not None and _plays(decisions, tick, name) else "" for tick in TICKS}
    return found


def sides_of_codes(item: Mapping[str, Any], codes: Sequence[str]) -> dict[str, str]:
    """On which side of an outcome each code stands, as the engine reads it; none has one where it is no outcome."""
    if item.get("role") != "outcome":
        return {}
    words = _words(item)
    favourable, adverse = (_named(item, side, words) for side in (FAVOURABLE, ADVERSE))
    if item.get(FAVOURABLE) is None:
        favourable = {"yes"}
    said = {code: code_of(words.get(code, code)) for code in codes}
    missing = {code_of(code) for code in _listed(item.get("missing"))}
    sides = {code: FAVOURABLE for code in codes if said[code] in favourable}
    rest = [code for code in codes if code not in sides and code not in missing]
    if item.get(ADVERSE) is not None:
        return sides | {code: ADVERSE for code in rest if said[code] in adverse}
    if item.get("type") == "flag":
        return sides | {code: ADVERSE for code in rest if said[code] in ("yes", "no")}
    return sides | {code: ADVERSE for code in rest if len(rest) == 1 and sides}


def with_changes(raw: Raw, place: Place, facts: ColumnFacts, changes: Mapping[str, str]) -> Raw:
    """The mapping with the changed boxes of one row written into it; the raw data given is left alone.

    Parameters
    ----------
    raw
        The mapping as TOML gives it.
    changes
        New values by the names that :func:`values_of` gives. Without any, nothing changes.
    """
    if not changes:
        return raw
    raw = _copied(raw)
    fields, excluded = raw.setdefault("fields", []), raw.setdefault("excluded", {})
    before = values_of(raw, place, facts)
    at = place.at
    role = changes.get("role", before["role"])
    if role == LEFT_OUT:
        if at is not None:
            _rename(raw, fields[at].get("name"), None)
            del fields[at]
            excluded[place.column] = BY_HAND
        return raw
    if at is None:
        item: Raw = {"name": _free_name(fields, place.column), "label": label_of(place.column), "role": role}
        item |= {"type": changes.get("type", before["type"]), "column": place.column}
        for key in [key for key in excluded if nfc(str(key)) == nfc(place.column)]:
            del excluded[key]
        fields.append(item)
    else:
        item = fields[at]
    _set_texts(raw, item, changes)
    if "role" in changes:
        item["role"] = role
        for owner, keys in ROLE_KEYS.items():
            for key in keys if owner != role else ():
                item.pop(key, None)
    _set_form(item, {**before, **changes}, changes)
    _set_missing(item, changes)
    for key in ("repeats", "empty"):
        _put(item, key, changes.get(key), changes)
    if "decimals" in changes:
        _put(item, "decimals", _number(changes["decimals"]), changes)
    _set_codes(item, codes_in(item, facts), before, changes)
    _set_parts(raw, str(item.get("name", "")), changes)
    if not excluded:
        del raw["excluded"]
    return raw


def _set_texts(raw: Raw, item: Raw, changes: Mapping[str, str]) -> None:
    if "name" in changes and changes["name"] != item.get("name"):
        _rename(raw, item.get("name"), changes["name"])
    for key in TEXTS:
        if key in changes:
            if changes[key] or key in ("name", "type"):
                item[key] = changes[key]
            else:
                item.pop(key, None)


def _set_form(item: Raw, now: Mapping[str, str], changes: Mapping[str, str]) -> None:
    """The form of numbers, as a whole; none for what is no number."""
    if item.get("type") != "number":
        if "type" in changes:
            for key in ("form", "decimals"):
                item.pop(key, None)
        return
    if not {"marks", "times", *FORM_TEXTS} & set(changes):
        return
    decimal, thousands = MARKS.get(now["marks"], (now["marks"][:1], now["marks"][1:]))
    form: Raw = {"decimal": decimal, "thousands": thousands, **{key: now[key] for key in FORM_TEXTS}}
    kept = {key: value for key, value in form.items() if value and not (key == "decimal" and value == ".")}
    if now["times"] and _number(now["times"]) != 1:
        kept["times"] = _number(now["times"])
    if kept:
        item["form"] = kept
    else:
        item.pop("form", None)


def _set_missing(item: Raw, changes: Mapping[str, str]) -> None:
    if "missing" not in changes:
        return
    before = {code_of(code): code for code in _listed(item.get("missing"))}
    lines = [line.strip() for line in changes["missing"].splitlines() if line.strip()]
    _put(item, "missing", [before.get(code_of(line), line) for line in dict.fromkeys(lines)], changes)


def _set_codes(item: Raw, codes: Sequence[str], before: Mapping[str, str], changes: Mapping[str, str]) -> None:
    """What codes mean, and on which side of an outcome they stand."""
    spelled = {code_of(code): code for code in _table(item.get("words"))}
    words = dict(_table(item.get("words")))
    named = _words(item)
    sides = {code: changes.get(f"side:{code}", before.get(f"side:{code}", "")) for code in codes}
    others = {side: _others(item, side, named, codes) for side in (FAVOURABLE, ADVERSE)}
    worded = False
    for code in codes:
        said = changes.get(f"words:{code}")
        if said is not None:
            worded = True
            if said:
                words[spelled.get(code, code)] = said
            else:
                words.pop(spelled.get(code, code), None)
    if worded:
        _put(item, "words", words, changes)
    sided = any(key.startswith("side:") for key in changes)
    if item.get("role") != "outcome" or not (sided or (worded and (FAVOURABLE in item or ADVERSE in item))):
        return
    named = _words(item)
    for side in (FAVOURABLE, ADVERSE):
        chosen = [named.get(code, code) for code in codes if sides[code] == side]
        names: list[Any] = []
        for name in (*chosen, *others[side]):  # a text may name anything, also what has no hash
            if name not in names:
                names.append(name)
        _put(item, side, names[0] if len(names) == 1 else names, changes)


def _set_parts(raw: Raw, name: str, changes: Mapping[str, str]) -> None:
    if not {"part", *TICKS} & set(changes):
        return
    decisions = dict(_table(raw.get("decisions")))
    if "part" in changes:
        for part in PARTS:
            if _plays(decisions, part, name):
                _unplay(decisions, part, name)
        if changes["part"] in SINGLE_PARTS:
            decisions[changes["part"]] = name
        elif changes["part"]:
            decisions[changes["part"]] = [*_listed(decisions.get(changes["part"])), name]
    for tick in TICKS:
        if tick in changes:
            _unplay(decisions, tick, name)
            if changes[tick]:
                decisions[tick] = [*_listed(decisions.get(tick)), name]
    if decisions:
        raw["decisions"] = decisions
    else:
        raw.pop("decisions", None)


def _plays(decisions: Mapping[str, Any], part: str, name: str) -> bool:
    return name in _listed(decisions.get(part))


def _unplay(decisions: Raw, part: str, name: str) -> None:
    if part in SINGLE_PARTS:
        if decisions.get(part) == name:
            del decisions[part]
        return
    left = [each for each in _listed(decisions.get(part)) if each != name]
    if left:
        decisions[part] = left
    else:
        decisions.pop(part, None)


def _rename(raw: Raw, before: Any, after: str | None) -> None:
    """Let the decision's parts follow a field that is called otherwise, or is gone."""
    decisions = dict(_table(raw.get("decisions")))
    if not decisions or not isinstance(before, str):
        return
    for part in (*SINGLE_PARTS, *LIST_PARTS):
        if not _plays(decisions, part, before):
            continue
        if after is None:
            _unplay(decisions, part, before)
        elif part in SINGLE_PARTS:
            decisions[part] = after
        else:
            decisions[part] = [after if each == before else each for each in _listed(decisions[part])]
    for part in ("later", "human"):
        if isinstance(sides := decisions.get(part), Mapping) and sides.get("field") == before:
            if after is None:
                del decisions[part]
            else:
                decisions[part] = {**sides, "field": after}
    raw["decisions"] = decisions
    if not decisions:
        del raw["decisions"]


def _named(item: Mapping[str, Any], side: str, words: Mapping[str, str]) -> set[str]:
    return {code_of(words.get(code_of(name), name)) for name in _listed(item.get(side))}


def _others(item: Mapping[str, Any], side: str, words: Mapping[str, str], codes: Sequence[str]) -> list[Any]:
    """What a side names beside the codes that have a box: it stays."""
    listed = {code_of(words.get(code, code)) for code in codes} | set(codes)
    return [
        name
        for name in _listed(item.get(side))
        if code_of(name) not in listed and code_of(words.get(code_of(name), name)) not in listed
    ]


def _words(item: Mapping[str, Any]) -> dict[str, str]:
    words = _table(item.get("words")) or (FLAG_WORDS if item.get("type") == "flag" else {})
    return {code_of(code): _said(said) for code, said in words.items()}


def _put(item: Raw, key: str, value: Any, changes: Mapping[str, str]) -> None:
    """Set a key, take it out where nothing is left of it; leave it where nobody touched it."""
    if value is None and key not in changes:
        return
    if value in (None, "", [], {}):
        item.pop(key, None)
    else:
        item[key] = value


def _number(text: str) -> Any:
    """The number a box holds; as it was typed where it is none, for the engine to say so."""
    text = text.strip()
    if not NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _free_name(fields: Sequence[Mapping[str, Any]], column: str) -> str:
    taken = {str(item.get("name")) for item in fields}
    name = base = plain(column) or "field"
    number = 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


def _fields(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = raw.get("fields")
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, (list, tuple)) else []


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None or value == "" else [value]


def _said(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, (list, tuple)) else value
