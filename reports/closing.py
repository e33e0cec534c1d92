"""The lines that close an audit on a terminal: what was found, the judgement, and how the audit checked itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor.behaviour.metrics import CF_NOISE_FLOOR
from auditor.records import Finding, Measurement, Role, Severity
from reports import elsewhere, numbers, sentences, wording
from reports.decision_counts import counts_words


def found_line(measurements: Sequence[Measurement], findings: Sequence[Finding], design: wording.Design) -> str:
    """The gravest result in words, how many contrasts reached which conclusion, what is different elsewhere."""
    lead = wording.lead_measurement(measurements, findings)
    if lead is None:
        return "no primary measurement; see the report for why"
    primary = [item for item in measurements if item.role is Role.PRIMARY and item.conclusion is not None]
    codes = Counter(item.conclusion for item in primary)
    counted = ", ".join(
        f"{codes[code]} {wording.conclusion_words(code)}" for code in wording.CONCLUSION_ORDER if codes[code]
    )
    parts = [sentences.short_line(lead, design)]
    if (same := elsewhere.beyond_for_the_same(lead, measurements)) is not None:
        parts.append(wording.lower_first(elsewhere.beyond_words(same)).rstrip("."))
    parts += [f"of {numbers.count(len(primary))} primary contrasts: {counted}"] if primary else []
    said = frozenset([lead.id])
    more = elsewhere.exploratory_sentence(measurements, but=said)
    if lead.conclusion in wording.QUIET and more:
        parts.append(wording.lower_first(more).rstrip("."))
    return "; ".join(parts)


def judged_line(findings: Sequence[Finding]) -> str:
    """How many findings of which severity, and the gravest by its title."""
    if not findings:
        return "no finding; that is not proof that there is nothing to find"
    counts = Counter(finding.severity for finding in findings)
    counted = ", ".join(f"{counts[level]} {level}" for level in reversed(Severity) if counts[level])
    worst = max(findings, key=lambda item: item.severity.rank)  # of equally grave ones the first, which is the largest
    return f"{counted}; gravest: {worst.title}"


def checked_line(measurements: Sequence[Measurement]) -> str:
    """How many self-checks held, and what changes by itself when nothing, or only a placebo, is changed."""
    checks = [check for item in measurements for check in item.checks]
    held = sum(check.held for check in checks)
    parts = [f"{numbers.count(held)} of {numbers.count(len(checks))} self-checks held"]
    for change, name in (("reask", "asked again"), ("placebo", "placebo changed")):
        found = [
            item
            for item in measurements
            if item.metric == CF_NOISE_FLOOR
            and item.subject.get("change") == change
            and item.subject.get("cut_off", "natural") == "natural"
        ]
        if not found:
            parts.append(f"{name}: not run")
            continue
        item = found[0]
        if item.estimate is None:
            parts.append(f"{name}: {numbers.DASH} ({wording.reason_words(item)})")
        else:
            bounds = numbers.interval(item)
            level = f" ({numbers.level(item.level)} interval {bounds} %)" if bounds != numbers.MISSING else ""
            parts.append(f"{name}: {numbers.estimate(item)} of decisions changed{level}")
    return "; ".join(parts)


def seen_line(measurements: Sequence[Measurement]) -> str:
    """How many comparisons of decisions have a number and a conclusion: what nobody asked cannot be checked again."""
    told = counts_words(measurements)
    if not told:
        return "nothing was compared: no test of the plan reads a decision file"
    return f"{wording.lower_first(told).rstrip('.')}; nothing could be planted or asked again"
