"""What verdicts are worth: audits of made-up models, whose truth is known, through everything behind the answers.

    python -m benchmarks simulations --json            the long form: three hours of one core
    python -m benchmarks.simulations --share 0.1       a tenth of the audits; --only null, only names that hold "null"

False findings are counted by family and over all confirmatory ones; a bound is the one-sided 95 % one of Clopper and
Pearson. Seeds are those of the row and the number of the audit within it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

from scipy import stats

from auditor.records import Conclusion, Measurement
from auditor.testing.families import TURNED_FAMILY
from benchmarks.coverage import EVERY, REPEATS, coverage
from benchmarks.simulated_audits import Audited, Contrast, audit, context_of, contrasts, draw, seeded_plan
from benchmarks.simulation_scenarios import scenarios
from benchmarks.simulation_shapes import Scenario
from benchmarks.simulation_truths import true_effects, truths

OUTCOMES = ("cf_net_effect", "cf_net_effect_matched", "cf_range_effect")
SEEN = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)
EXPLORATORY = "exploratory"
EQUIVALENT = "false equivalent"
INTERVALS = "coverage of intervals alone"
BESIDE = "group_rates"
"""Compares different applicants: its gaps are real wherever a world has them."""


@dataclass(frozen=True)
class Tally:
    """What one audit said, by (family, metric, contrast) or (metric, contrast); ``covered`` by metric."""

    found: frozenset[tuple[str, str, Contrast]]
    filed: frozenset[Contrast]
    said: Mapping[tuple[str, Contrast], Conclusion]
    covered: Mapping[str, tuple[int, int]]
    stated: float | None


@dataclass(frozen=True, kw_only=True)
class SimulationRow:
    """One line of the table; a share nobody could see is ``None``."""

    name: str
    n: int
    applications: int
    seed: int
    seconds: float
    false_findings: float | None = None
    false_findings_upper: float | None = None
    false_equivalent: float | None = None
    false_equivalent_upper: float | None = None
    false_no_evidence: float | None = None
    power: float | None = None
    coverage: float | None = None
    by_family: Mapping[str, float] = field(default_factory=dict)
    by_attribute: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    extra: Mapping[str, float | int | str | None] = field(default_factory=dict)

    def line(self, *, as_json: bool) -> str:
        """The row as it is printed."""
        shares = {
            name: _rounded(getattr(self, name))
            for name in (
                "false_findings",
                "false_findings_upper",
                "false_equivalent",
                "false_equivalent_upper",
                "false_no_evidence",
                "power",
                "coverage",
            )
        }
        content = {
            "name": self.name,
            "n": self.n,
            "applications": self.applications,
            **shares,
            "by_family": {name: _rounded(share) for name, share in sorted(self.by_family.items())},
            "by_attribute": {
                name: {field: _rounded(share) for field, share in sorted(shares.items())}
                for name, shares in sorted(self.by_attribute.items())
            },
            **self.extra,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
        }
        if as_json:
            return json.dumps(content, ensure_ascii=False)
        return "  ".join(f"{key}={value}" for key, value in content.items() if value not in (None, {}))


def run() -> Iterator[SimulationRow]:
    """The whole table."""
    yield from table()


def table(*, share: float = 1.0, only: str = "") -> Iterator[SimulationRow]:
    """Rows of the scenarios whose name holds ``only``, each with ``share`` of its audits."""
    chosen = [item for item in scenarios().values() if only in item.name]
    counts = [max(1, round(item.audits * share)) for item in chosen]
    done, whole = 0, sum(counts)
    # Forked, so that worlds solved once are there in every worker; the parent holds no threads.
    with get_context("fork").Pool(os.cpu_count()) as pool:
        for scenario, count in zip(chosen, counts, strict=True):
            started = time.monotonic()
            tallies = []
            for tally in pool.imap(_one, [(scenario.name, number) for number in range(count)], chunksize=4):
                tallies.append(tally)
                done += 1
                _progress(done, whole, scenario.name)
            for row in summarise(scenario, tallies, seconds=time.monotonic() - started):
                yield replace(row, extra={**row.extra, **true_effects(scenario)}) if scenario.different else row
        if only in INTERVALS:
            repeats = max(1, round(REPEATS * share))
            tasks = [(kind.name, clusters, repeats) for kind in EVERY.values() for clusters in kind.sizes]
            yield from pool.imap(_covers, tasks)


def _covers(task: tuple[str, int, int]) -> SimulationRow:
    """Coverage of one kind of interval by itself, at one number of applications."""
    name, clusters, repeats = task
    started = time.monotonic()
    row = coverage(EVERY[name], clusters=clusters, repeats=repeats)
    return SimulationRow(
        name=f"{INTERVALS}: {name}",
        n=repeats,
        applications=clusters,
        seed=zlib.crc32(name.encode()),
        seconds=time.monotonic() - started,
        coverage=row.ours,
        extra={"intervals": row.n},
    )


def _one(task: tuple[str, int]) -> Tally:
    name, number = task
    return simulate(scenarios()[name], number)


def simulate(scenario: Scenario, number: int) -> Tally:
    """Audit number ``number`` of a scenario."""
    drawn = draw(scenario.world, scenario.applications, [seed_of(scenario.name), number])
    return tally(scenario, audit(context_of(drawn, plan=seeded_plan(number))))


def seed_of(name: str) -> int:
    """The seed of a scenario follows from its name alone, so that a new one moves no other."""
    return zlib.crc32(name.encode())


def tally(scenario: Scenario, audited: Audited) -> Tally:
    """What of an audit is counted."""
    known = {item.id: item for item in audited.measurements}
    behind = [known[name] for finding in audited.findings for name in finding.measurements]
    paired = [item for item in behind if item.test != BESIDE and item.conclusion in SEEN]
    said = {(item.metric, _contrast(item)): item.conclusion for item in audited.measurements if item.conclusion}
    stated = None
    if scenario.sought is not None:
        metric, contrast = scenario.sought
        stated = next(
            (item.counts.get("mde") for item in known.values() if (item.metric, _contrast(item)) == (metric, contrast)),
            None,
        )
    return Tally(
        found=frozenset((item.family or "", item.metric, _contrast(item)) for item in paired),
        filed=frozenset(_contrast(item) for item in behind if item.test == BESIDE),
        said=said,
        covered=_covered(scenario, audited.measurements) if scenario.covers else {},
        stated=stated,
    )


def _contrast(item: Measurement) -> Contrast:
    return item.subject.get("field", ""), item.subject.get("group", "")


def _covered(scenario: Scenario, measurements: Iterable[Measurement]) -> dict[str, tuple[int, int]]:
    """By test and metric: how many intervals hold the true value, and of how many."""
    true = truths(scenario)
    counted: dict[str, tuple[int, int]] = {}
    for item in measurements:
        value = true.get((item.test, item.metric, _contrast(item)))
        if value is None or item.low is None or item.high is None:
            continue
        kind = f"{item.metric} ({item.test})"
        held, whole = counted.get(kind, (0, 0))
        counted[kind] = (held + (item.low - 1e-9 <= value <= item.high + 1e-9), whole + 1)
    return counted


def summarise(scenario: Scenario, tallies: Sequence[Tally], *, seconds: float) -> Iterator[SimulationRow]:
    """The rows of one scenario."""
    n = len(tallies)
    common = {"n": n, "applications": scenario.applications, "seed": seed_of(scenario.name)}
    false = [{one for one in item.found if _is_false(scenario, one)} for item in tallies]
    families: Counter[str] = Counter()
    attributes: dict[str, Counter[str]] = {}
    for found in false:
        families.update({family for family, _, _ in found})
        for family, about in {(family, key[0]) for family, _, key in found}:
            attributes.setdefault(family or "none", Counter())[about] += 1
    for item in tallies:
        for about in {key[0] for key in scenario.different if _is_equivalent(item, key)}:
            attributes.setdefault(EQUIVALENT, Counter())[about] += 1
    confirmatory = sum(any(not one[0].startswith(EXPLORATORY) for one in found) for found in false)
    judged = len(scenario.affected) < len(contrasts())
    wrong = [_wrongly(item, scenario.different, Conclusion.EQUIVALENT_WITHIN_MARGIN) for item in tallies]
    silent = [_wrongly(item, scenario.mute, Conclusion.NO_EVIDENCE) for item in tallies]
    extra: dict[str, float | int | str | None] = {}
    if judged:
        extra["any_false_finding"] = round(sum(bool(found) for found in false) / n, 4)
    if not scenario.world.filed and judged:
        extra["false_as_filed"] = round(sum(bool(item.filed) for item in tallies) / n, 4)
    if scenario.different:
        # The range holds the natural cut-off, so its largest effect is at least as large.
        over = [any(_is_equivalent(item, key, "cf_range_effect") for key in scenario.different) for item in tallies]
        extra["false_equivalent_over_range"] = round(sum(over) / n, 4)
    if scenario.stated is not None:
        extra["stated_effect"] = round(scenario.stated, 4)
        said = sorted(item.stated for item in tallies if item.stated is not None)
        extra["effect_stated_after_the_run"] = round(said[len(said) // 2], 4) if said else None
    primary = [item.said.get(("cf_net_effect", key)) for item in tallies for key in contrasts()]
    extra["primary_equivalent"] = round(primary.count(Conclusion.EQUIVALENT_WITHIN_MARGIN) / len(primary), 4)
    extra["primary_inconclusive"] = round(primary.count(Conclusion.INCONCLUSIVE) / len(primary), 4)
    yield SimulationRow(
        name=scenario.name,
        seconds=seconds,
        false_findings=confirmatory / n if judged else None,
        false_findings_upper=upper(confirmatory, n) if judged else None,
        false_equivalent=sum(wrong) / n if scenario.different else None,
        false_equivalent_upper=upper(sum(wrong), n) if scenario.different else None,
        false_no_evidence=sum(silent) / n if scenario.mute else None,
        power=_power(scenario, tallies) if scenario.sought else None,
        by_family={family or "none": count / n for family, count in families.items()} if judged else {},
        by_attribute={
            family: {about: count / n for about, count in counts.items()} for family, counts in attributes.items()
        },
        extra=extra,
        **common,
    )
    for kind in sorted({kind for item in tallies for kind in item.covered}):
        pairs = [item.covered[kind] for item in tallies if kind in item.covered]
        held, whole = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
        yield SimulationRow(
            name=f"{scenario.name}: {kind}",
            seconds=0.0,
            coverage=held / whole,
            extra={"intervals": whole},
            **common,
        )


def _is_false(scenario: Scenario, one: tuple[str, str, Contrast]) -> bool:
    family, _, key = one
    return key not in scenario.affected and not (family == TURNED_FAMILY and key in scenario.turning)


def _is_equivalent(item: Tally, key: Contrast, metric: str = OUTCOMES[0]) -> bool:
    return item.said.get((metric, key)) is Conclusion.EQUIVALENT_WITHIN_MARGIN


def _wrongly(item: Tally, about: Iterable[Contrast], conclusion: Conclusion) -> bool:
    metrics = OUTCOMES if conclusion is Conclusion.NO_EVIDENCE else OUTCOMES[:1]
    return any(item.said.get((metric, key)) is conclusion for key in about for metric in metrics)


def _power(scenario: Scenario, tallies: Sequence[Tally]) -> float:
    assert scenario.sought is not None
    return sum(item.said.get(scenario.sought) in SEEN for item in tallies) / len(tallies)


def upper(count: int, n: int) -> float:
    """One-sided 95 % upper bound of a share (Clopper and Pearson)."""
    return 1.0 if count == n else float(stats.beta.ppf(0.95, count + 1, n - count))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _progress(done: int, whole: int, name: str) -> None:
    if sys.stderr.isatty() or done % 50 == 0 or done == whole:
        filled = 30 * done // whole
        end = "\r" if sys.stderr.isatty() and done < whole else "\n"
        bar = f"[{'#' * filled}{'.' * (30 - filled)}] {done:,}/{whole:,} audits  {name}"
        print(f"{bar:<110}", end=end, file=sys.stderr, flush=True)


def main() -> int:
    """The table with fewer audits or fewer rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulations", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="share of the audits of every row")
    parser.add_argument("--only", default="", help="only rows whose name holds this")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    for row in table(share=arguments.share, only=arguments.only):
        print(row.line(as_json=arguments.json), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
