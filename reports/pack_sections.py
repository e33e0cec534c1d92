"""Which policy packs apply, which of their clauses and bases this run speaks to, and which it leaves open and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.behaviour.metrics import (
    CF_MEAN_SHIFT,
    CF_MEAN_SHIFT_SD,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
)
from auditor.canonical import sha256_json
from auditor.plan import Plan
from auditor.records import Conclusion, Measurement, Role
from reports import numbers, wording
from reports.blocks import Block, Literal, Table, Text
from reports.bundle import Bundle

#: Words of a group that stand for another basis as well: which of the two is meant, only counsel can say.
ALSO_READ_AS = {
    "hispanic": ("national_origin", "national_or_ethnic_origin", "ethnicity", "ancestry"),
    "latino": ("national_origin", "national_or_ethnic_origin", "ethnicity", "ancestry"),
    "black": ("color", "colour"),
    "asian": ("national_origin", "national_or_ethnic_origin", "ancestry"),
    "jewish": ("race", "ethnicity", "ancestry"),
    "pregnant": ("sex", "pregnancy"),
    "children": ("familial_status",),
}
#: Metrics that are other readings of one comparison.
READINGS = {
    CF_NET_EFFECT: (CF_NET_EFFECT, CF_NET_EFFECT_MATCHED, CF_RANGE_EFFECT),
    CF_MEAN_SHIFT: (CF_MEAN_SHIFT_SD, CF_MEAN_SHIFT),
}
CANNOT_SAY = (Conclusion.INCONCLUSIVE, Conclusion.NOT_TESTED)


def pack_blocks(bundle: Bundle) -> list[Block]:
    """Which policy packs apply, which clauses this run speaks to, and which it leaves open and why."""
    pinned = bundle.run.packs
    if not pinned:
        return [Text("Not part of this run: the plan names no policy pack. Thresholds are the plan's own.")]
    texts = {pack["id"]: pack for pack in bundle.packs}
    blocks: list[Block] = [
        Table(
            title="Packs applied",
            head=("Pack", "Named in findings", "Version", "SHA-256"),
            rows=tuple(
                (
                    str(texts.get(pack.id, {}).get("name", numbers.DASH)),
                    pack.id,
                    pack.version,
                    Literal(pack.sha256),
                )
                for pack in pinned
            ),
            align="llll",
            weights=(0.3, 0.14, 0.09, 0.47),
        )
    ]
    for pin in pinned:
        pack = texts.get(pin.id)
        if pack is None or sha256_json(pack) != pin.sha256:
            blocks.append(Text(f"{pin.id}: the bundle does not hold the text of this version, so no clause is listed."))
            continue
        status = pack.get("status", {})
        blocks.append(
            Table(
                title=f"{pack['name']}, status as of {status.get('as_of', 'an unknown date')}",
                head=("Clause", "Requirement", "In this run"),
                rows=tuple(
                    (
                        clause["ref"],
                        clause["requirement"],
                        clause_state(clause, bundle.printable, pack=pack, asks=bundle.run.asks),
                    )
                    for clause in pack["clauses"]
                ),
                align="lll",
                weights=(0.2, 0.42, 0.38),
            )
        )
        blocks += [Text(words, tone="small") for words in _bases(pack, bundle.plan)]
    blocks.append(
        Text(
            "A clause counts as tested only where a measurement that it asks for reached a conclusion; what that is "
            "stands under “Conclusion”. Where it says “cannot say”, this run leaves the clause open. All of it is "
            "listed for counsel's review; nothing here is a legal conclusion.",
            tone="small",
        )
    )
    return blocks


def clause_state(
    clause: Mapping[str, Any], measurements: Sequence[Measurement], *, pack: Mapping[str, Any], asks: bool = True
) -> str:
    """What this run says to a clause: tested and of what, run without a conclusion, or not tested and why."""
    refs = clause.get("evidence_refs", ())
    wanted = [ref.partition(":")[2] for ref in refs if ref.startswith("metric:")]
    if not wanted:
        places = [wording.field_words(ref.partition(":")[2].replace(".", ", ")) for ref in refs]
        return f"Not tested: {'see ' + wording.joined(places) if places else 'no measurement answers it'}"
    protected = {item["id"] for item in pack.get("protected_attributes", ())}
    parts = []
    lack = []
    for metric in wanted:
        mine = [
            item
            for item in measurements
            if item.metric in READINGS.get(metric, (metric,))
            and item.role is not Role.SUPPORTING
            and (not protected or "field" not in item.subject or item.subject["field"] in protected)
        ]
        name = wording.lower_first(wording.metric_words(metric))
        said = [item for item in mine if item.conclusion is not None and item.conclusion not in CANNOT_SAY]
        described = [item for item in mine if item.conclusion is None and item.estimate is not None]
        if said:
            parts += _concluded(said, [item for item in mine if item.conclusion in CANNOT_SAY])
        elif described:
            parts.append(f"Measured, and not concluded on: {name}, for {_of(described)}")
        elif mine:
            why = next((item.conclusion_reason or wording.reason_words(item) for item in mine), "")
            parts.append(f"Run, without a conclusion: {name} ({why.rstrip('.')})")
        else:
            lack.append(name)
    if lack:
        why = "which the plan does not run" if asks else "which decisions on file do not give, or the plan does not run"
        parts.append(f"Not tested: needs {wording.joined(lack)}, {why}")
    return ". ".join(parts)


def _concluded(said: Sequence[Measurement], open_: Sequence[Measurement]) -> list[str]:
    """Which readings of a comparison reached a conclusion and of whom; then which did not.

    A clause that was answered at one cut-off and left open at another must not read as answered at both.
    """
    return [
        f"{start}: {_reading(rows)}, for {_of(rows)}"
        for start, items in (("Tested", said), ("Cannot say", open_))
        for name in dict.fromkeys(item.metric for item in items)
        if (rows := [item for item in items if item.metric == name])
    ]


def _reading(rows: Sequence[Measurement]) -> str:
    name = wording.lower_first(wording.metric_label(rows[0]))
    return f"{name} (exploratory)" if all(item.role is Role.EXPLORATORY for item in rows) else name


def _of(measurements: Sequence[Measurement]) -> str:
    named: dict[str, dict[str, None]] = {}
    for item in measurements:
        field = item.subject.get("field")
        if field:
            group = item.subject.get("group", "")
            named.setdefault(wording.field_words(field), {})[group] = None
    if not named:
        return f"{numbers.count(len(measurements))} of its figures"
    return "; ".join(f"{field} ({', '.join(group for group in groups if group)})" for field, groups in named.items())


def _bases(pack: Mapping[str, Any], plan: Plan) -> list[str]:
    """Bases of a pack that have no field in the plan; and those of them that a tested group may stand for as well."""
    tested = {attribute.field: attribute.groups for attribute in plan.attributes}
    missing = {item["id"]: item["label"] for item in pack.get("protected_attributes", ()) if item["id"] not in tested}
    said = []
    if missing:
        names = wording.joined(list(missing.values()))
        said.append(f"Bases of this pack not tested, because the plan names no field for them: {names}.")
    related = [
        f"{group}, tested as {wording.field_words(field)}, may also be read as {missing[other].lower()}"
        for field, groups in tested.items()
        for group in groups
        for word, others in ALSO_READ_AS.items()
        if word in group.lower()
        for other in others
        if other in missing
    ]
    if related:
        states = "The prompt" if plan.asks else "What is audited"
        said.append(
            f"{wording.sentence_case('; '.join(dict.fromkeys(related)))}. {states} states each under one field; "
            "which basis it stands for is for counsel."
        )
    return said
