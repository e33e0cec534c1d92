"""Tables of measurements: the rows behind every figure, and the one that lists everything."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.records import Measurement
from reports import numbers, wording
from reports.blocks import Cell, Code, Literal, Table


def contrasts(measurements: Sequence[Measurement], *, title: str) -> Table:
    """One row a contrast with pair counts, interval, detectable difference, both p-values and the conclusion.

    A column that no measurement fills is left out.
    """
    units = {numbers.unit_name(item) for item in measurements}
    mixed = len(units) > 1
    rows = [_contrast_row(item, with_unit=mixed) for item in measurements]
    effect = "Effect" if mixed else f"Effect, {units.pop()}" if units else "Effect"
    heads = ("Contrast", "n pairs", "b", "c", effect, "95% interval", "MDE", "SD", "p", "p adj.", "Conclusion")
    weights = (0.17, 0.065, 0.045, 0.045, 0.1, 0.125, 0.06, 0.06, 0.065, 0.065, 0.22)
    shown = [at for at in range(len(heads)) if any(row[at] != numbers.DASH for row in rows)]
    notes = {
        "b": "b: reference favourable, group not; c: the reverse.",
        "MDE": "MDE: smallest detectable difference at the plan's power, in percentage points.",
        "SD": "SD: distance from no difference in standard deviations.",
        "p": "p: raw and adjusted within its family.",
    }
    return Table(
        title=title,
        head=tuple(heads[at] for at in shown),
        rows=tuple(tuple(row[at] for at in shown) for row in rows),
        align="".join("lrrrrrrrrrl"[at] for at in shown),
        weights=tuple(weights[at] for at in shown),
        note=" ".join(notes[heads[at]] for at in shown if heads[at] in notes),
    )


def short_rows(measurements: Sequence[Measurement], design: wording.Design, *, title: str, note: str = "") -> Table:
    """One row a measurement: what, of whom, estimate, interval, n."""
    return Table(
        title=title,
        head=("Measure", "Of", "Against", "Estimate", "95% interval", "n"),
        rows=tuple(_short_row(item, design) for item in measurements),
        align="lllrrr",
        weights=(0.27, 0.24, 0.13, 0.14, 0.14, 0.08),
        note=note,
    )


def all_measurements(measurements: Sequence[Measurement], design: wording.Design) -> Table:
    """Every measurement of ``result.json``, one row each, by its id."""
    return Table(
        title="Every number of this audit, as in result.json",
        head=("Measurement", "Role", "n", "Estimate", "95% interval", "p", "p adj."),
        rows=tuple(
            (
                Literal(item.id),
                item.role.value,
                _people(item, design),
                _estimate(item, design),
                numbers.DASH if _hidden(item, design) else numbers.interval(item),
                numbers.p_value(item.p_value),
                numbers.p_value(item.p_adjusted),
            )
            for item in measurements
        ),
        align="llrrrrr",
        weights=(0.45, 0.1, 0.055, 0.125, 0.135, 0.07, 0.065),
        note="A number that is missing has its reason in its place. "
        "Rates in %, differences of rates in percentage points.",
    )


def _contrast_row(item: Measurement, *, with_unit: bool) -> tuple[Cell, ...]:
    effect = numbers.estimate(item) if with_unit else numbers.estimate_and_interval(item).split(" [", maxsplit=1)[0]
    mde = item.counts.get("mde")
    return (
        wording.contrast(item),
        numbers.count(item.n),
        numbers.count(item.counts.get("b")),
        numbers.count(item.counts.get("c")),
        effect,
        numbers.interval(item),
        numbers.number(None if mde is None else 100 * mde, decimals=1),
        numbers.number(item.sd_units, decimals=1, signed=True),
        numbers.p_value(item.p_value),
        numbers.p_value(item.p_adjusted),
        Code(item.conclusion) if item.conclusion else numbers.DASH,
    )


def _short_row(item: Measurement, design: wording.Design) -> tuple[Cell, ...]:
    field = wording.field_words(item.subject.get("field", ""))
    group = item.subject.get("group", "")
    of = f"{wording.sentence_case(field)}: {group}" if field and group else wording.subject(item)
    return (
        wording.metric_label(item),
        of,
        item.reference or numbers.DASH,
        _estimate(item, design),
        numbers.DASH if _hidden(item, design) else numbers.interval(item),
        _people(item, design),
    )


def _hidden(item: Measurement, design: wording.Design) -> bool:
    return item.test == "group_rates" and 0 < item.n < design.small_cell


def _estimate(item: Measurement, design: wording.Design) -> str:
    if _hidden(item, design):
        return "small cell"
    return numbers.estimate(item) if item.estimate is not None else (item.missing_reason or numbers.DASH)


def _people(item: Measurement, design: wording.Design) -> str:
    return numbers.people(item.n, small_cell=design.small_cell if item.test == "group_rates" else 0)
