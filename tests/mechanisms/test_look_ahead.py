"""Look-ahead: what must hold for any model, then what a planted decision must show, then a real model."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from auditor.catalogue import TESTS, looks_inside
from auditor.conclusions import adjust_and_conclude
from auditor.exceptions import PlanError, ScoringError
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.local import LoadedModel
from auditor.language_models.noise import noise_floor
from auditor.language_models.packed import PackedScorer, PackingProbe
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.pair_measures import SHARES
from auditor.mechanisms._shared.probe_fits import basis_of
from auditor.mechanisms.look_ahead import method as look_ahead
from auditor.mechanisms.look_ahead.layout import LAST, lay_out, regions, twin
from auditor.mechanisms.look_ahead.rationale import Frame, _has_room, effects, frame_of, score, write
from auditor.mechanisms.look_ahead.rationale_rows import Exchanged, Likelihood, Texts, Two
from auditor.mechanisms.look_ahead.reading import _Reader, bag_of_fields, spaced
from auditor.mechanisms.look_ahead.result import Asked, RationaleResult, ReadingPayload, TracingResult
from auditor.mechanisms.look_ahead.tracing import hidden
from auditor.plan import Plan
from auditor.records import Decision, Measurement, Outcome
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.chunks import ChunkSpec
from auditor.testing.context import Context
from auditor.testing.on_internals import OnInternals
from tests.acceptance.planted import planted_model
from tests.engine.small import small_cases, small_data, small_plan
from tests.language_models.test_long_prompts import SWITCH, long_rope
from tests.language_models.tiny import tiny_tokenizer
from tests.language_models.zoo import PACKABLE as FAMILIES
from tests.language_models.zoo import zoo_model
from tests.mechanisms.asking import PACKABLE, asked, renderer, through_a_ledger, words_of

DATA = small_data(60)
ANSWERS = {"favourable": ["Y"], "adverse": ["N"], "mass_floor": 0.0}
TARGET = Target((5,), (9,))
AGAINST = 90.0  # one letter outweighs all digits of a prompt
SMALL = {"applications": 60, "traced": 12, "knocked": 4, "pairs": 5, "rationales": 5, "layers": 3, "windows": 2}


def registered() -> OnInternals:
    test = TESTS["look_ahead"]
    assert looks_inside(test)
    return test


def plan_of(**changes: Any) -> Plan:
    return small_plan(prompt__answers=ANSWERS, tests__run=["look_ahead"], noise__reask=0, **changes)


def context_with(model: Any, settings: Any, plan: Plan) -> ComputeContext:
    probe = (
        PACKABLE if model.config.model_type in FAMILIES else PackingProbe(False, None, "its mask is of another kind")
    )
    return ComputeContext(
        plan=plan,
        settings=settings,
        loaded=LoadedModel(model, tiny_tokenizer(), None, "cpu"),
        scorer=PackedScorer(model, pack_tokens=64, probe=probe),
        render=renderer(plan, DATA),
        should_stop=lambda: False,
    )


def concluded(model: Any, *, plan: Plan | None = None, **settings: Any) -> tuple[list[Any], tuple[Measurement, ...]]:
    """Run the test as the conductor does: planned, computed, kept as bytes, measured, settled."""
    plan = plan or plan_of()
    chosen = look_ahead.Settings(**{**SMALL, **settings})
    computing = context_with(model, chosen, plan)
    pieces = list(look_ahead.plan_chunks(asked(chosen, plan=plan, data=DATA)))
    results = [through_a_ledger(registered().compute(computing, through_a_ledger(piece.payload))) for piece in pieces]
    cases = small_cases(plan, DATA)
    margins = computing.margins([case.prompt for case in cases])
    outcomes = {True: Outcome.FAVOURABLE, False: Outcome.ADVERSE}
    decisions = {
        case.id: Decision(case.id, float(margin), 1.0, 0.0, 0.0, outcomes[bool(margin >= 0)])
        for case, margin in zip(cases, margins, strict=True)
    }
    context = Context(
        plan=plan,
        cases=cases,
        decisions=decisions,
        observed={},
        values={},
        observed_rate=None,
        results={"look_ahead": results},
    )
    return results, adjust_and_conclude(list(registered().measure(context)))


@cache
def planted() -> tuple[list[Any], tuple[Measurement, ...]]:
    """A model whose first attention block sums the digits and letters read so far; nothing else moves its margin."""
    return concluded(planted_model("B", against=AGAINST))


def of(measurements: tuple[Measurement, ...], metric: str, **subject: str) -> Measurement:
    found = [m for m in measurements if m.metric == metric and subject.items() <= m.subject.items()]
    assert len(found) == 1, [m.id for m in found]
    return found[0]


def decoder_of(family: str) -> Decoder:
    decoder = read_decoder(zoo_model(family))
    assert isinstance(decoder, Decoder)
    return decoder


# Attention knockout


@pytest.mark.parametrize("family", FAMILIES)
def test_knocking_out_nothing_changes_nothing(family: str) -> None:
    decoder, tokens = decoder_of(family), torch.tensor([[5, 8, 30, 31, 40, 41]])
    empty = dict.fromkeys(range(decoder.layers), torch.zeros((1, 6, 6), dtype=torch.bool))
    with torch.no_grad():
        own = decoder.model(input_ids=tokens, use_cache=False).logits
        found = decoder.logits(decoder.run(tokens, hide=empty).final)
    assert float((found - own).abs().max()) <= 1e-4 * max(1.0, float(own.abs().max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_knocked_out_for_all_later_text_no_longer_matters(family: str) -> None:
    decoder = decoder_of(family)
    prompts = torch.tensor([[5, 8, 30, 31, 40, 41], [5, 8, 99, 77, 40, 41]])
    cut = torch.zeros((1, 6, 6), dtype=torch.bool)
    cut[:, 4:, 2:4] = True
    with torch.no_grad():
        plain = decoder.margins(decoder.run(prompts), TARGET)
        blocked = decoder.margins(decoder.run(prompts, hide=dict.fromkeys(range(decoder.layers), cut)), TARGET)
        half = decoder.margins(decoder.run(prompts, hide={0: cut}), TARGET)
    assert abs(float(plain[0] - plain[1])) > 0.01
    assert abs(float(half[0] - half[1])) > 1e-3, "in one layer only, the other one still reads it"
    assert float(blocked[0]) == pytest.approx(float(blocked[1]), abs=1e-5)


def test_rows_of_one_batch_have_their_own_knockouts_and_read_a_shared_prefix() -> None:
    decoder, tokens = decoder_of("llama"), torch.tensor([[5, 8, 30, 31, 40, 41]])
    masks = torch.zeros((2, 1, 6), dtype=torch.bool)
    masks[0, :, 1:3] = True
    with torch.no_grad():
        past = decoder.run(tokens[:, :5], keep_past=True).past
        rows = decoder.run(tokens[:, 5:].expand(2, -1), past=past, hide=dict.fromkeys(range(decoder.layers), masks))
        alone = [
            decoder.run(tokens[:, 5:], past=past, hide=dict.fromkeys(range(decoder.layers), m[None])) for m in masks
        ]
    assert torch.allclose(rows.final, torch.cat([run.final for run in alone]), atol=1e-5)
    assert not torch.allclose(rows.final[0], rows.final[1], atol=1e-3)


def test_a_position_that_would_see_nothing_is_refused() -> None:
    decoder = decoder_of("llama")
    with pytest.raises(ScoringError, match="nothing to attend to"):
        decoder.run(torch.tensor([[5, 8]]), hide={1: torch.ones((1, 2, 2), dtype=torch.bool)})


# Where things stand


def test_a_twin_keeps_every_token_in_its_place() -> None:
    computing = context_with(zoo_model("llama"), look_ahead.Settings(), plan_of())
    words = {"income": "$41", "form": "120", "sex": "male", "race": "White"}
    other = {"income": "$87", "form": "903", "sex": "female", "race": "Black"}
    own, second, mixed, changed = twin(computing, words, other)

    assert changed == ("income", "form", "race")
    assert mixed["sex"] == "male"
    assert own.alike(second)
    assert own.tokens != second.tokens


def test_regions_cover_every_position_from_the_first_field_once() -> None:
    computing = context_with(zoo_model("llama"), look_ahead.Settings(), plan_of())
    (layout,) = lay_out(computing, [{"income": "$41", "form": "120", "sex": "male", "race": "White"}])
    found = regions(layout, parts=3)
    places = [place for region in found.values() for place in region]

    assert places == list(range(layout.spans["income"][0], len(layout.tokens)))
    assert list(found) == ["from income", "from form", "from sex", "after the fields", LAST]


def test_a_value_still_sees_itself_when_hidden() -> None:
    computing = context_with(zoo_model("llama"), look_ahead.Settings(), plan_of())
    (layout,) = lay_out(computing, [{"income": "$41", "form": "120", "sex": "male", "race": "White"}])
    first, stop = layout.spans["form"]
    mask = hidden(layout, ["form"], start=0, stop=len(layout.tokens))[0]

    assert not mask[:stop].any()
    assert mask[stop:, first:stop].all()
    assert int(mask.sum()) == (len(layout.tokens) - stop) * (stop - first)


def test_a_bag_of_fields_holds_numbers_as_numbers_and_words_as_words() -> None:
    words = [{"income": text, "race": race} for text, race in (("$1,200", "A"), ("9", "A"), ("none", "B"), ("3%", "C"))]
    bag = bag_of_fields(words, ["income", "race"])

    assert bag[:, 0].tolist() == [1200.0, 9.0, 404.0, 3.0]
    assert bag[:, 1].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert bag[:, 2:].tolist() == [[1.0], [1.0], [0.0], [0.0]]
    assert spaced(30, 7) == [0, 5, 10, 15, 20, 25, 30]


# A planted decision: the first attention block reads it, the digits of the form number are in it, sex is not


def test_every_self_check_holds_on_the_planted_model() -> None:
    failed = [(row.id, check) for row in planted()[1] for check in row.checks if not check.held]
    assert not failed, failed[:3]
    assert {row.role for row in planted()[1]} == {"supporting"}


def test_contributions_of_attention_mlp_and_the_rest_sum_to_the_whole() -> None:
    rows = [row for row in planted()[1] if row.metric == "written_share"]
    assert sum(row.estimate for row in rows if row.estimate is not None) == pytest.approx(1.0, abs=1e-6)
    results, _ = planted()
    for case in (case for row in results if row["part"] == "tracing" for case in TracingResult.read(row).cases):
        total = case.embedding + sum(case.attention) + sum(case.mlps) + case.constant
        assert total == pytest.approx(case.margin, abs=1e-3)


def test_attention_of_the_first_layer_is_found_as_the_writer() -> None:
    _, measurements = planted()
    assert of(measurements, "written_share", node="attention").estimate == pytest.approx(1.0, abs=0.1)
    assert of(measurements, "written_share", node="MLP").estimate == pytest.approx(0.0, abs=1e-6)
    assert of(measurements, "written_by_layer", layer="0", node="attention").estimate == pytest.approx(1.0, abs=0.1)
    assert of(measurements, "written_by_layer", layer="1", node="attention").estimate == pytest.approx(0.0, abs=1e-6)


def test_the_planted_decision_is_readable_and_causal_from_the_layer_that_writes_it() -> None:
    _, measurements = planted()
    assert of(measurements, "readable_layer").estimate == 1.0
    assert of(measurements, "causal_layer").estimate == 1.0
    assert of(measurements, "causal_last_token", layer="0").estimate == pytest.approx(0.0, abs=1e-6)
    late = of(measurements, "causal_last_token", layer="1")
    assert late.estimate == pytest.approx(1.0, abs=1e-3)
    # Put in, put back, and the mean in both, by three sums: the two prompts share nothing that stands before.
    assert late.counts["specifications_asked"] == 9
    ends = [late.counts[f"specifications_{end}"] for end in ("lowest", "highest")]
    assert ends == pytest.approx([1.0, 1.0], abs=1e-3)
    parts = [row for row in measurements if row.metric == "causal_share" and row.subject["position"] != LAST]
    early, late = ([row.estimate or 0.0 for row in parts if row.subject["layer"] == layer] for layer in "01")
    assert sum(early) > 0.5
    assert max(map(abs, late)) < 1e-6


def test_a_decision_planned_early_is_read_at_the_first_field_that_settles_it() -> None:
    """Race is the last field and outweighs all digits: before it the margin cannot be known, at it it can."""
    _, measurements = planted()
    before = of(measurements, "look_ahead_readable", layer="1", position="sex")
    at = of(measurements, "look_ahead_readable", layer="1", position="race")
    assert before.estimate < 0.5
    assert at.estimate > 0.8
    assert at.low > 0.7
    assert at.counts["fields_alone"] < at.estimate


def test_a_decision_that_hangs_on_the_first_field_is_read_there_and_no_earlier_than_its_layer() -> None:
    plan = plan_of(prompt__template="Race {race}\nForm {form}\nSex {sex}\nIncome {income}\nDecision:")
    _, measurements = concluded(
        planted_model("B", against=AGAINST), plan=plan, traced=2, knocked=0, pairs=1, rationales=0
    )
    assert of(measurements, "look_ahead_readable", layer="0", position="sex").estimate < 0.3
    assert of(measurements, "look_ahead_readable", layer="1", position="sex").estimate > 0.7
    assert of(measurements, "first_readable_field").estimate == 1.0


def test_a_product_of_fields_in_the_state_is_nothing_beyond_the_fields() -> None:
    """Above a linear reader of the fields it stands out; a reader that bends tells it from the fields alone."""
    rng = np.random.default_rng(0)
    income, debt = rng.integers(1, 99, (2, 80))
    words = [{"income": f"${one}", "debt": f"${two}"} for one, two in zip(income, debt, strict=True)]
    product = (income - 50.0) * (debt - 50.0) / 1000
    cases = [Asked(id=str(number), words=each) for number, each in enumerate(words)]
    computing = context_with(zoo_model("llama"), look_ahead.Settings(), plan_of())
    reader = _Reader(computing, cases, ["income", "debt"], product, control="")
    columns = bag_of_fields(words, ["income", "debt"])
    _, errors = reader.site(basis_of(np.column_stack([columns, product])))
    _, straight = reader.site(basis_of(columns))
    _, bent = reader.curved(columns)
    alone, claimed = reader.above(errors, straight), reader.above(errors, straight, bent)
    assert alone is not None
    assert claimed is not None
    assert alone.value > 0.9
    assert alone.p_value < 0.001
    assert claimed.value < 0.3
    assert claimed.p_value >= alone.p_value


def test_the_interval_above_two_readers_is_no_surer_than_that_above_either() -> None:
    """Barely less above a reader it beats everywhere than above one that it beats in some applications alone."""
    rng = np.random.default_rng(0)
    words = [{"income": f"${one}"} for one in rng.integers(1, 99, 80)]
    margins = rng.normal(0, 1, 80)
    computing = context_with(zoo_model("llama"), look_ahead.Settings(), plan_of())
    cases = [Asked(id=str(number), words=each) for number, each in enumerate(words)]
    reader = _Reader(computing, cases, ["income"], margins, control="")
    spread = np.asarray(reader.squares[:, 0])
    errors = 0.5 * spread
    even, uneven = errors + 0.20 * spread, errors + spread.mean() * np.where(np.arange(80) < 2, 8.2, 0.0)
    one, other, both = (reader.above(errors, *bags) for bags in ((even,), (uneven,), (even, uneven)))
    assert one is not None
    assert other is not None
    assert both is not None
    assert one.value < other.value
    assert one.low > 0 > other.low
    assert both.value == one.value
    assert both.low == other.low
    assert both.low <= both.value <= both.high
    assert (both.p_value < 0.05) == (both.low > 0)


def test_the_irrelevant_fact_is_at_chance_before_it_is_read_and_readable_after() -> None:
    """The sum of all digits so far gives the form number away only where it stands and not before."""
    _, measurements = planted()
    (check,) = [c for c in of(measurements, "readable_layer").checks if c.name == "a fact not yet read cannot be read"]
    assert check.held
    assert abs(check.value - 0.5) <= check.bound
    assert not [
        row for row in measurements if row.metric == "look_ahead_control" and row.subject["position"] == "income"
    ]
    assert of(measurements, "look_ahead_control", layer="0", position="sex").estimate < 0.1


def test_cutting_the_last_token_off_from_the_field_that_decides_moves_it_most() -> None:
    _, measurements = planted()
    for to in (LAST, "all later text"):
        race = of(measurements, "knockout_size", field="race", to=to)
        sex = of(measurements, "knockout_size", field="sex", to=to)
        assert race.estimate > 5 * sex.estimate
    assert of(measurements, "knockout_window_size", layer="1", position="race").estimate == pytest.approx(0, abs=1e-5)
    assert of(measurements, "knockout_window_size", layer="0", position="race").estimate > 0.1
    assert of(measurements, "knockout_spread_left").estimate < 0.2


# Rationales


def test_a_rationale_goes_between_the_fields_and_the_cue() -> None:
    computing = context_with(zoo_model("llama"), look_ahead.Settings(), plan_of())
    words = {"income": "$41", "form": "120", "sex": "male", "race": "White"}
    assert frame_of(computing, words) == Frame("Income $41\nForm 120\nSex male\nRace White\n", "Decision:")
    assert Frame("Race White\n\n", "Decision:").reasoned("Reason: good") == "Race White\n\nReason: good\n\nDecision:"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("Race {race}\nForm {form} {income} {sex} Decision:", "also states a field"),
        ("Income {income} Form {form} Sex {sex}\nRace {race}\n", "does not end with a line"),
    ],
)
def test_a_prompt_without_a_place_for_a_rationale_says_so(template: str, reason: str) -> None:
    plan = plan_of(prompt__template=template)
    settings = {"traced": 2, "knocked": 0, "pairs": 1, "rationales": 1}
    _, measurements = concluded(planted_model("B", against=AGAINST), plan=plan, **settings)
    assert reason in str(of(measurements, "decision_follows").missing_reason)


def test_a_rationale_that_would_reach_past_the_switch_of_the_positions_is_not_written() -> None:
    """LongRoPE reads a prompt by its length past the switch, long before the context ends."""
    frames = [Frame("Race White\n", "Decision:")]
    rooms = {}
    for tokens in (8, SWITCH):
        computing = context_with(long_rope(), look_ahead.Settings(rationale_tokens=tokens), plan_of())
        rooms[tokens] = _has_room(computing, frames)
        plain = context_with(zoo_model("llama"), look_ahead.Settings(rationale_tokens=tokens), plan_of())
        assert _has_room(plain, frames)
    assert rooms == {8: True, SWITCH: False}


def test_the_two_effects_of_a_swap_sum_to_the_difference() -> None:
    table = np.array([[3.0, 1.0], [0.5, -2.0]])
    application, rationale = effects(table)
    assert application + rationale == pytest.approx(table[0, 0] - table[1, 1])
    assert effects(np.array([[2.0, 2.0], [-1.0, -1.0]])) == (3.0, 0.0)
    assert effects(np.array([[2.0, -1.0], [2.0, -1.0]])) == (0.0, 3.0)


def test_what_is_written_is_what_the_model_itself_would_write() -> None:
    model = zoo_model("gpt2")
    computing = context_with(model, look_ahead.Settings(rationale_tokens=8), plan_of())
    decoder = read_decoder(model)
    assert isinstance(decoder, Decoder)
    prompt = "Income 5\nReason:"
    (alone,) = write(computing, decoder, [prompt])
    together = write(computing, decoder, [prompt, "Income 5\nDecision:Y\nReason:"])[0]

    ids = torch.tensor([computing.loaded.tokenizer(prompt)["input_ids"]])
    own = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, ids.shape[1] :].tolist()
    assert list(alone.tokens) == own[: len(alone.tokens)]
    assert together.tokens == alone.tokens
    (scored,) = score(computing, [(prompt, alone.text)])
    assert scored is not None
    if scored.tokens == alone.tokens:
        assert scored.likelihood == pytest.approx(alone.likelihood, abs=1e-3)


def rationale_part(*pairs: Exchanged) -> tuple[Measurement, ...]:
    result = RationaleResult(left_out=0, noise=noise_floor(zoo_model("llama")), pairs=pairs)
    decided = {
        name: Decision(name, margin, 1.0, None, None, Outcome.FAVOURABLE if margin >= 0 else Outcome.ADVERSE)
        for name, margin in (("a", 1.0), ("b", -1.0))
    }
    context = Context(
        plan=plan_of(),
        cases=(),
        decisions=decided,
        observed={},
        values={},
        observed_rate=None,
        results={"look_ahead": [through_a_ledger(result)]},
    )
    return adjust_and_conclude(list(registered().measure(context)))


def a_pair(swapped: tuple[Two, Two], *, reasons: tuple[str, str], losses: Two) -> Exchanged:
    turned, moved = losses
    one, other = (Texts(free=reason, favourable=" good", adverse=" bad") for reason in reasons)
    return Exchanged(
        ids=("a", "b"),
        plain=(1.0, -1.0),
        swapped=swapped,
        written=(one, other),
        states_answer=(False, True),
        likelihoods=(
            Likelihood(application=0, decision="adverse", own=-1.0, turned=-1.0 - turned, moved=-1.0 - moved),
        ),
        checks=(),
    )


def test_a_decision_that_follows_its_rationale_is_told_from_one_that_does_not() -> None:
    by_reason = a_pair(((2.0, -2.0), (2.0, -2.0)), reasons=(" pays", " owes"), losses=(0.9, 0.1))
    found = rationale_part(by_reason, by_reason, by_reason)
    assert of(found, "decision_follows", what="rationale").estimate == pytest.approx(1.0)
    assert of(found, "decision_follows", what="application").estimate == pytest.approx(0.0)
    assert of(found, "rationale_follows_decision").estimate == pytest.approx(0.9)
    assert of(found, "rationale_changes_with_decision").estimate == 1.0
    assert of(found, "rationale_names_answer").estimate == 0.5


def test_rationales_that_are_all_alike_cannot_be_exchanged_and_the_reason_is_given() -> None:
    alike = a_pair(((2.0, 2.0), (-2.0, -2.0)), reasons=(" so", " so"), losses=(0.0, 0.0))
    found = rationale_part(alike, alike)
    assert "the same rationale for both" in str(of(found, "decision_follows").missing_reason)
    assert of(found, "decision_follows").counts["distinct"] == 1
    assert of(found, "rationale_follows_decision").estimate is None


def test_rationales_of_the_planted_model_are_measured() -> None:
    _, measurements = planted()
    assert of(measurements, "rationale_shift").n == 10
    assert of(measurements, "rationale_loss", changed="decision").checks


# Conduct


def test_the_same_chunks_give_the_same_bytes() -> None:
    again, _ = concluded(planted_model("B", against=AGAINST))
    assert again == planted()[0]


def test_a_model_without_structure_is_still_read_and_the_rest_says_why_not() -> None:
    _, measurements = concluded(zoo_model("bloom"), traced=2, pairs=1, rationales=1)
    reasons = [of(measurements, metric).missing_reason for metric in ("causal_share", "written_share")]
    assert all("needs the structure of the model" in str(reason) for reason in reasons)
    assert of(measurements, "look_ahead_readable", layer="2", position=LAST).estimate is not None


def test_a_number_whose_check_did_not_hold_is_withheld() -> None:
    results, _ = planted()
    plan = plan_of()
    (part, *_) = [result for result in results if result["part"] == "exchange"]
    broken = through_a_ledger(part)
    broken["pairs"][0]["whole"]["checks"][0]["held"] = False
    broken["pairs"][0]["aligned"]["checks"][0]["held"] = False
    context = Context(
        plan=plan, cases=(), decisions={}, observed={}, values={}, observed_rate=None, results={"look_ahead": [broken]}
    )
    rows = adjust_and_conclude(list(registered().measure(context)))
    assert rows
    assert all(row.estimate is None and "did not hold" in str(row.missing_reason) for row in rows)


def payloads(pieces: list[ChunkSpec]) -> list[Any]:
    return [piece.payload for piece in pieces]


def test_work_beyond_the_tokens_is_left_out_and_counted() -> None:
    plan = plan_of()
    everything = list(look_ahead.plan_chunks(asked(look_ahead.Settings(**SMALL), plan=plan, data=DATA)))
    total = sum(piece.tokens for piece in everything)
    less = list(look_ahead.plan_chunks(asked(look_ahead.Settings(**SMALL, tokens=total // 2), plan=plan, data=DATA)))

    assert sum(piece.tokens for piece in less) <= 0.55 * total
    assert all(payload.left_out > 0 for payload in payloads(less) if len(payload.cases) > 2)
    assert {payload.part for payload in payloads(less)} == {"reading", "tracing", "exchange", "rationale"}
    assert all(payload.left_out == 0 for payload in payloads(everything))


def test_a_control_that_is_not_in_the_prompt_is_named() -> None:
    with pytest.raises(PlanError, match="'rank' is not in the prompt"):
        list(look_ahead.plan_chunks(asked(look_ahead.Settings(control_field="rank"), plan=plan_of(), data=DATA)))


def test_a_plan_without_a_placebo_measures_no_control() -> None:
    settings = look_ahead.Settings(**{**SMALL, "applications": 20})
    held = dataclasses.replace(
        asked(settings, plan=plan_of(), data=DATA), plan=plan_of().model_copy(update={"placebo": None})
    )
    reading = next(iter(look_ahead.plan_chunks(held))).payload
    assert isinstance(reading, ReadingPayload)
    assert reading.control == ""
    assert "no placebo" in reading.control_reason
    assert words_of(held.clusters[0])


def test_one_pair_gives_no_share_and_few_are_called_an_illustration() -> None:
    settings = {"traced": 2, "knocked": 0, "pairs": 1, "rationales": 1, "rationale_tokens": 2}
    _, measurements = concluded(planted_model("B", against=AGAINST), **settings)

    for item in measurements:
        if item.estimate is not None and item.n < FOR_A_SHARE:
            assert "an illustration" in item.method, item.id
        assert item.unit not in SHARES or item.n != 1 or item.estimate is None, item.id
    assert "one application gives no share" in str(of(measurements, "causal_last_token", layer="0").missing_reason)
