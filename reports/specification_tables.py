"""Causal steps and localisations asked in other ways: how many specifications agree, and the extremes, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.mechanisms._shared.specifications import stable_by
from auditor.records import Measurement
from reports import numbers, wording
from reports.blocks import Table

AT_MOST = 12
TITLE = "Asked in other ways"
READING = (
    "Every way to ask that was fixed beforehand: other layers, steering coefficients, states patched in, metrics or "
    "halves of the applications. At least three quarters of those that answer must say the same and none the opposite; "
    "else nothing is concluded. Lowest and highest are the extremes of all ways in the unit of the estimate."
)
SAID = {True: "stable", False: "unstable", None: "too few to compare"}


def asked_otherwise(rows: Sequence[Measurement]) -> Table | None:
    """Those of some figures that were asked in several ways, unstable ones first, then the largest.

    ``None`` where there is none. All are counted in the note, and each stands in result.json.
    """
    asked = [item for item in rows if item.estimate is not None and (item.counts.get("specifications_asked") or 0) > 1]
    if not asked:
        return None
    ranked = sorted(asked, key=lambda item: (stable_by(item.counts)[0] is not False, -abs(item.estimate or 0.0)))
    return Table(
        title=TITLE,
        head=("Measure", "Of", "Agree", "Lowest", "Highest", "n", "Hence"),
        rows=tuple(_row(item) for item in ranked[:AT_MOST]),
        align="llrrrrl",
        weights=(0.26, 0.27, 0.09, 0.1, 0.1, 0.06, 0.12),
        note=f"{_counted(asked)} {READING}",
        of=tuple(ranked[:AT_MOST]),
        unfolded=unstable(rows),
    )


def unstable(rows: Sequence[Measurement]) -> bool:
    """Whether any figure is contradicted by other ways to ask."""
    return any(stable_by(item.counts)[0] is False for item in rows)


def _row(item: Measurement) -> tuple[str, ...]:
    said, agree = item.counts.get("specifications"), item.counts.get("specifications_agree")
    ends = [
        numbers.estimate(replace(item, estimate=end)) if end is not None else numbers.DASH
        for end in (item.counts.get("specifications_lowest"), item.counts.get("specifications_highest"))
    ]
    stable, _ = stable_by(item.counts)
    return (
        wording.metric_label(item),
        wording.sentence_case(wording.subject(item)),
        numbers.DASH if stable is None else f"{numbers.count(agree)} of {numbers.count(said)}",
        *ends,
        numbers.count(item.n),
        SAID[stable],
    )


def _counted(asked: Sequence[Measurement]) -> str:
    found = [stable_by(item.counts)[0] for item in asked]
    parts = [f"{numbers.count(found.count(stable))} {words}" for stable, words in SAID.items() if stable in found]
    figures = "one figure" if len(asked) == 1 else f"{numbers.count(len(asked))} figures"
    first = f" The table has the {AT_MOST} first; all stand in result.json." if len(asked) > AT_MOST else ""
    return f"Of {figures} asked in several ways: {', '.join(parts)}.{first}"
