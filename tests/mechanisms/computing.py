"""A compute context with a tiny random model and two prompts that differ in one word."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from auditor.language_models.local import LoadedModel
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.pair_rows import ContrastRow, PairOfPrompts, PairsPayload
from auditor.plan import Answers
from auditor.testing.rows import read_row
from tests.language_models.tiny import tiny_tokenizer
from tests.language_models.zoo import zoo_model
from tests.mechanisms.asking import through_a_ledger

TEXT = "Loan 120. Race: {}. Income 50. Decision:"


def compute_context(settings: Any, family: str = "llama") -> ComputeContext:
    answers = Answers(favourable=("y",), adverse=("n",))
    plan: Any = SimpleNamespace(prompt=SimpleNamespace(form="record", answers=answers), cases=SimpleNamespace(seed=1))
    loaded = LoadedModel(zoo_model(family), tiny_tokenizer(), None, "cpu")
    return ComputeContext(
        plan=plan,
        settings=settings,
        loaded=loaded,
        scorer=None,
        render=None,
        should_stop=lambda: False,  # type: ignore[arg-type]
    )


CONTRAST = ContrastRow(field="race", group="Black", reference="White")


def pair(number: int, group: str, *, loan: int = 120) -> PairOfPrompts:
    """One application, white and in a group; its loan tells it from others."""
    text = TEXT.replace("120", f"{loan}")
    return PairOfPrompts(
        id=f"a{number}",
        case=f"a{number}/race=Black",
        prompts=(text.format("White"), text.format(group)),
        spans=((16, 21), (16, 16 + len(group))),
    )


def payload(*groups: str) -> PairsPayload:
    return of_pairs(*(pair(number, group) for number, group in enumerate(groups)))


def of_pairs(*pairs: PairOfPrompts) -> PairsPayload:
    return PairsPayload(contrast=CONTRAST, pairs=pairs)


def conclude(module: Any, results: Sequence[Any]) -> list[Any]:
    """What a method measures from results, or from their plain rows, that a ledger kept."""
    kept = [read_row(module.Result, through_a_ledger(result), what="result") for result in results]
    thresholds = SimpleNamespace(alpha=0.05, bootstrap=2000)
    plan = SimpleNamespace(thresholds=thresholds, cases=SimpleNamespace(seed=1))
    context: Any = SimpleNamespace(plan=plan)
    return [draft.measurement for draft in module.measure(context, kept)]
