"""The demonstration's base model: one application traced, one pair exchanged, one rationale written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from auditor.demo_data import load_loanapp
from auditor.language_models.decoder import Decoder, read_decoder
from auditor.language_models.local import forget_models, load
from auditor.language_models.packed import PackedScorer, probe_packing
from auditor.language_models.store import ModelStore
from auditor.mechanisms import look_ahead
from auditor.mechanisms.contract import Bench
from auditor.mechanisms.look_ahead_rationale import write
from auditor.plan import Plan, plan_from
from tests.engine.small import raw_plan
from tests.mechanisms.asking import asked, renderer

TEMPLATE = (
    "Approve or deny this mortgage?\nObligations {obligations_ratio}, guidelines {credit_guidelines}\n"
    "Sex: {sex}\nRace: {race}\n\nDecision:"
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
        cases={"limit": 40, "seed": 4},
        budget={"threads": 1, "pack_tokens": 512},
    )
    del raw["placebo"]
    return plan_from(raw, where="plan")


@pytest.mark.model
def test_every_check_holds_on_a_real_model_and_it_writes_as_it_would_itself(demo_store: ModelStore) -> None:
    plan, data = demo_plan(), load_loanapp()
    settings = look_ahead.Settings(traced=2, knocked=1, pairs=2, rationales=2, layers=3, regions=2, rationale_tokens=6)
    pieces = {piece.payload["part"]: piece.payload for piece in look_ahead.work(asked(settings, plan=plan, data=data))}
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

    def one(part: str) -> dict[str, object]:
        return {**pieces[part], "cases": pieces[part]["cases"][:1]}

    [case] = look_ahead.compute(bench, one("tracing"))["cases"]
    [pair] = look_ahead.compute(bench, one("exchange"))["pairs"]
    [written] = look_ahead.compute(bench, one("rationale"))["pairs"]

    results = (case, pair["whole"], pair["aligned"], written)
    failed = [check for found in results for check in found["checks"] if not check["held"]]
    assert not failed
    assert len(case["to_last"]["whole"]) == 5
    assert pair["whole"]["last"][-1] == pytest.approx(pair["whole"]["gap"], abs=1e-3)
    assert pair["whole"]["last"][0] == pytest.approx(0.0, abs=1e-4)
    decoder = read_decoder(loaded.model)
    assert isinstance(decoder, Decoder)
    prompt = "The best reason to save money is"
    [found] = write(bench, decoder, [prompt])
    ids = torch.tensor([loaded.tokenizer(prompt)["input_ids"]])
    own = loaded.model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :].tolist()
    assert list(found.tokens) == own[: len(found.tokens)]
    assert found.tokens
