"""``[decisions]`` of a mapping: which fields of a decision file say what was decided beside the outcome, and by what.

A file of decisions already taken may hold a score, prices and amounts, reasons, a date, who decided, what became of it
later, what a person decided on the same application, and probabilities of groups. All of them are fields of the
mapping; here they get their part. What is known only with or after the decision has the role ``recorded``: no prompt
shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from auditor.exceptions import DataError

MAX_FIELDS = 100
SCORES = ("number", "probability")
CUT = 0.8
"""Least probability at which thresholding counts somebody as a member of a group, where a mapping says none."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """A field with two sides that is no outcome of the decision: what its values mean; others say nothing."""

    field: str
    favourable: tuple[str, ...]
    adverse: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LikelyGroups:
    """Probabilities of the groups of one attribute: the field of each, where they come from, and the threshold."""

    attribute: str
    source: str
    groups: Mapping[str, str]
    cut: float = CUT


@dataclass(frozen=True, kw_only=True)
class DecisionColumns:
    """The parts that fields of a decision file play; empty where the file has no such field.

    ``score`` is the system's own, higher is better; ``score_is`` says whether it is the probability of a good outcome.
    ``prices`` are better when lower, ``amounts`` when higher. ``controls`` are the legitimate factors held equal,
    ``segments`` what cases are compared within, ``cluster`` what decisions have in common (a branch, an officer).
    """

    score: str = ""
    score_is: str = "number"
    prices: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    decided_at: str = ""
    decided_by: str = ""
    cluster: str = ""
    controls: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    later: Sides | None = None
    human: Sides | None = None
    probabilities: tuple[LikelyGroups, ...] = ()

    def said(self) -> dict[str, Any]:
        """The keys that say something, as plain data."""
        return {key: value for key, value in asdict(self).items() if value not in ("", (), None, "number")}


NONE = DecisionColumns()
ONE = ("score", "decided_at", "decided_by", "cluster")
SEVERAL = ("prices", "amounts", "reasons", "controls", "segments")
NUMBERS = ("score", "prices", "amounts")


def decision_columns_from(raw: Any, *, types: Mapping[str, str], where: str) -> DecisionColumns:
    """Read ``[decisions]`` from plain data.

    Parameters
    ----------
    types
        Type of every field of the mapping by its name.

    Raises
    ------
    DataError
        For an unknown key or field, a field of another type than its part has, or sides that are no sides.
    """
    if not isinstance(raw, Mapping):
        raise DataError(where, "is not a table", 'part = "field"')
    known = [part.name for part in fields(DecisionColumns)]
    for key in raw:
        if key not in known:
            raise DataError(where, f"unknown key {str(key)[:60]!r}", f"any of: {', '.join(known)}")
    values: dict[str, Any] = {}
    for key in (*ONE, *SEVERAL):
        if key in raw:
            values[key] = _names(raw[key], key, types, f"{where}.{key}")
    if raw.get("score_is", "number") not in SCORES:
        raise DataError(f"{where}.score_is", f"is {str(raw['score_is'])[:60]!r}", f"one of: {', '.join(SCORES)}")
    values["score_is"] = raw.get("score_is", "number")
    for key in ("later", "human"):
        if key in raw:
            values[key] = _sides(raw[key], types, f"{where}.{key}")
    items = raw.get("probabilities", [])
    if not isinstance(items, list | tuple):
        raise DataError(f"{where}.probabilities", "is not a list of tables", "[[decisions.probabilities]]")
    values["probabilities"] = tuple(
        _likely(item, types, f"{where}.probabilities[{at}]") for at, item in enumerate(items)
    )
    return DecisionColumns(**values)


def _names(value: Any, key: str, types: Mapping[str, str], where: str) -> str | tuple[str, ...]:
    single = key in ONE
    given = (value,) if single else value
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise DataError(
            where, f"is {str(value)[:60]!r}", "the name of a field" if single else "a list of names of fields"
        )
    if len(given) > MAX_FIELDS:
        raise DataError(where, f"has {len(given)} fields", f"at most {MAX_FIELDS}")
    for name in given:
        _check_field(name, types, where, number=key in NUMBERS)
    if len(set(given)) != len(given):
        raise DataError(where, "names a field twice", "each once")
    return str(given[0]) if single else tuple(given)


def _check_field(name: str, types: Mapping[str, str], where: str, *, number: bool = False) -> None:
    if name not in types:
        raise DataError(
            where, f"{name[:60]!r} is not a field of this mapping", f"one of: {', '.join(list(types)[:12])}"
        )
    if number and types[name] != "number":
        raise DataError(where, f"field {name!r} is a {types[name]}", 'a field of the type "number"')


def _sides(raw: Any, types: Mapping[str, str], where: str) -> Sides:
    expected = '{ field = "name", favourable = ["…"], adverse = ["…"] }'
    if not isinstance(raw, Mapping) or set(raw) != {"field", "favourable", "adverse"}:
        raise DataError(where, "does not say both of its sides", expected)
    _check_field(str(raw["field"]), types, where)
    sides = {}
    for key in ("favourable", "adverse"):
        values = raw[key] if isinstance(raw[key], list | tuple) else (raw[key],)
        if not values or not all(isinstance(value, str) for value in values):
            raise DataError(f"{where}.{key}", f"is {str(raw[key])[:60]!r}", "values of the field, as text")
        sides[key] = tuple(values)
    if both := set(sides["favourable"]) & set(sides["adverse"]):
        raise DataError(where, f"{sorted(both)[0]!r} is favourable and adverse", "one side for every value")
    return Sides(field=str(raw["field"]), **sides)


def _likely(raw: Any, types: Mapping[str, str], where: str) -> LikelyGroups:
    expected = '{ attribute = "race", source = "…", groups = { "Black" = "p_black" }, cut = 0.8 }'
    if not isinstance(raw, Mapping) or not {"attribute", "source", "groups"} <= set(raw) or set(raw) - {
        "attribute", "source", "groups", "cut",
    }:  # fmt: skip
        raise DataError(where, "does not say whose probabilities these are and where they come from", expected)
    groups, cut = raw["groups"], raw.get("cut", CUT)
    if not isinstance(groups, Mapping) or len(groups) < 2:
        raise DataError(f"{where}.groups", "names fewer than two groups", expected)
    for name in groups.values():
        _check_field(str(name), types, where, number=True)
    if not isinstance(cut, int | float) or isinstance(cut, bool) or not 0.5 < cut <= 1:
        raise DataError(f"{where}.cut", f"is {str(cut)[:60]!r}", "a number above 0.5, at most 1")
    if not str(raw["source"]).strip():
        raise DataError(f"{where}.source", "is empty", "where the probabilities come from")
    plain = {str(group): str(name) for group, name in groups.items()}
    return LikelyGroups(attribute=str(raw["attribute"]), source=str(raw["source"]), groups=plain, cut=float(cut))
