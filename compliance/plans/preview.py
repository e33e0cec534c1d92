"""Three prompts as a plan would ask them, rendered by the engine, every field's span marked.

Personal data are masked as in the preview of a data set: ids, protected fields, their proxies and free text. A field
that the plan itself sets shows what it is set to, which is nobody's. Tokens are counted on the prompt as it would be
asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.answering.fields import field_clusters, fields_of, written
from auditor.answering.reading import SERVICE
from auditor.applications import Application, Applications
from auditor.counterfactuals import make_clusters, prompt_template, select, words_of
from auditor.exceptions import AuditorError, InputError, PlanError
from auditor.model_manifest import SystemIdentity
from auditor.plan import Plan
from auditor.prompts import Rendered, render
from auditor.recognition import MASK
from compliance.audits.estimates import system_of, tokenizer_file
from compliance.dashboard.prompts import marked
from compliance.exceptions import ComplianceError
from compliance.models import DataSetVersion, LanguageModelVersion
from compliance.plans.asked_preview import ShownRequest, requests_shown, with_words
from compliance.plans.checks import WHERE, Problem, problem_of
from compliance.plans.counting import NOT_COUNTED, count
from compliance.plans.depth import Depth
from compliance.registry.columns import MASKED_ROLES
from compliance.registry.keeping import kept

SHOWN = 3
NOT_KEPT = gettext_noop("No sample of these data is kept for a preview: they are large, or came before samples did.")
CHAT = gettext_noop("In chat form the tokenizer's chat template stands around this text.")


@dataclass(frozen=True, kw_only=True)
class ShownPrompt:
    """One prompt in pieces (see :func:`compliance.dashboard.prompts.marked`); ``tokens`` ``None`` without a model."""

    number: int
    pieces: list[dict[str, Any]]
    words: Mapping[str, str]
    tokens: int | None


@dataclass(frozen=True, kw_only=True)
class FieldRow:
    """A field of the prompts: what it is, and how each prompt says it; ``set_by_plan`` if the plan changes it."""

    name: str
    label: str
    role: str
    words: tuple[str, ...]
    set_by_plan: bool


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a plan asks of a data set. ``problem`` is what keeps it from being asked, ``note`` what is not shown."""

    prompts: tuple[ShownPrompt, ...] = ()
    fields: tuple[FieldRow, ...] = ()
    applications: int = 0
    problem: Problem | None = None
    note: str = ""
    too_long: int | None = None
    requests: tuple[ShownRequest, ...] = ()
    asks: bool = True


def preview(
    plan: Plan, *, data: DataSetVersion, model: LanguageModelVersion | None, depth: Depth = Depth.WEIGHTS
) -> Preview:
    """Render the first applications that the plan would choose.

    Parameters
    ----------
    model
        Whose tokenizer counts; it must be in this machine's store, else nothing is counted. Of a system, the request
        about the first application is shown too.
    depth
        At which the plan is looked at: a file of decisions is asked nothing, and its rows are shown as they are read.
    """
    try:
        applications = _applications(data)
        if applications is None:
            return Preview(note=NOT_KEPT, asks=depth is not Depth.RECORD)
        identity = system_of(model) if model is not None else None
        if model is not None and identity is not None and identity.kind == SERVICE:
            return _handed_in(plan, applications, model, identity)
        if depth is Depth.RECORD or not plan.asks:
            return _rows(plan, applications)
        return _prompts(plan, applications, model, identity)
    except InputError as refusal:
        return Preview(problem=problem_of(refusal))
    except (AuditorError, ComplianceError, OSError) as refusal:
        return Preview(problem=Problem(key="", line=str(refusal)))


def _prompts(
    plan: Plan, applications: Applications, model: LanguageModelVersion | None, identity: SystemIdentity | None
) -> Preview:
    """The prompts of a language model, and of one that is a system the request that holds the first of them."""
    chosen = select(plan, applications, seen=frozenset(), where=WHERE).records
    clusters = make_clusters(plan, applications, chosen[:SHOWN], chat=None, where=WHERE)
    path = tokenizer_file(model) if model is not None and identity is None else None
    counts = count(path, texts=[cluster.cases[0].prompt for cluster in clusters]) if path else None
    told = {item.name: item for item in applications.mapping.fields}
    triples = [(item.name, item.label, item.role) for item in applications.mapping.fields]
    template = prompt_template(plan, triples, where=WHERE)
    given = {attribute.field: attribute.reference for attribute in plan.attributes}
    hidden = _hidden(applications)
    prompts = []
    for number, cluster in enumerate(clusters, start=1):
        words, _ = words_of(plan, applications, cluster.application)
        shown = {name: given.get(name, MASK if name in hidden else said) for name, said in words.items()}
        rendered = render(template, shown)
        prompts.append(
            ShownPrompt(
                number=number,
                pieces=_pieces(rendered, frozenset(given)),
                words={name: shown[name] for name in template.names},
                tokens=counts.lengths[number - 1] if counts else None,
            )
        )
    placebo = plan.placebo
    rows = tuple(
        FieldRow(
            name=name,
            label=told[name].label if name in told else placebo.label if placebo else name,
            role=told[name].role if name in told else "placebo",
            words=tuple(prompt.words[name] for prompt in prompts),
            set_by_plan=name in given or name not in told,
        )
        for name in template.names
    )
    requests: tuple[ShownRequest, ...] = ()
    if identity is not None and model is not None:
        first = "".join(piece["text"] for piece in prompts[0].pieces)
        requests = requests_shown(plan, model, with_words(clusters[0].cases[0], first), where=WHERE)
    longest = max((prompt.tokens for prompt in prompts if prompt.tokens is not None), default=0)
    return Preview(
        prompts=tuple(prompts),
        fields=rows,
        applications=len(chosen),
        too_long=longest if longest > plan.budget.max_prompt_tokens else None,
        note=NOT_COUNTED if path and counts is None else CHAT if plan.prompt.form == "chat" and not requests else "",
        requests=requests,
    )


def _handed_in(
    plan: Plan, applications: Applications, model: LanguageModelVersion, identity: SystemIdentity
) -> Preview:
    """What a decision service is handed: the fields of the first application, masked as prompts are."""
    chosen = select(plan, applications, seen=frozenset(), where=WHERE).records
    fields = identity.asked["fields"]
    clusters = field_clusters(plan, applications, chosen[:SHOWN], fields=fields, where=WHERE)
    hidden = _hidden(applications) - {attribute.field for attribute in plan.attributes}
    given = {attribute.field: attribute.reference for attribute in plan.attributes}
    prompts = []
    for number, cluster in enumerate(clusters, start=1):
        values = {**fields_of(cluster.cases[0].prompt)}
        shown = {name: given.get(name, MASK if name in hidden else value) for name, value in values.items()}
        rendered = written(shown)
        words = {name: str(value) for name, value in shown.items()}
        pieces = _pieces(rendered, frozenset(given))
        prompts.append(ShownPrompt(number=number, pieces=pieces, words=words, tokens=None))
    first = "".join(piece["text"] for piece in prompts[0].pieces)
    told = {item.name: item for item in applications.mapping.fields}
    rows = tuple(
        FieldRow(
            name=name,
            label=told[name].label if name in told else name,
            role=told[name].role if name in told else "placebo",
            words=tuple(prompt.words[name] for prompt in prompts),
            set_by_plan=name in given or name not in told,
        )
        for name in prompts[0].words
    )
    requests = requests_shown(plan, model, with_words(clusters[0].cases[0], first), where=WHERE)
    return Preview(prompts=tuple(prompts), fields=rows, applications=len(chosen), requests=requests)


def _rows(plan: Plan, applications: Applications) -> Preview:
    """The first rows of a file of decisions, each field as it is read; nobody is asked."""
    fields = applications.mapping.fields
    protected = [item.name for item in fields if item.role == "protected"]
    strange = next((item.field for item in plan.attributes if item.field not in protected), None)
    if strange is not None:
        expected = f"one of: {', '.join(protected)}" if protected else "a protected field in the mapping"
        refusal = PlanError(f"{WHERE}: attributes", f"{strange!r} is not a protected field of the decisions", expected)
        return Preview(problem=problem_of(refusal), asks=False)
    hidden = _hidden(applications)
    shown = applications.records[:SHOWN]
    rows = tuple(
        FieldRow(
            name=item.name,
            label=item.label,
            role=item.role,
            words=tuple(MASK if item.name in hidden else _value(item, record) for record in shown),
            set_by_plan=False,
        )
        for item in fields
    )
    return Preview(fields=rows, applications=len(applications.records), asks=False)


def _value(item: Any, record: Application) -> str:
    if item.role == "outcome":
        return {True: _("favourable"), False: _("adverse"), None: "–"}[record.favourable]
    value = record.values.get(item.name)
    return "–" if value is None else str(value)


def _hidden(applications: Applications) -> frozenset[str]:
    """The fields of which a preview shows nobody's value."""
    fields = applications.mapping.fields
    return frozenset(item.name for item in fields if item.role in MASKED_ROLES or item.type == "text")


def _pieces(rendered: Rendered, given: frozenset[str]) -> list[dict[str, Any]]:
    spans = [{"field": name, "start": start, "stop": stop} for name, (start, stop) in rendered.spans.items()]
    return marked({"id": "", "prompt": rendered.text, "spans": spans}, given)


def _applications(data: DataSetVersion) -> Applications | None:
    return _kept(data.pk, data.fingerprint)


@lru_cache(maxsize=1)
def _kept(key: int, fingerprint: str) -> Applications | None:
    """Read once while somebody writes: a plan is checked with every pause in typing, on one data set."""
    return kept(DataSetVersion.objects.get(pk=key, fingerprint=fingerprint))
