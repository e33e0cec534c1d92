"""What 1,000,000 decisions already taken cost: every measure, in seconds and MiB, beside fairlearn's MetricFrame.

A made-up file of seventeen columns (seeded) is written as text and as Parquet in a process of its own, read into
columns and measured over two attributes, three contrasts: every measure of observed decisions, with its interval.
fairlearn gives the rates, differences and ratios that both have, without intervals.

One row a step: reading, measuring everything, and the measures both have, with what they take of memory.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from auditor.mappings import DataMapping
from auditor.observed.columns import Observed
from benchmarks.rows import Row, seconds

ROWS = 1_000_000
SEED = 1
# In a process of its own, so that this one's memory stays what reading and measuring take.
MAKE = """
import sys
from tests.observed.made_up import table
made = table(int(sys.argv[1]), seed=int(sys.argv[3]))
path = sys.argv[2]
made.write_csv(path, separator="|") if path.endswith(".txt") else made.write_parquet(path)
"""
CONTRASTS = (("race", "Black", "White"), ("race", "Asian", "White"), ("sex", "female", "male"))


def run(rows: int = ROWS) -> Iterator[Row]:
    """Four rows: reading text, reading Parquet, every measure, and those fairlearn has too."""
    from auditor.observed.reading import read_decisions

    with tempfile.TemporaryDirectory() as folder:
        for kind in ("txt", "parquet"):
            path = Path(folder) / f"decisions.{kind}"
            subprocess.run([sys.executable, "-c", MAKE, str(rows), str(path), str(SEED)], check=True)
            found: list[Observed] = []
            before = time.process_time()
            took = seconds(lambda path=path, kind=kind, found=found: found.append(read_decisions(path, _mapping(kind))))
            yield _row(
                f"decisions: {rows:,} rows of {kind} read",
                took,
                {"processor_s": _since(before), "file_mib": path.stat().st_size >> 20},
            )
        observed = found[0]
    steps: dict[str, float] = {}
    before = time.process_time()
    took = seconds(lambda: steps.update(everything(observed)))
    extra = {"processor_s": _since(before)} | {name: round(s, 2) for name, s in steps.items()}
    yield _row(f"decisions: every measure of {rows:,} rows", took, extra)
    yield _beside_fairlearn(observed)


def _since(before: float) -> float:
    """Seconds of the processor: what stays of a time where other work takes the cores."""
    return round(time.process_time() - before, 2)


def _mapping(kind: str) -> DataMapping:
    from auditor.tables import Reading
    from tests.observed.made_up import mapping

    return replace(mapping(), reading=Reading(delimiter="|" if kind == "txt" else ""))


def everything(observed: Observed) -> dict[str, float]:
    """Seconds by measure, over all contrasts."""
    from auditor.observed import measures
    from auditor.observed.columns import crossed, tallies_by
    from auditor.observed.contrasts import contrast_of
    from auditor.statistics.groups import HIGHEST_RATE, impact_ratios

    how = measures.Sampling(0.95)
    race, sex = observed.attribute("race"), observed.attribute("sex")
    score = observed.score
    assert race is not None
    assert sex is not None
    assert score is not None
    took: dict[str, float] = {}

    def timed(name: str, work: object) -> None:
        took[name] = took.get(name, 0.0) + seconds(work)  # type: ignore[arg-type]

    for field, group, reference in CONTRASTS:
        levels = race if field == "race" else sex
        contrast = contrast_of(observed, levels, group=group, reference=reference)
        timed("rates", lambda c=contrast: measures.rate_gaps(c, level=0.95))
        timed("scores", lambda c=contrast: measures.score_gap(c, score, how))
        timed("equal_factors", lambda c=contrast: measures.at_equal_factors(c, level=0.95))
        timed("segments", lambda c=contrast: measures.by_segment(c, observed.segments[0], level=0.95))
        timed("later", lambda c=contrast: measures.later_gaps(c, how))
        for part in (*observed.prices, *observed.amounts):
            timed("amounts", lambda c=contrast, p=part: measures.amount_gaps(c, p, how))
        timed("marginal", lambda c=contrast: measures.marginal(c, how))
        timed("human_agreement", lambda c=contrast: measures.agreement_gaps(c, level=0.95))
        timed("reasons", lambda c=contrast: measures.reason_gaps(c, level=0.95))
    for levels in (race, sex):
        timed(
            "scoring_rates",
            lambda each=levels: measures.scoring_rates(
                observed, each, score, reference=HIGHEST_RATE, min_share=0.02, level=0.95
            ),
        )
    tallies = tallies_by(crossed(race, sex), observed.favourable, among=observed.decided)
    timed("intersections", lambda: impact_ratios(tallies=tallies, reference="White, male", level=0.95))
    likely = observed.probabilities[0]
    timed(
        "probabilities",
        lambda: measures.likely_gap(observed, likely, group="Black", reference="White", how=how),
    )
    return took


def _beside_fairlearn(observed: Observed) -> Row:
    """Rates, difference and ratio of race, and TPR and FPR, as both give them."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    from auditor.observed.columns import OTHER
    from auditor.observed.contrasts import contrast_of
    from auditor.statistics.rates import adverse_impact_ratio, risk_difference
    from auditor.statistics.scores import labelled_rates

    race = observed.attribute("race")
    assert race is not None
    assert observed.later is not None
    ours: dict[str, float] = {}
    peer: dict[str, float] = {}

    def by_us() -> None:
        contrast = contrast_of(observed, race, group="Black", reference="White")
        protected, reference = contrast.decisions
        difference = risk_difference(protected=protected, reference=reference, level=0.95)
        ratio = adverse_impact_ratio(protected=protected, reference=reference, level=0.95)
        good = observed.later[contrast.rows]  # type: ignore[index]
        ours.update(difference=difference.value or 0.0, ratio=ratio.value or 0.0)
        for name, members in (("Black", contrast.protected), ("White", ~contrast.protected)):
            rates = labelled_rates(labels=good[members] == 1, decisions=contrast.favourable[members])
            ours[f"tpr {name}"], ours[f"fpr {name}"] = rates.true_positive.rate, rates.false_positive.rate

    rows = np.flatnonzero(observed.decided & (race.mask("Black") | race.mask("White")))
    assert not (observed.later[rows] == OTHER).any()
    labels, said = observed.later[rows] == 1, observed.favourable[rows]
    member = np.array(race.names)[race.codes[rows]]

    def by_fairlearn() -> None:
        frame = MetricFrame(
            metrics={"rate": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate},
            y_true=labels,
            y_pred=said,
            sensitive_features=member,
        )
        peer.update(difference=-frame.difference()["rate"], ratio=frame.ratio()["rate"])
        for name in ("Black", "White"):
            peer[f"tpr {name}"], peer[f"fpr {name}"] = frame.by_group["tpr"][name], frame.by_group["fpr"][name]

    took, theirs = seconds(by_us, repeats=3), seconds(by_fairlearn, repeats=3)
    apart = max(abs(ours[name] - peer[name]) for name in peer)
    return Row(
        name=f"decisions: rates that fairlearn's MetricFrame has too, {observed.n:,} rows",
        ours=took,
        peer=theirs,
        ratio=theirs / took,
        agreement=apart,
        unit="s",
        n=observed.n,
        extra={"intervals_and_tests": "ours"},
    )


def _row(name: str, took: float, extra: dict[str, float | int | str | None]) -> Row:
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return Row(
        name=name, ours=took, peer=None, ratio=None, agreement=None, unit="s", n=1, extra={**extra, "peak_mib": mib}
    )
