"""What the field benchmarks share: ten fields of a real application, a reference that differs in all of them, captum.

The prompts are those of the scoring benchmark (about 186 tokens); three of its fields stay as filed. Both sides explain
the same margin of the same prompts by the same model in one process. captum explains the log-probability of one text,
so a margin takes two of its runs, one for each answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch

from auditor.applications import Applications
from auditor.demo_data import load_loanapp
from auditor.language_models.packed import PackedScorer, probe_packing
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.field_attribution.method import Settings
from auditor.mechanisms.field_attribution.shapley import FloatArray
from auditor.plan import Plan, plan_from
from auditor.prompts import parse_template, render
from benchmarks.models import load_demo
from benchmarks.scoring import PACK_TOKENS, RACE_LAST

FIELDS = (
    "total_income",
    "coapplicant_income",
    "housing_expense",
    "obligations_ratio",
    "loan_to_value",
    "net_worth",
    "consumer_credit",
    "mortgage_history",
    "credit_guidelines",
    "race",
)
ANSWERS = (" approve", " deny")


@dataclass(frozen=True)
class Explained:
    """One application and the applicant it is compared with: the words of every field of the prompt."""

    words: dict[str, str]
    reference: dict[str, str]


def make_bench() -> ComputeContext:
    """The demonstration's base model, ready to be asked."""
    loaded = load_demo()
    probe = probe_packing(loaded.model, vocabulary=loaded.model.config.vocab_size, longest=1024)
    labels = {item.name: item.label for item in load_loanapp().mapping.fields}
    template = parse_template(RACE_LAST, fields=(), labels=labels, style="lines", where="benchmark")
    return ComputeContext(
        plan=_plan(),
        settings=Settings(),
        loaded=loaded,
        scorer=PackedScorer(loaded.model, pack_tokens=PACK_TOKENS, probe=probe),
        render=lambda words: render(template, words),
        should_stop=lambda: False,
    )


def find_applications(count: int) -> list[Explained]:
    """The first applications of the data that differ from another one in all ten fields, each with that other one."""
    data = load_loanapp()
    said = [_said(data, number) for number in range(300)]
    found: dict[int, Explained] = {}
    for one, other in product(range(len(said)), repeat=2):
        if one not in found and all(said[one][name] != said[other][name] for name in FIELDS):
            # The other three fields stay as filed, so that exactly ten change.
            found[one] = Explained(said[one], {**said[one], **{name: said[other][name] for name in FIELDS}})
        if len(found) == count:
            break
    return list(found.values())


def variants(explained: Explained, masks: Sequence[int]) -> list[dict[str, str]]:
    """The words with the fields of each coalition as filed and the others at the reference."""
    return [
        {
            **explained.words,
            **{name: explained.reference[name] for number, name in enumerate(FIELDS) if not mask >> number & 1},
        }
        for mask in masks
    ]


def margins(context: ComputeContext, words: Sequence[Mapping[str, str]]) -> FloatArray:
    """Our reading."""
    return context.margins([context.render(each).text for each in words])


def captum_margin(method: Any, context: ComputeContext, explained: Explained, **options: Any) -> FloatArray:
    """captum's attributions of the margin to the ten fields: of one answer's log-probability minus the other's.

    Both runs draw the same numbers, which spares captum the variance of a second draw.
    """
    from captum.attr import LLMAttribution, TextTemplateInput

    values = [explained.words[name] for name in FIELDS]
    baselines = [explained.reference[name] for name in FIELDS]

    def fill(*filled: str) -> str:
        return context.render({**explained.words, **dict(zip(FIELDS, filled, strict=True))}).text

    found = []
    for answer in ANSWERS:
        torch.manual_seed(0)
        target = torch.tensor(context.loaded.tokenizer(answer, add_special_tokens=False).input_ids)
        with torch.inference_mode():
            result = LLMAttribution(method, context.loaded.tokenizer).attribute(
                TextTemplateInput(template=fill, values=values, baselines=baselines), target=target, **options
            )
        found.append(np.asarray(result.seq_attr.double().cpu(), dtype=np.float64))
    return found[0] - found[1]


def _said(data: Applications, number: int) -> dict[str, str]:
    record = data.records[number]
    return {item.name: item.say(record.values[item.name]) for item in data.mapping.fields if item.name in record.values}


def _plan() -> Plan:
    return plan_from(
        {
            "schema": 1,
            "name": "benchmark",
            "title": "Benchmark",
            "use": {"business_use": "Benchmark", "decision_role": "advisory"},
            "prompt": {"template": RACE_LAST, "answers": {"favourable": [ANSWERS[0]], "adverse": [ANSWERS[1]]}},
            "attributes": [{"field": "race", "groups": ["White", "Black"], "reference": "White"}],
            "tests": {"run": ["field_attribution"]},
        },
        where="benchmark",
    )
