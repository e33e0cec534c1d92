"""The demonstration's base model: one application, six fields, exact, against single unpacked readings."""

from __future__ import annotations

import pytest

from auditor.demo_data import load_loanapp
from auditor.language_models.packed import TOLERANCE, plain_log_probabilities
from auditor.language_models.store import ModelStore
from auditor.mechanisms._shared.attribution_rows import Reference
from auditor.mechanisms.field_attribution.method import Settings, compute, plan_chunks
from tests.mechanisms.asking import asked
from tests.mechanisms.demo import demo_bench, demo_plan

TEMPLATE = (
    "Approve or deny this mortgage?\nObligations {obligations_ratio}, loan to value {loan_to_value}, "
    "guidelines {credit_guidelines}, credit {consumer_credit}\nSex: {sex}\nRace: {race}\nDecision:"
)


@pytest.mark.model
@pytest.mark.usefixtures("model_let_go")
def test_six_fields_of_an_application_share_the_change_of_its_margin(demo_store: ModelStore) -> None:
    plan, data = demo_plan(TEMPLATE, limit=30), load_loanapp()
    settings = Settings(cases=1, shapley_cases=1)
    [piece] = plan_chunks(asked(settings, plan=plan, data=data))
    # A reference that differs in every field: all six play, which makes 64 prompts.
    reference = piece.payload.reference.words
    case = piece.payload.cases[0]
    other = {
        "obligations_ratio": "55%",
        "loan_to_value": "97%",
        "credit_guidelines": {"met": "not met", "not met": "met"}[case.words["credit_guidelines"]],
        "consumer_credit": "60 days past due",
        "sex": {"male": "female", "female": "male"}[case.words["sex"]],
        "race": "Hispanic",
    }
    payload = piece.payload.model_copy(update={"reference": Reference(name="other", words={**reference, **other})})
    context = demo_bench(demo_store, plan=plan, data=data, settings=settings)
    [found] = compute(context, payload).cases
    game = found.game
    assert game.coalitions == 64
    assert len(game.values) == 6
    assert sum(game.values.values()) == pytest.approx(found.margin - game.empty, abs=TOLERANCE)

    def alone(words: dict[str, str]) -> float:
        [question] = context.questions([context.render(words).text])
        favourable, adverse = plain_log_probabilities(context.loaded.model, question.sequences[0], question.reads[0])
        return favourable - adverse

    words = case.words
    assert game.empty == pytest.approx(alone(other), abs=2 * TOLERANCE)
    race = alone(words) - alone({**words, "race": other["race"]})
    assert found.values["occlusion"]["race"] == pytest.approx(race, abs=2 * TOLERANCE)
    assert race != 0
