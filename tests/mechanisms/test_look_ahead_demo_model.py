"""The demonstration's base model: one application traced, one pair exchanged, one rationale written."""

from __future__ import annotations

import pytest
import torch

from auditor.demo_data import load_loanapp
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.store import ModelStore
from auditor.mechanisms.look_ahead import method as look_ahead
from auditor.mechanisms.look_ahead.rationale import write
from auditor.mechanisms.look_ahead.result import ExchangeResult, RationaleResult, ReadingPayload, TracingResult
from tests.mechanisms.asking import asked
from tests.mechanisms.demo import demo_bench, demo_plan

TEMPLATE = (
    "Approve or deny this mortgage?\nObligations {obligations_ratio}, guidelines {credit_guidelines}\n"
    "Sex: {sex}\nRace: {race}\n\nDecision:"
)


@pytest.mark.model
@pytest.mark.usefixtures("model_let_go")
def test_every_check_holds_on_a_real_model_and_it_writes_as_it_would_itself(demo_store: ModelStore) -> None:
    plan, data = demo_plan(TEMPLATE, limit=40), load_loanapp()
    settings = look_ahead.Settings(traced=2, knocked=1, pairs=2, rationales=2, layers=3, regions=2, rationale_tokens=6)
    context = demo_bench(demo_store, plan=plan, data=data, settings=settings)
    # One case of every part but of the reading, which is of all applications at once.
    payloads = {
        type(piece.payload): piece.payload.model_copy(update={"cases": piece.payload.cases[:1]})
        for piece in look_ahead.plan_chunks(asked(settings, plan=plan, data=data))
        if not isinstance(piece.payload, ReadingPayload)
    }
    found = {type(result): result for result in (look_ahead.compute(context, each) for each in payloads.values())}
    [case] = found[TracingResult].cases
    [pair] = found[ExchangeResult].pairs
    [written] = found[RationaleResult].pairs

    results = (case, pair.whole, pair.aligned, written)
    failed = [check for each in results for check in each.checks if not check.held]
    assert not failed
    assert len(case.to_last.whole) == 5
    assert pair.whole.effects.last[-1] == pytest.approx(pair.whole.gap, abs=1e-3)
    assert pair.whole.effects.last[0] == pytest.approx(0.0, abs=1e-4)
    decoder = read_decoder(context.loaded.model)
    assert isinstance(decoder, Decoder)
    prompt = "The best reason to save money is"
    [said] = write(context, decoder, [prompt])
    ids = torch.tensor([context.loaded.tokenizer(prompt)["input_ids"]])
    own = context.loaded.model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :].tolist()
    assert list(said.tokens) == own[: len(said.tokens)]
    assert said.tokens
