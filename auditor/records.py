"""The nouns that flow through an audit: Case, Decision, Measurement, Finding. Frozen, plain, one row type each."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from auditor.canonical import finite


class Role(StrEnum):
    """What a measurement may be used for (the metric roles of the policy packs)."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    EXPLORATORY = "exploratory"
    SUPPORTING = "supporting"


class Conclusion(StrEnum):
    """What a test lets one say. The absence of a difference is never a pass."""

    DIFFERENCE_FOUND = "DIFFERENCE_FOUND"
    DIFFERENCE_BELOW_THRESHOLD = "DIFFERENCE_BELOW_THRESHOLD"
    NO_EVIDENCE = "NO_EVIDENCE"
    EQUIVALENT_WITHIN_MARGIN = "EQUIVALENT_WITHIN_MARGIN"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_TESTED = "NOT_TESTED"


class Outcome(StrEnum):
    """What a decision says.

    What is none counts as not favourable and is an outcome of its own in every arm: ``invalid`` where too little
    probability lies on the planned answers, ``refused`` and ``unreadable`` where a system's answer was read.
    """

    FAVOURABLE = "favourable"
    ADVERSE = "adverse"
    INVALID = "invalid"
    REFUSED = "refused"
    UNREADABLE = "unreadable"


NO_DECISION = frozenset({Outcome.INVALID, Outcome.REFUSED, Outcome.UNREADABLE})
"""Outcomes of which nothing is decided."""


AS_FILED_CASES = "role:actual"
"""The query that finds the applications as filed; a decision file's are ``role:record``."""


class Severity(StrEnum):
    """How much a finding matters; ``rank`` orders it."""

    OBSERVATION = "observation"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 (observation) to 4 (critical)."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Case:
    """One rendered prompt.

    ``arms`` names the arms the case stands in, as ``field=value``: an application as filed stands in the arm of each of
    its own groups, a counterfactual only in the arm of the group it was given. ``spans`` holds the half-open character
    range of every field's value in ``prompt``.
    """

    id: str
    cluster: str
    role: str
    changed: str | None
    groups: dict[str, str]
    arms: tuple[str, ...]
    prompt: str
    spans: dict[str, tuple[int, int]]

    def row(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the model said of one case.

    ``margin`` is the log-odds of the favourable against the adverse answers in nats (``None`` where it was not seen),
    ``mass`` the probability the model puts on any of the answers. ``observation`` says how it was come by: ``scored``,
    ``bounded`` (the outcome follows from a bound of the margin) or ``read`` from the text of an answer.
    """

    case_id: str
    margin: float | None
    mass: float | None
    log_favourable: float | None
    log_adverse: float | None
    outcome: Outcome
    observation: str = "scored"

    def row(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One self-check of a measurement: what was compared, the figure, the bound, and whether it held.

    ``covers_run`` says that the check speaks of how the whole run was scored: if it did not hold, no test of the run is
    concluded.
    """

    name: str
    held: bool
    value: float | None = None
    bound: float | None = None
    note: str = ""
    covers_run: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """Every number an audit produces: one row of the results table, the report and the charts.

    ``subject`` says what was measured, for example ``{"field": "race", "group": "Black"}``; ``reference`` the group it
    is compared with. ``low`` and ``high`` bound the interval at ``level``. ``unit`` is one of ``rate`` (a share),
    ``rate_difference`` (shown as percentage points), ``ratio``, ``logit``, ``sd``, ``people``, ``count``. ``counts``
    holds the whole numbers and design figures behind the estimate, such as ``b``, ``c`` and ``mde``. ``cases`` is the
    query that finds the cases: ``arm:race=Black|race=White``. A missing value has a reason, and so has a conclusion.
    """

    id: str
    test: str
    metric: str
    role: Role
    subject: dict[str, str]
    unit: str
    reference: str | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = field(kw_only=True)
    higher_is_better: bool | None = None
    n: int = 0
    sd_units: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    family: str | None = None
    conclusion: Conclusion | None = None
    conclusion_reason: str | None = None
    checks: tuple[Check, ...] = ()
    cases: str = ""
    missing_reason: str | None = None
    method: str = ""
    counts: dict[str, float | int | None] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Plain, finite data: a number that is missing, infinite or not a number is ``None``, with a reason."""
        row = asdict(self)
        for name in ("estimate", "low", "high", "sd_units", "p_value", "p_adjusted"):
            row[name] = finite(row[name])
        row["counts"] = {key: value if isinstance(value, int) else finite(value) for key, value in self.counts.items()}
        row["checks"] = [
            {**asdict(check), "value": finite(check.value), "bound": finite(check.bound)} for check in self.checks
        ]
        if row["estimate"] is None and not row["missing_reason"]:
            row["missing_reason"] = "not estimable"
        return row


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement: what was seen, by which rule it matters, under which clause, and what to do."""

    id: str
    title: str
    severity: Severity
    rule: str
    condition: str
    criteria: tuple[str, ...]
    cause: str
    effect: str
    recommendation: str
    measurements: tuple[str, ...]
    cases: str = ""
    conclusion: Conclusion | None = None

    def row(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)
