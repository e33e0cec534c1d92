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

from auditor.applications import Applications
from auditor.counterfactuals import make_clusters, prompt_template, select, words_of
from auditor.exceptions import AuditorError, InputError
from auditor.plan import Plan
from auditor.prompts import Rendered, render
from compliance.audits.estimates import tokenizer_file
from compliance.dashboard.prompts import marked
from compliance.exceptions import ComplianceError
from compliance.models import DataSetVersion, LanguageModelVersion
from compliance.plans.checks import WHERE, Problem, problem_of
from compliance.plans.counting import NOT_COUNTED, count
from compliance.registry.columns import MASK, MASKED_ROLES
from compliance.registry.keeping import kept

SHOWN = 3
NOT_KEPT = "No sample of these data is kept for a preview: they are large, or came before samples did."
NO_PROMPT = "The plan has no prompt: a service is handed fields, and a decision file is asked nothing."
CHAT = "In chat form the tokenizer's chat template stands around this text."


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


def preview(plan: Plan, *, data: DataSetVersion, model: LanguageModelVersion | None) -> Preview:
    """Render the first applications that the plan would choose.

    Parameters
    ----------
    model
        Whose tokenizer counts; it must be in this machine's store, else nothing is counted.
    """
    if not plan.asks:
        return Preview(note=NO_PROMPT)
    try:
        applications = _applications(data)
        if applications is None:
            return Preview(note=NOT_KEPT)
        chosen = select(plan, applications, seen=frozenset(), where=WHERE).records
        clusters = make_clusters(plan, applications, chosen[:SHOWN], chat=None, where=WHERE)
    except InputError as refusal:
        return Preview(problem=problem_of(refusal))
    except (AuditorError, ComplianceError, OSError) as refusal:
        return Preview(problem=Problem(key="", line=str(refusal)))
    path = tokenizer_file(model) if model is not None else None
    counts = count(path, texts=[cluster.cases[0].prompt for cluster in clusters]) if path else None
    told = {item.name: item for item in applications.mapping.fields}
    triples = [(item.name, item.label, item.role) for item in applications.mapping.fields]
    template = prompt_template(plan, triples, where=WHERE)
    given = {attribute.field: attribute.reference for attribute in plan.attributes}
    hidden = {name for name, item in told.items() if item.role in MASKED_ROLES or item.type == "text"}
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
    longest = max((prompt.tokens for prompt in prompts if prompt.tokens is not None), default=0)
    return Preview(
        prompts=tuple(prompts),
        fields=rows,
        applications=len(chosen),
        too_long=longest if longest > plan.budget.max_prompt_tokens else None,
        note=NOT_COUNTED if path and counts is None else CHAT if plan.prompt.form == "chat" else "",
    )


def _pieces(rendered: Rendered, given: frozenset[str]) -> list[dict[str, Any]]:
    spans = [{"field": name, "start": start, "stop": stop} for name, (start, stop) in rendered.spans.items()]
    return marked({"id": "", "prompt": rendered.text, "spans": spans}, given)


def _applications(data: DataSetVersion) -> Applications | None:
    return _kept(data.pk, data.fingerprint)


@lru_cache(maxsize=1)
def _kept(key: int, fingerprint: str) -> Applications | None:
    """Read once while somebody writes: a plan is checked with every pause in typing, on one data set."""
    return kept(DataSetVersion.objects.get(pk=key, fingerprint=fingerprint))
