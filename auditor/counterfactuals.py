"""Cases from real applications: as filed, with one protected attribute changed, with a placebo changed, asked again.

One application is one cluster. It stands as filed in the arm of each of its own groups, so every contrast compares the
same application with itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.applications import Application, Applications
from auditor.exceptions import DataError, PlanError
from auditor.plan import Plan
from auditor.prompts import Rendered, Template, parse_template, render
from auditor.records import Case

Write = Callable[[Mapping[str, str]], Rendered]
"""An application in writing, with some fields changed."""

ACTUAL = "actual"
COUNTERFACTUAL = "counterfactual"
PLACEBO = "placebo"
REASK = "reask"


@dataclass(frozen=True)
class Cluster:
    """One application with all its cases; ``reask`` is asked once more, alone."""

    application: Application
    cases: tuple[Case, ...]
    reask: Case | None


@dataclass(frozen=True)
class Selection:
    """The applications that are asked about, and how many were left out for which reason."""

    records: tuple[Application, ...]
    left_out: dict[str, int]


def arm(field: str, group: str) -> str:
    """Name of an arm."""
    return f"{field}={group}"


def select(plan: Plan, data: Applications, *, seen: frozenset[str], where: str) -> Selection:
    """Choose the applications: a seeded shuffle of the candidates, the first ``limit``, in the order of their ids.

    Parameters
    ----------
    seen
        Ids in the model's training record for this data; never chosen when the plan asks for unseen applications.

    Raises
    ------
    DataError
        If no application is left.
    """
    candidates = list(data.records)
    left_out = {}
    if plan.cases.select == "unseen":
        held = seen | data.reserved
        candidates = [record for record in candidates if record.id not in held]
        left_out["in the training record or the reserved split"] = len(data.records) - len(candidates)
    if not candidates:
        raise DataError(f"{where}: cases", "no application is left", "a selection that keeps at least one")
    random.Random(plan.cases.seed).shuffle(candidates)
    chosen = candidates[: plan.cases.limit] if plan.cases.limit else candidates
    left_out["beyond the plan's limit"] = len(candidates) - len(chosen)
    return Selection(records=tuple(sorted(chosen, key=lambda record: record.id)), left_out=left_out)


def make_clusters(
    plan: Plan, data: Applications, records: Sequence[Application], *, chat: Any, where: str
) -> list[Cluster]:
    """Render all cases of all chosen applications.

    Parameters
    ----------
    chat
        ``None`` for a record, else a function from the rendered text to the chat text
        (see :func:`auditor.chat.chat_wrapper`).

    Raises
    ------
    PlanError
        If an attribute or the placebo is no field or not in the template, a group is in no record of the data, or the
        template shows the recorded outcome or the row id.
    """
    fields = [(item.name, item.label, item.role) for item in data.mapping.fields]
    template = prompt_template(plan, fields, where=where)
    check_attributes(plan, data, template.names, place="the prompt's template", where=where)

    def as_prompt(record: Application) -> Write:
        words, _ = words_of(plan, data, record)

        def write(now: Mapping[str, str]) -> Rendered:
            rendered = render(template, {**words, **now})
            return rendered if chat is None else chat(rendered)

        return write

    return clusters_of(plan, data, records, as_prompt)


def clusters_of(
    plan: Plan, data: Applications, records: Sequence[Application], written: Callable[[Application], Write]
) -> list[Cluster]:
    """All cases of all chosen applications, each as ``written`` gives it for an application and what is changed."""
    asked_again = set()
    if plan.noise.reask:
        ids = [record.id for record in records]
        random.Random(plan.cases.seed + 1).shuffle(ids)
        asked_again = set(ids[: plan.noise.reask])
    return [_cluster(plan, data, record, written(record), again=record.id in asked_again) for record in records]


def prompt_template(plan: Plan, fields: Sequence[tuple[str, str, str]], *, where: str) -> Template:
    """The plan's template, parsed for fields given as (name, label, role).

    Raises
    ------
    PlanError
        If it names a field there is none of, or shows the recorded outcome or the row id.
    """
    # A prompt that tells the model what was decided, or what came of it, asks nothing, and row ids are bookkeeping.
    labels = {name: label for name, label, role in fields if role not in ("outcome", "recorded", "id")}
    if plan.placebo is not None:
        if plan.placebo.field in {name for name, _, _ in fields}:
            raise PlanError(
                f"{where}: placebo.field", f"{plan.placebo.field!r} is a field of the data", "a name of its own"
            )
        labels[plan.placebo.field] = plan.placebo.label
    for name in plan.prompt.fields:
        if name not in labels:
            raise PlanError(f"{where}: prompt.fields", f"unknown field {name!r}", f"one of: {', '.join(labels)}")
    return parse_template(
        plan.prompt.template,
        fields=plan.prompt.fields,
        labels=labels,
        style=plan.prompt.style,
        where=f"{where}: prompt.template",
    )


def words_of(plan: Plan, data: Applications, record: Application) -> tuple[dict[str, str], str]:
    """The words of every field of one application as filed, the placebo's included, and the placebo's other words."""
    words = {
        item.name: item.say(record.values[item.name]) for item in data.mapping.fields if item.name in record.values
    }
    if plan.placebo is None:
        return words, ""
    draw = random.Random(f"{plan.cases.seed}/{record.id}")
    first, second = draw.sample(range(plan.placebo.low, plan.placebo.high + 1), 2)
    return {**words, plan.placebo.field: str(first)}, str(second)


def check_attributes(plan: Plan, data: Applications, shown: Collection[str], *, place: str, where: str) -> None:
    """Refuse attributes that are no field, groups that nobody is of, and what is changed but shown nowhere.

    Parameters
    ----------
    shown, place
        The fields that are asked with, and where they stand, for errors.
    """
    for number, attribute in enumerate(plan.attributes):
        here = f"{where}: attributes[{number}]"
        try:
            field = data.field(attribute.field)
        except KeyError:
            known = ", ".join(item.name for item in data.mapping.fields if item.role.startswith("protected"))
            lacking = "" if known else ", and the data have no protected field"
            expected = f"a protected field: {known}" if known else 'a mapping that gives a field role = "protected"'
            raise PlanError(f"{here}.field", f"unknown field {attribute.field!r}{lacking}", expected) from None
        if attribute.field not in shown:
            raise PlanError(here, f"{attribute.field!r} is not in {place}", f"{{{attribute.field}}} in it")
        present = sorted({str(value) for record in data.records if (value := record.values[field.name]) is not None})
        for group in attribute.groups:
            if group not in present:
                raise PlanError(
                    f"{here}.groups", f"group {group!r} is in no application", f"one of: {', '.join(present[:12])}"
                )
    if plan.placebo is not None and plan.placebo.field not in shown:
        raise PlanError(
            f"{where}: placebo.field", f"{plan.placebo.field!r} is not in {place}", f"{{{plan.placebo.field}}} in it"
        )


def _cluster(plan: Plan, data: Applications, record: Application, write: Write, *, again: bool) -> Cluster:
    _, other = words_of(plan, data, record)
    groups = {
        attribute.field: str(record.values[attribute.field])
        for attribute in plan.attributes
        if record.values[attribute.field] in attribute.groups
    }
    placebo = plan.placebo
    arms = [arm(field, group) for field, group in groups.items()]
    if placebo is not None:
        arms.append(arm(PLACEBO, "filed"))
    if again:
        arms.append(arm(REASK, "first"))

    def case(suffix: str, role: str, changed: str | None, now: Mapping[str, str], own: tuple[str, ...]) -> Case:
        rendered = write(now)
        return Case(
            id=record.id + suffix,
            cluster=record.id,
            role=role,
            changed=changed,
            groups={**groups, **{name: value for name, value in now.items() if name in groups}},
            arms=own,
            prompt=rendered.text,
            spans=rendered.spans,
        )

    cases = [case("", ACTUAL, None, {}, tuple(arms))]
    for attribute in plan.attributes:
        if attribute.field not in groups:
            continue
        cases += [
            case(
                f"/{attribute.field}={group}",
                COUNTERFACTUAL,
                attribute.field,
                {attribute.field: group},
                (arm(attribute.field, group),),
            )
            for group in attribute.groups
            if group != groups[attribute.field]
        ]
    if placebo is not None:
        cases.append(case("/placebo", PLACEBO, placebo.field, {placebo.field: other}, (arm(PLACEBO, "changed"),)))
    reask = case("/reask", REASK, None, {}, (arm(REASK, "second"),)) if again else None
    return Cluster(application=record, cases=tuple(cases), reask=reask)
