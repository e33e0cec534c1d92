"""The conclusion of an audit in five lines, for a terminal. Every figure is one of its measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor.records import Conclusion, Finding, Measurement, Role, Severity
from compliance.models import Audit


def summarise(
    audit: Audit, *, title: str, measurements: Sequence[Measurement], findings: Sequence[Finding], runs: int
) -> tuple[str, ...]:
    """Five lines: which audit, on what, what was found, the judgement, and how the audit checked itself."""
    run = audit.run
    kind = "governed" if audit.governed else "ungoverned"
    selected = len(run["data"]["selected"])
    return (
        f"{audit}  {title}: complete, {kind}, run {runs} on this model",
        f"Asked    {run['model']['source']} ({run['model']['sha256'][:12]}) about {selected:,} applications of "
        f"{run['data']['name']}, {audit.prompts:,} prompts",
        f"Found    {_effects(measurements)}",
        f"Judged   {_judgement(findings)}",
        f"Checked  {_controls(measurements)}",
    )


def _effects(measurements: Sequence[Measurement]) -> str:
    primary = [item for item in measurements if item.role == Role.PRIMARY]
    if not primary:
        return "no primary measurement; see the report for why"
    codes = Counter(item.conclusion for item in primary if item.conclusion is not None)
    counted = ", ".join(f"{codes[code]} {_words(code)}" for code in Conclusion if codes[code])
    known = [item for item in primary if item.estimate is not None]
    if not known:
        return f"{counted or 'no conclusion'}; no primary measurement has a value"
    return f"{counted or 'no conclusion'}; largest: {describe(max(known, key=lambda item: abs(item.estimate or 0.0)))}"


def _judgement(findings: Sequence[Finding]) -> str:
    if not findings:
        return "no finding; that is no proof that there is nothing to find"
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(f"{counts[level]} {level}" for level in reversed(Severity) if counts[level])


def _controls(measurements: Sequence[Measurement]) -> str:
    checks = [check for item in measurements for check in item.checks]
    held = sum(check.held for check in checks)
    noise = next((item for item in measurements if item.test == "noise_floor" and item.estimate is not None), None)
    text = f"{held:,} of {len(checks):,} self-checks held"
    return f"{text}; {describe(noise)}" if noise is not None else text


def describe(item: Measurement) -> str:
    """One measurement in words: metric, subject against reference, estimate and interval in its unit."""
    subject = " ".join(item.subject.values())
    against = f" against {item.reference}" if item.reference else ""
    name = " ".join(part for part in (item.metric, subject + against) if part)
    if item.estimate is None:
        return f"{name} has no value ({item.missing_reason or 'not estimable'})"
    interval = ""
    if item.low is not None and item.high is not None:
        interval = f" ({item.level:.0%} interval {_number(item.low, item.unit)} to {_number(item.high, item.unit)})"
    return f"{name} {_number(item.estimate, item.unit)}{_unit(item.unit)}{interval}"


def _number(value: float, unit: str) -> str:
    if unit == "rate":
        return f"{value * 100:.1f}"
    if unit == "rate_difference":
        return f"{value * 100:+.1f}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def _unit(unit: str) -> str:
    return {"rate": "%", "rate_difference": " percentage points", "ratio": ""}.get(unit, f" {unit}")


def _words(code: Conclusion) -> str:
    return code.value.lower().replace("_", " ")
