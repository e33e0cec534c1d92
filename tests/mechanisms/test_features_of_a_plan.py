"""Superposition and interpretation as a plan runs them, on a tiny model that counts a letter against applicants."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.answering.text import text_of_endpoint
from auditor.conclusions import adjust_and_conclude
from auditor.exceptions import Interrupted, PlanError
from auditor.language_models.activations import harvest
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.local import LoadedModel
from auditor.language_models.packed import PackedScorer
from auditor.ledger import FolderLedger
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.contrast_rows import ContrastCases
from auditor.mechanisms._shared.feature_contrasts import contrasts_of, read_states, spread
from auditor.mechanisms.interpretation import method as interpretation
from auditor.mechanisms.superposition import method as superposition
from auditor.plan import Plan
from auditor.records import Measurement, Role
from auditor.statistics.minimums import interval_may_stand
from auditor.synthesis.described_elsewhere import described_elsewhere
from auditor.systems.opening import ListedSystems
from auditor.testing.context import Context
from tests.acceptance.planted import planted_model
from tests.engine.small import small_cases, small_data, small_plan
from tests.language_models.tiny import tiny_model, tiny_tokenizer
from tests.language_models.zoo import zoo_model
from tests.mechanisms import typed
from tests.mechanisms.asking import PACKABLE, asked, renderer
from tests.records import manifest_of
from tests.systems.answering import answering
from tests.systems.describing import Describing, two_listed

DATA = small_data(24)
DICTIONARY = {"expansion": 4, "k": 4, "steps": 120, "batch": 256, "tokens": 100_000}
SETTINGS: dict[str, Any] = {
    "superposition": superposition.Settings(applications=8),
    "interpretation": interpretation.Settings(applications=16, report=8),
}


def plan_of(**dictionary: Any) -> Plan:
    return small_plan(
        prompt__answers={"favourable": ["Y"], "adverse": ["N"], "mass_floor": 0.0},
        tests__run=list(SETTINGS),
        noise__reask=0,
        settings={"dictionary": {**DICTIONARY, **dictionary}},
    )


PLAN = plan_of()


def context_with(model: Any, settings: Any) -> ComputeContext:
    return ComputeContext(
        plan=PLAN,
        settings=settings,
        loaded=LoadedModel(model, tiny_tokenizer(), None, "cpu"),
        scorer=PackedScorer(model, pack_tokens=64, probe=PACKABLE),
        render=renderer(PLAN, DATA),
        should_stop=lambda: False,
    )


def computed(test: Any, model: Any) -> list[Any]:
    chosen = SETTINGS[test.CARD.name]
    return typed.results(test, context_with(model, chosen), asked(chosen, plan=PLAN, data=DATA))


def context_of(results: dict[str, list[dict[str, Any]]]) -> Context:
    return Context(
        plan=PLAN,
        cases=small_cases(PLAN, DATA),
        decisions={},
        observed={},
        values={},
        observed_rate=None,
        results=results,
    )


def concluded(test: Any, results: list[Any]) -> tuple[Measurement, ...]:
    return adjust_and_conclude(list(test.measure(context_of({}), results)))


@pytest.fixture(scope="module")
def biased() -> Any:
    return planted_model("B", against=40.0)


@pytest.fixture(scope="module")
def interpreted(biased: Any) -> list[Any]:
    return computed(interpretation, biased)


@pytest.fixture(scope="module")
def shared(biased: Any) -> list[Any]:
    return computed(superposition, biased)


@pytest.mark.parametrize("family", ["llama", "bloom"])
def test_every_distinct_token_is_read_once_and_as_in_a_whole_run(family: str) -> None:
    model = zoo_model(family)
    context = context_with(model, None)
    question = asked(None, plan=PLAN, data=DATA)
    contrasts = typed.kept(ContrastCases, contrasts_of(question, spread(question.clusters, 4), fields=["income"]))
    decoder = read_decoder(model)
    corpus, states = read_states(context, contrasts, decoder=decoder, layer=1)

    for number, prompt in enumerate(corpus.prompts):
        ids = tuple(tiny_tokenizer()(context.render(prompt.words).text).input_ids)
        whole = harvest(decoder, [ids], [range(len(ids))], layers=[1])[0, :, 0]
        rows = np.flatnonzero(corpus.prompt == number)
        np.testing.assert_allclose(states[rows], whole[len(ids) - 1 - corpus.back[rows]], atol=1e-5)
    assert len(rows) > 0


def test_spans_of_the_corpus_are_the_words_of_the_fields(biased: Any) -> None:
    question = asked(None, plan=PLAN, data=DATA)
    contrasts = contrasts_of(question, question.clusters[:6], fields=["income"])
    corpus, _ = read_states(context_with(biased, None), contrasts, decoder=read_decoder(biased), layer=1)

    for number, prompt in enumerate(corpus.prompts):
        if prompt.changed is None:
            for place, name in enumerate(corpus.fields):
                rows = np.flatnonzero((corpus.prompt == number) & (corpus.segment == place) & corpus.inside)
                said = "".join(corpus.vocabulary[corpus.token[row]] for row in rows)
                # What all prompts begin with is left out: “$” here.
                assert prompt.words[name].endswith(said)
                assert corpus.closes[rows].tolist() == [False] * (len(rows) - 1) + [True]


def test_every_change_is_of_one_field_to_words_that_another_application_has() -> None:
    question = asked(None, plan=PLAN, data=DATA)
    contrasts = contrasts_of(question, question.clusters, fields=["income"])

    for case in contrasts.cases:
        for change in case.changes:
            assert change.words != case.words[change.field]
        changed = [change.field for change in case.changes]
        assert sorted(name for name in changed if name in ("form", "income")) == ["form", "income"]


def test_a_letter_that_counts_against_applicants_is_named_in_the_words_of_a_feature(
    interpreted: list[Any],
) -> None:
    (result,) = interpreted
    words = {one.latent: one.words for one in result.features if one.words}

    assert any("“B”" in said or "race is “Black”" in said for said in words.values()), words


def test_failures_and_scores_add_up_to_the_features_that_act(interpreted: list[Any]) -> None:
    measurements = concluded(interpretation, interpreted)
    (share,) = [item for item in measurements if item.metric == "interpretation_described"]
    counts = dict(share.counts)
    acting, scored = counts.pop("act"), counts.pop("described_and_scored")
    failures = sum(value for key, value in counts.items() if key not in ("k", "latents"))

    assert acting == len(interpreted[0].features)
    assert scored + failures == acting
    assert share.estimate == pytest.approx(scored / acting)


def test_every_reported_feature_has_words_or_a_reason_beside_both_scores(interpreted: list[Any]) -> None:
    rows = [item for item in concluded(interpretation, interpreted) if "feature" in item.subject]

    assert len(rows) == 2 * len(interpreted[0].reported)
    for item in rows:
        assert item.role is Role.SUPPORTING
        assert (item.estimate is None) == bool(item.missing_reason)
        if item.estimate is not None:
            assert item.conclusion_reason
            # Many contexts of few applications are an illustration and have no interval.
            assert (item.low is not None) is interval_may_stand(int(item.counts["applications"]))
            assert item.low is None or item.low <= item.estimate <= item.high


def test_a_feature_that_another_test_reports_is_described_too(interpreted: list[Any]) -> None:
    (result,) = interpreted
    other = next(one.latent for one in result.features if one.latent not in result.reported)
    mine = concluded(interpretation, interpreted)[-1]
    foreign = replace(mine, id="x", test="sparse_features", metric="x")
    known = replace(foreign, subject={"layer": str(result.layer), "feature": str(result.reported[0])})
    unknown = replace(foreign, subject={"layer": str(result.layer), "feature": str(other), "group": "Black"})
    elsewhere = replace(foreign, subject={"layer": "99", "feature": str(other)})

    added = described_elsewhere(
        [mine, known, unknown, elsewhere], context=context_of({"interpretation": [result.row()]})
    )

    assert {item.subject["feature"] for item in added} == {str(other)}
    assert len(added) == 2


def test_the_same_chunk_gives_the_same_bytes(biased: Any, interpreted: list[Any], shared: list[Any]) -> None:
    assert computed(interpretation, biased) == interpreted
    assert computed(superposition, biased) == shared


def test_what_the_attribute_moves_is_found_and_every_check_holds(shared: list[Any]) -> None:
    measurements = concluded(superposition, shared)
    race = next(item for item in shared[0].attributes if item.attribute == "race")

    assert race.features
    assert all(check.held for item in measurements for check in item.checks)
    (used,) = [item for item in measurements if item.metric == "superposition_dimensions_used"]
    assert used.estimate is not None
    assert 1 <= used.estimate <= 32


def test_a_field_that_is_none_of_the_prompt_s_is_refused() -> None:
    chosen = superposition.Settings(fields=("wealth",))

    with pytest.raises(PlanError, match=r"superposition\.fields: 'wealth' is not a credit field of the prompt"):
        list(superposition.plan_chunks(asked(chosen, plan=PLAN, data=DATA)))


def by_endpoints(model: Any, folder: Path) -> tuple[Any, tuple[Measurement, ...]]:
    """Interpretation with a describer and a scorer as ``systems.toml`` in a folder lists them."""
    chosen = interpretation.Settings(
        applications=16, report=3, describer="endpoint:one", scorer="endpoint:another", contexts=2
    )
    systems = ListedSystems(folder / "systems.toml")
    opens = partial(text_of_endpoint, ledger=FolderLedger(folder / "run"), plan=PLAN, systems=systems)
    context = replace(context_with(model, chosen), open_endpoint=opens)
    (result,) = typed.results(interpretation, context, asked(chosen, plan=PLAN, data=DATA))
    return result, concluded(interpretation, [result])


def told_by_models(measurements: tuple[Measurement, ...]) -> Measurement:
    (told,) = [
        item for item in measurements if item.metric == "interpretation_described" and "describer" in item.subject
    ]
    return told


def test_endpoints_describe_and_try_over_http(biased: Any, tmp_path: Path) -> None:
    with answering(Describing()) as server:
        two_listed(tmp_path, server.url)
        result, measurements = by_endpoints(biased, tmp_path)
    told = told_by_models(measurements)
    asked = Counter(one.body["model"] for one in server.asked)
    assert told.n == len(result.by_models.features) == asked["a"] > 0
    # The same question about two features, or of their own and an exchanged description, goes out once.
    assert told.counts["answers_asked_for"] >= asked["b"] > 0
    assert told.counts["answers_neither_yes_nor_no"] == 0
    assert {told.feature.words for told in result.by_models.features} == {"The marked words are the letter B"}
    named = [{key: identity[key] for key in ("endpoint", "url", "model")} for identity in result.by_models.identities]
    assert named == [
        {"endpoint": "one", "url": server.url, "model": "a"},
        {"endpoint": "another", "url": server.url, "model": "b"},
    ]


def test_an_endpoint_nobody_listed_is_said_in_one_line_and_takes_nothing_else_with_it(
    biased: Any, tmp_path: Path
) -> None:
    result, measurements = by_endpoints(biased, tmp_path)
    told = told_by_models(measurements)
    assert told.estimate is None
    assert told.missing_reason == (
        "endpoint:one: no administrator has listed it; expected a table [endpoint.one] in systems.toml"
    )
    assert any(one.answers for one in result.features)
    assert any(item.metric == "interpretation_detection" and item.estimate is not None for item in measurements)


def test_models_of_the_store_describe_and_try_the_reported_features(biased: Any) -> None:
    chosen = interpretation.Settings(
        applications=16, report=3, describer="local:one", scorer="local:another", contexts=2
    )
    opened: list[str] = []

    def store(source: str) -> LoadedModel:
        opened.append(source)
        return LoadedModel(tiny_model(seed=len(opened)), tiny_tokenizer(), manifest_of(source), "cpu")

    context = replace(context_with(biased, chosen), open_model=store)
    (result,) = typed.results(interpretation, context, asked(chosen, plan=PLAN, data=DATA))
    measurements = concluded(interpretation, [result])
    told = told_by_models(measurements)

    assert opened == ["one", "another"]
    assert told.n == len(result.by_models.features) > 0
    assert told.counts["answers_asked_for"] == sum(told.asked for told in result.by_models.features)
    # Random weights say neither yes nor no, which is counted and worth one half.
    assert told.counts["answers_neither_yes_nor_no"] == told.counts["answers_asked_for"]
    for item in measurements:
        if "feature" in item.subject and "describer" in item.subject and item.estimate is not None:
            assert item.estimate == 0.5
            assert "tried by local:another" in item.method


def test_a_stop_is_heeded_between_two_applications(biased: Any) -> None:
    question = asked(None, plan=PLAN, data=DATA)
    contrasts = contrasts_of(question, question.clusters[:3], fields=["income"])
    context = replace(context_with(biased, None), should_stop=lambda: True)

    with pytest.raises(Interrupted):
        read_states(context, contrasts, decoder=read_decoder(biased), layer=1)
