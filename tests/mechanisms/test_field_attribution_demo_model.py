"""The demonstration's base model: one application, six fields, exact, against single unpacked readings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from auditor.demo_data import load_loanapp
from auditor.language_models.local import forget_models, load
from auditor.language_models.packed import TOLERANCE, PackedScorer, plain_log_probabilities, probe_packing
from auditor.language_models.store import ModelStore
from auditor.mechanisms.contract import Bench
from auditor.mechanisms.field_attribution import Settings, compute, work
from auditor.plan import Plan, plan_from
from tests.engine.small import raw_plan
from tests.mechanisms.asking import asked, renderer

TEMPLATE = (
    "Approve or deny this mortgage?\nObligations {obligations_ratio}, loan to value {loan_to_value}, "
    "guidelines {credit_guidelines}, credit {consumer_credit}\nSex: {sex}\nRace: {race}\nDecision:"
)


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    forget_models()
    torch.set_num_threads(threads)


def demo_plan() -> Plan:
    raw = raw_plan(
        prompt__template=TEMPLATE,
        prompt__answers={"favourable": [" approve"], "adverse": [" deny"], "mass_floor": 0.0},
        cases={"limit": 30, "seed": 4},
        budget={"threads": 1, "pack_tokens": 512},
    )
    del raw["placebo"]
    return plan_from(raw, where="plan")


@pytest.mark.model
def test_six_fields_of_an_application_share_the_change_of_its_margin(demo_store: ModelStore) -> None:
    plan, data = demo_plan(), load_loanapp()
    settings = Settings(cases=1, shapley_cases=1)
    [piece] = work(asked(settings, plan=plan, data=data))
    # A reference that differs in every field: all six play, which makes 64 prompts.
    reference = piece.payload["reference"]["words"]
    case = piece.payload["cases"][0]
    other = {
        "obligations_ratio": "55%",
        "loan_to_value": "97%",
        "credit_guidelines": {"met": "not met", "not met": "met"}[case["words"]["credit_guidelines"]],
        "consumer_credit": "60 days past due",
        "sex": {"male": "female", "female": "male"}[case["words"]["sex"]],
        "race": "Hispanic",
    }
    reference.update(other)
    loaded = load(demo_store.import_model("demo:smollm2"), threads=1)
    probe = probe_packing(loaded.model, vocabulary=loaded.model.config.vocab_size, longest=512)
    bench = Bench(
        plan=plan,
        settings=settings,
        loaded=loaded,
        scorer=PackedScorer(loaded.model, pack_tokens=512, probe=probe),
        render=renderer(plan, data),
        should_stop=lambda: False,
    )
    [found] = compute(bench, piece.payload)["cases"]
    game = found["game"]
    assert game["coalitions"] == 64
    assert len(game["values"]) == 6
    assert sum(game["values"].values()) == pytest.approx(found["margin"] - game["empty"], abs=TOLERANCE)

    def alone(words: dict[str, str]) -> float:
        [question] = bench.questions([bench.render(words).text])
        favourable, adverse = plain_log_probabilities(loaded.model, question.sequences[0], question.reads[0])
        return favourable - adverse

    words = case["words"]
    assert game["empty"] == pytest.approx(alone(other), abs=2 * TOLERANCE)
    race = alone(words) - alone({**words, "race": other["race"]})
    assert found["values"]["occlusion"]["race"] == pytest.approx(race, abs=2 * TOLERANCE)
    assert race != 0
