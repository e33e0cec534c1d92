"""Tables of measurements: the rows behind every figure, and the ones that list everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from auditor.behaviour.metrics import CF_NET_EFFECT_MATCHED
from auditor.comparison_card import NET_CHANGE
from auditor.records import Conclusion, Measurement, Role
from reports import numbers, sentences, small_cells, wording
from reports.blocks import CONTRASTS, EVERY, Cell, Code, Numbers, Table, Text

SUPPORTING_AT_MOST = 24
DESCRIPTIVE = "descriptive"


def contrasts(measurements: Sequence[Measurement], design: wording.Design, *, title: str) -> Table:
    """One row a contrast with pair counts, interval, detectable difference, both p-values and the conclusion.

    A column that no measurement fills is left out.
    """
    units = {numbers.unit_name(item) for item in measurements}
    mixed = len(units) > 1
    rows = [_contrast_row(item, with_unit=mixed, small_cell=design.small_cell) for item in measurements]
    effect = "Effect" if mixed else f"Effect, {units.pop()}" if units else "Effect"
    interval, z = wording.interval_head(measurements), "z"
    people = "n" if all(sentences.of_different(item) for item in measurements) else "n pairs"
    heads = ("Contrast", people, "b", "c", effect, interval, "MDE", z, "p", "p adj.", "Conclusion")
    weights = (0.17, 0.065, 0.045, 0.045, 0.1, 0.125, 0.06, 0.06, 0.065, 0.065, 0.22)
    shown = _filled(heads, rows)
    notes = {
        "b": _pair_words(measurements),
        "MDE": "MDE: smallest detectable difference at the plan's power, in the unit of the effect.",
        z: "z: distance from no difference in standard errors of the test.",
        "p": "p: raw and adjusted within its family.",
    }
    said = [notes[heads[at]] for at in shown if heads[at] in notes]
    return Table(
        title=title,
        **_columns(heads, rows, "lrrrrrrrrrl", weights, shown),
        note=" ".join(
            [
                *said,
                *_level_notes(measurements, design),
                *missing(measurements),
                *_inconclusive(measurements, design),
                *_equivalence(measurements),
            ]
        ),
        of=tuple(measurements),
    )


def short_rows(measurements: Sequence[Measurement], design: wording.Design, *, title: str, note: str = "") -> Table:
    """One row a measurement: what, of whom, estimate, interval, n; reasons for what is missing stand below."""
    heads = ("Measure", "Of", "Against", "Estimate", wording.interval_head(measurements), "n")
    weights = (0.31, 0.22, 0.11, 0.14, 0.14, 0.08)
    rows = [_short_row(item, design) for item in measurements]
    return Table(
        title=title,
        **_columns(heads, rows, "lllrrr", weights, _filled(heads, rows)),
        note=" ".join(
            [
                *([note] if note else []),
                *_level_notes(measurements, design),
                *missing(measurements),
                *_inconclusive(measurements, design, brief=True),
            ]
        ),
        of=tuple(measurements),
    )


def changes(measurements: Sequence[Measurement], design: wording.Design) -> Table:
    """One row a measurement of a comparison of two versions, with p-values and conclusion."""
    rows = tuple(
        (
            wording.metric_label(item),
            _of_versions(item),
            numbers.count(item.n),
            numbers.estimate(item),
            numbers.interval(item),
            numbers.detectable(item.counts.get("mde"), item.unit),
            numbers.p_value(item.p_value),
            numbers.p_value(item.p_adjusted),
            Code(item.conclusion) if item.conclusion else _no_conclusion(item),
        )
        for item in measurements
    )
    return Table(
        title="",
        head=(
            "Measure",
            "Of",
            "n",
            "Estimate",
            wording.interval_head(measurements),
            "MDE",
            "p",
            "p adj.",
            "Conclusion",
        ),
        rows=rows,
        align="llrrrrrrl",
        weights=(0.22, 0.16, 0.07, 0.1, 0.13, 0.06, 0.06, 0.06, 0.14),
        note=" ".join(
            [
                *_everybody(measurements, design),
                *_level_notes(measurements, design),
                *missing(measurements),
                *_inconclusive(measurements, design, brief=True),
            ]
        ),
        of=tuple(measurements),
    )


def _everybody(measurements: Sequence[Measurement], design: wording.Design) -> list[str]:
    """What changed for all applications alike, which no contrast of groups shows, however large it is."""
    said = []
    for item in measurements:
        if item.conclusion is None and item.estimate is not None and item.conclusion_reason:
            said.append(item.conclusion_reason)
        if (
            item.metric == NET_CHANGE
            and item.estimate is not None
            and abs(item.estimate) >= design.practical_rate
            and wording.excludes_zero(item)
        ):
            way = "fewer" if item.estimate < 0 else "more"
            said.append(
                f"As filed, the later version {design.verb} {numbers.percent(abs(item.estimate))} percentage points "
                f"{way} of the same applications. That an effect between groups did not change does not speak of it."
            )
    return said


def _of_versions(item: Measurement) -> str:
    """What one row of a comparison speaks of; a gap inside one version names it."""
    if not item.subject.get("group"):
        return "As filed"
    inside = item.subject.get("version")
    return f"{wording.contrast(item)}, {inside} version" if inside else wording.contrast(item)


def whole(block: Numbers) -> Table:
    """The table of all measurements of a block, without a title, as a page sets it."""
    if block.columns == CONTRASTS:
        return contrasts(block.measurements, block.design, title="")
    return short_rows(block.measurements, block.design, title="", note=block.note)


def printed(block: Numbers) -> Iterator[Table | Text]:
    """What of a block's measurements stands on paper."""
    if not block.printed:
        return
    if block.columns == EVERY:
        tests = dict.fromkeys(item.test for item in block.printed)
        yield Text(block.left_out)
        yield from (_all_of([item for item in block.printed if item.test == test], block.design) for test in tests)
    elif block.columns == CONTRASTS:
        table = contrasts(block.printed, block.design, title=block.title)
        # In the note, which stays with its table: a line of its own would begin the next page.
        yield replace(table, note=" ".join(part for part in (table.note, block.method) if part))
    else:
        note = " ".join(part for part in (block.left_out, block.note) if part)
        yield short_rows(block.printed, block.design, title=block.title, note=note)


def every_number(measurements: Sequence[Measurement], design: wording.Design) -> Numbers:
    """The measurements of ``result.json`` in words, one row each; on paper one table a test.

    Of one kind of supporting figure, such as an effect at every layer and position, paper has only the largest: charts
    show them all, and ``result.json``, which is attached, holds them.
    """
    shown = _without_the_many(measurements)
    left = len(measurements) - len(shown)
    intro = (
        f"{numbers.count(len(shown))} of the {numbers.count(len(measurements))} numbers of this audit: all that speak "
        f"of decisions, and of each kind of supporting figure the {SUPPORTING_AT_MOST} largest. "
        if left
        else f"Every number of this audit, {numbers.count(len(measurements))} in all. "
    )
    intro += (
        "The attached result.json holds every one by its id, with methods, checks and the query of its cases. "
        "Differences of rates are in percentage points."
    )
    return Numbers(
        name="every",
        title="Every number of this audit",
        measurements=tuple(measurements),
        design=design,
        columns=EVERY,
        printed=tuple(shown),
        left_out=intro,
    )


def _without_the_many(measurements: Sequence[Measurement]) -> list[Measurement]:
    """All measurements but the smaller ones of a kind of supporting figure of which there are many, in their order."""
    kinds: dict[tuple[str, str], list[Measurement]] = {}
    for item in measurements:
        if item.role is Role.SUPPORTING:
            kinds.setdefault((item.test, item.metric), []).append(item)
    dropped: set[str] = set()
    for rows in kinds.values():
        ranked = sorted(rows, key=lambda item: (item.estimate is None, -abs(item.estimate or 0.0)))
        dropped |= {item.id for item in ranked[SUPPORTING_AT_MOST:]}
    return [item for item in measurements if item.id not in dropped]


def _filled(heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, always: str = "") -> list[int]:
    """The columns that some row fills, and the one that is shown ``always``."""
    return [at for at, name in enumerate(heads) if name == always or any(row[at] != numbers.DASH for row in rows)]


def _columns(
    heads: Sequence[str], rows: Sequence[Sequence[Cell]], align: str, weights: Sequence[float], shown: Sequence[int]
) -> dict[str, Any]:
    """Head, rows, sides and widths of a table that has only those of its columns that are shown."""
    return {
        "head": tuple(heads[at] for at in shown),
        "rows": tuple(tuple(row[at] for at in shown) for row in rows),
        "align": "".join(align[at] for at in shown),
        "weights": tuple(weights[at] for at in shown),
    }


def _all_of(measurements: Sequence[Measurement], design: wording.Design) -> Table:
    heads = ("Measure", "Of", "Against", "Role", "n", "Estimate", wording.interval_head(measurements), "p", "p adj.")
    weights = (0.199, 0.204, 0.073, 0.098, 0.06, 0.107, 0.131, 0.065, 0.063)
    rows = [
        (
            *_short_row(item, design)[:3],
            wording.role_words(item.role.value),
            small_cells.people(item, small_cell=design.small_cell),
            numbers.estimate(item),
            numbers.interval(item),
            numbers.p_value(item.p_value),
            numbers.p_value(item.p_adjusted),
        )
        for item in measurements
    ]
    # The estimate stays: where there is none at all, its dashes are what the note below explains.
    shown = _filled(heads, rows, always="Estimate")
    return Table(
        title=wording.test_label(measurements[0].test),
        **_columns(heads, rows, "llllrrrrr", weights, shown),
        note=" ".join([*_level_notes(measurements, design), *missing(measurements)]),
        of=tuple(measurements),
    )


def _contrast_row(item: Measurement, *, with_unit: bool, small_cell: int) -> tuple[Cell, ...]:
    effect = numbers.estimate(item) if with_unit else numbers.estimate_and_interval(item).split(" [", maxsplit=1)[0]
    return (
        wording.contrast(item),
        small_cells.people(item, small_cell=small_cell),
        numbers.count(item.counts.get("b")),
        numbers.count(item.counts.get("c")),
        effect,
        numbers.interval(item),
        numbers.detectable(item.counts.get("mde"), item.unit),
        numbers.number(item.sd_units, decimals=1, signed=True),
        numbers.p_value(item.p_value),
        numbers.p_value(item.p_adjusted),
        Code(item.conclusion) if item.conclusion else _no_conclusion(item),
    )


def _short_row(item: Measurement, design: wording.Design) -> tuple[str, ...]:
    return (
        wording.metric_label(item),
        wording.of_whom(item),
        item.reference or numbers.DASH,
        numbers.estimate(item),
        numbers.interval(item),
        small_cells.people(item, small_cell=design.small_cell),
    )


def missing(measurements: Sequence[Measurement]) -> list[str]:
    """Why estimates are missing, one sentence a reason."""
    reasons: dict[str, dict[str, None]] = {}
    for item in measurements:
        if item.estimate is None:
            label = wording.metric_label(item)
            reasons.setdefault(wording.reason_words(item), {})[wording.lower_first(label)] = None
    return [f"No value of {wording.joined(list(names))}: {why.rstrip('.')}." for why, names in reasons.items()]


def _inconclusive(measurements: Sequence[Measurement], design: wording.Design, *, brief: bool = False) -> list[str]:
    """Why nothing can be said of contrasts, one sentence a reason; ``brief`` without figures, which may be of few."""
    reasons: dict[str, dict[str, None]] = {}
    for item in measurements:
        # Why a missing number is missing stands in the sentence before.
        if item.conclusion is Conclusion.INCONCLUSIVE and item.estimate is not None:
            why = sentences.inconclusive_cause(item, design)
            reasons.setdefault(why.partition(":")[0] if brief else why, {})[_which(item)] = None
    word = wording.sentence_case(wording.conclusion_words(Conclusion.INCONCLUSIVE))
    return [f"{word}, {'; '.join(names)}: {why}." for why, names in reasons.items()]


def _equivalence(measurements: Sequence[Measurement]) -> list[str]:
    """The interval that decides where a difference lay within the margin, and why that is not said where it is not."""
    decided, barred = [], []
    for item in measurements:
        low, high, level = (item.counts.get(f"equivalence_{name}") for name in ("low", "high", "level"))
        if item.conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN and None not in (low, high, level):
            bounds = ", ".join(numbers.in_unit_of(item, bound) for bound in (low, high) if bound is not None)
            decided.append(
                f"{wording.contrast(item)} {numbers.level(level or 0.0)} [{bounds}] {numbers.unit_name(item)}"
            )
        why = (item.conclusion_reason or "").partition("Equivalence is not said: ")[2].rstrip(".")
        if item.conclusion is Conclusion.NO_EVIDENCE and why:
            barred.append(f"{wording.contrast(item)}: {wording.with_p_values(why)}")
    said = [f"Intervals that decide equivalence, adjusted within the family: {'; '.join(decided)}."] if decided else []
    return [*said, *([f"Equivalence is not said of {'; '.join(barred)}."] if barred else [])]


def _which(item: Measurement) -> str:
    matched = " (matched)" if item.metric == CF_NET_EFFECT_MATCHED else ""
    return f"{wording.contrast(item)}{matched}"


def _level_notes(measurements: Sequence[Measurement], design: wording.Design) -> list[str]:
    """What a reader must know of the intervals: several levels, and those that seem to contradict their p."""
    several = numbers.several_levels(measurements)
    return [
        *([several] if several else []),
        *wording.interval_and_p_apart(measurements, design),
        *_described(measurements),
    ]


def _no_conclusion(item: Measurement) -> str:
    """A number from which nothing is concluded says so; a missing one has its reason elsewhere."""
    return numbers.DASH if item.estimate is None else DESCRIPTIVE


def _described(measurements: Sequence[Measurement]) -> list[str]:
    """A word on effects whose interval leaves "no difference" out and which no test of the plan concludes."""
    names = dict.fromkeys(
        wording.lower_first(wording.metric_label(item))
        for item in measurements
        if item.conclusion is None and item.p_adjusted is None and wording.leaves_out_none(item)
    )
    if not names:
        return []
    return [
        f"Descriptive, no conclusion is drawn from it even where the interval leaves out no difference: "
        f"{wording.joined(list(names))}. The plan's tests stand at other measures of the same data."
    ]


def _pair_words(measurements: Sequence[Measurement]) -> str:
    if {item.metric for item in measurements} == {sentences.READABLE}:
        return "b, c: pairs that can be read in one arm alone, the reference's (b) or the group's (c)."
    return "b: reference favourable, group not; c: the reverse."
