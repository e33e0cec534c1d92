"""Applications as a decision service takes them: their fields as JSON, in place of a prompt.

A case holds exactly what is handed in, so evidence shows it, and a request is read from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from auditor.applications import Application, Applications
from auditor.counterfactuals import Cluster, Write, check_attributes, clusters_of, words_of
from auditor.exceptions import PlanError
from auditor.plan import Plan
from auditor.prompts import Rendered
from auditor.systems.service_templates import Value


def field_clusters(
    plan: Plan, data: Applications, records: Sequence[Application], *, fields: Sequence[str], where: str
) -> list[Cluster]:
    """The cases of all applications as fields.

    Parameters
    ----------
    plan, data, records
        The design, and the applications that are asked about.
    fields
        Those that the service takes; the placebo's may be one of them.
    where
        Name of the plan, for errors.

    Raises
    ------
    PlanError
        If the service takes a field there is none of, or none that the plan changes.
    """
    placebo = plan.placebo.field if plan.placebo is not None else None
    roles = {item.name: item.role for item in data.mapping.fields}
    for name in fields:
        if name != placebo and name not in roles:
            known = ", ".join(sorted(roles))
            raise PlanError(f"{where}: run.model", f"the service takes {name!r}, which is not a field", known)
        if roles.get(name) in ("outcome", "recorded"):
            what = f"the service takes {name!r}, which is what was decided or came of it"
            raise PlanError(f"{where}: run.model", what, "fields that an application is made of")
    check_attributes(plan, data, fields, place="the fields that the service takes", where=where)

    def as_fields(record: Application) -> Write:
        filed: dict[str, Value] = {name: record.values[name] for name in fields if name != placebo}
        if placebo is not None:
            filed[placebo] = int(words_of(plan, data, record)[0][placebo])

        def write(now: Mapping[str, str]) -> Rendered:
            changed = {name: int(value) if name == placebo else value for name, value in now.items()}
            return written({**filed, **changed})

        return write

    return clusters_of(plan, data, records, as_fields)


def written(values: Mapping[str, Value]) -> Rendered:
    """Fields as one JSON object, a line each in order of their names, and where each value stands in it."""
    text, spans, lines = "{", dict[str, tuple[int, int]](), sorted(values)
    for name in lines:
        text += f"\n  {json.dumps(name, ensure_ascii=False)}: "
        value = json.dumps(values[name], ensure_ascii=False)
        spans[name] = (len(text), len(text) + len(value))
        text += value + ("" if name == lines[-1] else ",")
    return Rendered(text=f"{text}\n}}", spans=spans)


def fields_of(text: str) -> dict[str, Value]:
    """The fields that a case hands in."""
    found: dict[str, Value] = json.loads(text)
    return found
