"""Attributions of a plan's applications sum to the decision gap, or are not shown; fields that do not align are not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.targets import target_of
from auditor.mechanisms._shared.attribution_measures import GRADIENT, PATH
from auditor.mechanisms._shared.players import reference_words
from auditor.mechanisms.integrated_gradients import method as integrated_gradients
from auditor.mechanisms.integrated_gradients import paths
from auditor.mechanisms.integrated_gradients.baselines import Aligned, Candidates, align
from auditor.mechanisms.integrated_gradients.measure import SUM
from auditor.mechanisms.integrated_gradients.method import (
    CARD,
    INCOMPLETE,
    Settings,
    compute,
    measure,
    plan_chunks,
)
from auditor.mechanisms.integrated_gradients.result import Explained, Groups, NotExplained, Payload, Result
from auditor.plan import Plan
from auditor.testing.rows import read_row
from tests.acceptance.planted import planted_model
from tests.engine.small import small_plan
from tests.mechanisms import asking
from tests.mechanisms.computing import compute_context as pair_bench
from tests.mechanisms.computing import conclude, payload
from tests.mechanisms.test_probes_and_erasure import concluded

ANSWERS = {"favourable": ["y"], "adverse": ["n"], "mass_floor": 0.0}


def plan() -> Plan:
    return small_plan(prompt__answers=ANSWERS)


def explained(**changes: Any) -> list[Explained | NotExplained]:
    settings = Settings.model_validate({"cases": 6, "pairs": 0, **changes}, strict=False)
    at = asking.compute_context(settings, plan=plan())
    pieces = [asking.through_a_ledger(piece.payload) for piece in plan_chunks(asking.asked(settings, plan=plan()))]
    results = [compute(at, read_row(Payload, piece, what="payload")) for piece in pieces]
    return [read_row(Result, asking.through_a_ledger(result), what="result") for result in results]


def shown(**changes: Any) -> list[Explained]:
    return [result for result in explained(**changes) if isinstance(result, Explained)]


def aligned_of(words: dict[str, str]) -> Aligned | NotApplicable:
    given = asking.asked(Settings(), plan=plan())
    typical = reference_words(given, reference="typical", where="test")
    return align(asking.compute_context(Settings(), plan=plan()), words, Candidates(given, typical).of(words))


def test_values_sum_to_the_gap_between_the_application_and_its_reference() -> None:
    results = shown()
    assert len(results) >= 3
    for result in results:
        assert sum(result.values[PATH].values()) == pytest.approx(result.gap, abs=0.01 * abs(result.gap))
        assert result.sum == pytest.approx(result.own_gap, abs=max(0.01 * abs(result.gap), 1e-5))


def test_the_gap_is_that_of_two_whole_prompts_read_apart() -> None:
    at = asking.compute_context(Settings(), plan=plan())
    result = shown()[0]
    given = asking.asked(Settings(), plan=plan())
    own = given.words[result.id]
    margins = at.margins([at.render(words).text for words in (own, {**own, **result.moved})])
    assert result.gap == pytest.approx(margins[0] - margins[1], abs=1e-4)
    assert result.margin == pytest.approx(margins[0], abs=1e-4)


def test_a_field_moves_to_a_word_of_as_many_tokens_or_is_not_compared() -> None:
    for words in asking.asked(Settings(), plan=plan()).words.values():
        found = aligned_of(dict(words))
        if isinstance(found, NotApplicable):
            continue
        assert len(found.own) == len(found.reference)
        assert "sex" not in found.words  # “female” is two letters longer than “male”, the reference
        for name, word in found.words.items():
            assert len(word) == len(words[name])
            assert word != words[name]
        outside = set(range(len(found.own))) - {place for places in found.places.values() for place in places}
        assert all(found.own[place] == found.reference[place] for place in outside)


def test_a_field_at_the_typical_word_is_exactly_nothing() -> None:
    typical = {"race": "White", "sex": "male"}
    given = asking.asked(Settings(), plan=plan())
    seen = 0
    for result in shown():
        for name, word in typical.items():
            if given.words[result.id][name] == word:
                assert result.values[PATH][name] == result.values[GRADIENT][name] == 0
                seen += 1
            elif name == "sex":
                assert "sex" not in result.values[PATH]
    assert seen > 0


def test_candidates_come_nearer_to_the_typical_word_never_farther() -> None:
    given = asking.asked(Settings(), plan=plan())
    typical = reference_words(given, reference="typical", where="test")
    middle = float(typical["income"][1:])
    for words in given.words.values():
        for word in Candidates(given, typical).of(words).get("income", ()):
            assert abs(float(word[1:]) - middle) <= abs(float(words["income"][1:]) - middle)


def test_what_does_not_add_up_leaves_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths.Integrated, "complete", property(lambda _: False))
    results = explained()
    assert all(isinstance(result, NotExplained) and result.reason == INCOMPLETE for result in results)
    contrast = compute(pair_bench(Settings(most_steps=8)), groups("Black"))
    assert contrast.attributions == ()
    rows = conclude(integrated_gradients, [contrast])
    assert all(row.estimate is None and INCOMPLETE in str(row.missing_reason) for row in rows)


def groups(*names: str) -> Groups:
    return Groups(**dict(payload(*names)))


def test_between_two_groups_the_changed_field_holds_the_whole_difference() -> None:
    at = pair_bench(Settings())
    result = compute(at, groups("Black", "Asian"))
    ours = [row for row in result.attributions if row.test == f"{CARD.name}/{PATH} between groups"]
    assert [row.case_id for row in ours] == ["a0/race=Black", "a1/race=Black"]
    gaps = [pair.gap for pair in result.pairs]
    assert [row.value for row in ours] == pytest.approx(gaps, rel=0.01)
    found = {row.metric: row for row in conclude(integrated_gradients, [result])}
    assert set(found) == {"path_sum", "first_order_share"}
    # Gaps of both signs cancel in the mean; what each sum may miss does not.
    missed = 0.01 * sum(abs(gap) for gap in gaps) / 2
    assert found["path_sum"].estimate == pytest.approx(sum(gaps) / 2, abs=missed)
    assert [check.name for check in found["path_sum"].checks] == [SUM]


def test_gradient_times_input_is_the_slope_along_the_path_at_the_prompt() -> None:
    """A finite difference: a small step of the embeddings towards the baseline loses that share of the sum."""
    at = pair_bench(Settings())
    decoder = read_decoder(at.loaded.model.double())
    assert isinstance(decoder, Decoder)
    texts = payload("Black").pairs[0].prompts
    target: Any = target_of(at.questions([texts[0]])[0])
    base, end = (decoder.embed(at.loaded.tokenizer(text, return_tensors="pt").input_ids).detach() for text in texts)
    slope = paths.gradient_times_input(decoder, end, past=None, target=target, baseline=base).sum()
    step = 1e-4
    with torch.no_grad():
        sides = [decoder.run_from(0, end + sign * step * (end - base)) for sign in (1, -1)]
        margins = [float(decoder.margins(side, target)) for side in sides]
    assert (margins[0] - margins[1]) / (2 * step) == pytest.approx(slope, rel=1e-3)


def test_fields_are_measured_with_their_checks_and_without_those_not_compared() -> None:
    results = explained(cases=12)
    values = [result.values[PATH] for result in results if isinstance(result, Explained)]
    decisions = {result.id: SimpleNamespace(margin=getattr(result, "margin", None)) for result in results}
    thresholds = SimpleNamespace(alpha=0.05, bootstrap=2000)
    seeds = SimpleNamespace(thresholds=thresholds, cases=SimpleNamespace(seed=5))
    context: Any = SimpleNamespace(decisions=decisions, plan=seeds)
    rows = [draft.measurement for draft in measure(context, results)]
    assert {row.metric for row in rows} == {"attribution_size", "attribution_signed", "protected_share"}
    assert {row.subject["method"] for row in rows} == {PATH, GRADIENT}
    for row in rows:
        names = {check.name for check in row.checks}
        assert names == ({"margin as decided", SUM} if row.subject["method"] == PATH else {"margin as decided"})
    income = next(row for row in rows if row.subject == {"field": "income", "method": PATH})
    sizes = [abs(each["income"]) for each in values if "income" in each]
    assert income.estimate == pytest.approx(sum(sizes) / len(sizes))


def test_applications_that_cannot_be_compared_are_counted_with_their_reason() -> None:
    about = ("id", "players", "reference", "noise")
    reason = "no field has another word of as many tokens"
    results = [
        NotExplained(reason=reason, **{name: getattr(result, name) for name in about}) for result in explained(cases=2)
    ]
    [row] = conclude(integrated_gradients, results)
    assert row.estimate is None
    assert row.missing_reason == reason
    assert row.counts["cases_left_out"] == 2


def test_a_model_without_structure_is_not_tested_and_says_why() -> None:
    rows = conclude(integrated_gradients, [compute(pair_bench(Settings(), "bloom"), groups("Black"))])
    assert all("needs the structure of the model" in str(row.missing_reason) for row in rows)


def test_pairs_that_align_and_do_not_differ_are_not_said_not_to_align() -> None:
    _, measurements, _ = concluded(integrated_gradients, planted_model("B", against=0.0), cases=0, pairs=4)
    reasons = {str(item.missing_reason) for item in measurements if item.subject.get("group") == "Black"}

    assert reasons == {"no pair is left to look at: the two prompts differ by too little to share out"}
