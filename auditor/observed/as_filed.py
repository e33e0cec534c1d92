"""The answers of a system, or of weights, to the applications as filed, in the columns of a decision file.

So the tests on decisions already taken compare what was answered between different applicants by the same measures as
a file of decisions on them. Only applications as filed are in it: no counterfactual, no placebo and no re-ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from auditor.mappings import code_of
from auditor.observed.columns import ADVERSE, FAVOURABLE, OTHER, Levels, Numbers, Observed
from auditor.records import NO_DECISION, Case, Decision, Outcome
from auditor.run_record import MappedField, RunMapping

if TYPE_CHECKING:
    from auditor.testing.context import Context

OUTCOMES = {Outcome.FAVOURABLE: FAVOURABLE, Outcome.ADVERSE: ADVERSE}
SOURCE = "answers to the applications as filed"
MARGIN, AMOUNT, REASON = "margin", "amount", "reason"


def as_filed(
    cases: Sequence[Case],
    decisions: Mapping[str, Decision],
    *,
    values: Sequence[Mapping[str, Any]],
    mapping: RunMapping,
    amounts: Mapping[str, float],
    unit: str,
    reasons: Mapping[str, frozenset[str]],
    applicants: Sequence[str] | None = None,
) -> Observed:
    """One row a case as filed, in the order of the cases.

    Parameters
    ----------
    cases
        Those as filed; of a sampled system one a replicate.
    decisions, amounts, reasons
        By the id of a case; amounts in ``unit``.
    values
        The typed values of each case's application.
    mapping
        What the fields are; its ``[decisions]`` name the legitimate factors, the segments and what decisions have in
        common.
    applicants
        Whose each case is, where some have several; they are the unit then.
    """
    fields, parts = {item.name: item for item in mapping.fields}, mapping.decisions
    chosen = [decisions[case.id] for case in cases]
    neither = [str(each.outcome) for each in chosen if each.outcome in NO_DECISION]
    return Observed(
        ids=pl.Series("id", [case.id for case in cases], dtype=pl.String),
        outcome=np.array([OUTCOMES.get(each.outcome, OTHER) for each in chosen], dtype=np.int8),
        others={name: neither.count(name) for name in sorted(set(neither))},
        groups=tuple(_levels(item, values) for item in mapping.fields if item.role == "protected"),
        score=_score(chosen),
        amounts=_amounts(cases, amounts, unit),
        reasons=_reasons(cases, reasons),
        controls=tuple(_part(fields[name], values) for name in parts.get("controls", ())),
        segments=tuple(_levels(fields[name], values) for name in parts.get("segments", ())),
        cluster=_levels(fields[name], values) if (name := parts.get("cluster", "")) else None,
        applicants=None if applicants is None else np.unique(np.array(applicants), return_inverse=True)[1],
        source=SOURCE,
    )


def answers_as_filed(
    context: Context, *, values: Sequence[Mapping[str, Any]], mapping: RunMapping, unit: str
) -> Observed:
    """The answers of a run to its applications as filed as decisions taken on them, for the tests that read such.

    Parameters
    ----------
    context
        Cases, decisions and what was read of the answers.
    values, mapping, unit
        See :func:`as_filed`.
    """
    whose = [context.applicant(case.cluster) for case in context.actual]
    return as_filed(
        context.actual,
        context.decisions,
        values=values,
        mapping=mapping,
        amounts=context.amounts,
        unit=unit,
        reasons=context.reasons,
        applicants=whose if len(set(whose)) < len(whose) else None,
    )


def _levels(item: MappedField, rows: Sequence[Mapping[str, Any]]) -> Levels:
    words = [level_of(row.get(item.name)) for row in rows]
    return _coded(item.name, item.label, words)


def level_of(value: Any) -> str | None:
    """The group or segment that a value of an application stands for; ``None`` for none."""
    if value is None:
        return None
    return code_of(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _coded(name: str, label: str, words: Sequence[str | None]) -> Levels:
    """In the order of their names, as a file's are."""
    names = sorted({word for word in words if word is not None})
    ranks = {word: at for at, word in enumerate(names)}
    codes = np.array([-1 if word is None else ranks[word] for word in words], dtype=np.int32)
    return Levels(name=name, label=label, names=tuple(names), codes=codes)


def _part(item: MappedField, rows: Sequence[Mapping[str, Any]]) -> Numbers | Levels:
    if item.type != "number":
        return _levels(item, rows)
    values = [row.get(item.name) for row in rows]
    numbers = np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
    return Numbers(name=item.name, label=item.label, unit=item.unit, values=numbers)


def _score(decisions: Sequence[Decision]) -> Numbers | None:
    """The margin, where every answer that decides has one: a bound is no score."""
    values = np.array([np.nan if each.margin is None else each.margin for each in decisions], dtype=np.float64)
    decided = np.array([each.outcome not in NO_DECISION for each in decisions], dtype=bool)
    if not len(values) or np.isnan(values).all() or np.isnan(values[decided]).any():
        return None
    return Numbers(name=MARGIN, label="Log-odds of a favourable answer", unit="nats", values=values)


def _amounts(cases: Sequence[Case], amounts: Mapping[str, float], unit: str) -> tuple[Numbers, ...]:
    values = np.array([amounts.get(case.id, np.nan) for case in cases], dtype=np.float64)
    if not len(values) or np.isnan(values).all():
        return ()
    return (Numbers(name=AMOUNT, label="Amount", unit=unit, values=values),)


def _reasons(cases: Sequence[Case], reasons: Mapping[str, frozenset[str]]) -> tuple[Levels, ...]:
    """A column for the first reason of every answer, one for the second, and so on."""
    given = [sorted(reasons.get(case.id, ())) for case in cases]
    most = max((len(each) for each in given), default=0)
    return tuple(
        _coded(
            f"{REASON}_{place + 1}",
            f"Reason {place + 1}",
            [each[place] if len(each) > place else None for each in given],
        )
        for place in range(most)
    )
