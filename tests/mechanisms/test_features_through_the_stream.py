"""Features need the stream alone: hooks give what the block loop gives, and find what was planted in any family."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.local import LoadedModel
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concepts import Placed
from auditor.mechanisms.interpretation import method as interpretation
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.choices import Seen, choose
from auditor.mechanisms.sae.dictionary import Dictionary
from auditor.mechanisms.sae.quality import Quality
from auditor.mechanisms.sae.windows import FeatureWindow, open_window
from auditor.mechanisms.sparse_features import method as sparse_features
from auditor.mechanisms.sparse_features.result import Changed, ContrastFound, Contrasts
from auditor.mechanisms.superposition import method as superposition
from auditor.records import Conclusion
from benchmarks.inside_nulls_superposition import NOWHERE
from tests.acceptance.planted import planted_model
from tests.language_models.tiny import tiny_tokenizer
from tests.language_models.zoo import zoo_model
from tests.mechanisms import typed
from tests.mechanisms.asking import asked, renderer
from tests.mechanisms.planted_head import read_by_head
from tests.mechanisms.test_every_method_on_a_second_device import shape
from tests.mechanisms.test_sae_sparse_features import DATA, context_with, measured, of, plan_of
from tests.records import manifest_of
from tests.second_device import second_device

#: Linear attention biases, a scale of the logits, attention and MLP in parallel, experts and sinks, a multiplier of the
#: stream, convolutions, a recurrence: families of which nothing but the stream is known here.
PLANTED = ("bloom", "cohere", "falcon", "gpt_oss", "gptj", "granite", "lfm2", "recurrent_gemma")
TARGET = Target((7,), (11,))
APPLICATIONS, OTHERS, LAYER = 16, 40, 1
SMALL = {"attributes": ("race",), "applications": 12, "features": 4, "random_draws": 3, "spliced": 2}
MEDIUM = {**SMALL, "applications": 24, "features": 8, "random_draws": 19}
PLAN = plan_of(expansion=8, k=16, steps=300)


@dataclass(frozen=True)
class Hooked(ComputeContext):
    """A compute context in which every model is seen through hooks alone."""

    def decoder(self) -> ResidualView:
        return ResidualView(self.loaded.model, reason="hooks alone")


def contrasts(context: ComputeContext) -> Any:
    _, payload = typed.payloads(sparse_features, asked(context.settings, plan=context.plan, data=DATA))
    return typed.result_of(sparse_features, context, payload)


def without_slopes(found: Contrasts) -> dict[str, Any]:
    """The row, whether or not a gradient could be checked."""
    contrasts = tuple(one.model_copy(update={"slope": None}) for one in found.contrasts)
    return found.model_copy(update={"contrasts": contrasts}).row()


def changes_of(found: ContrastFound) -> list[Changed]:
    """All that was changed: feature by feature, taken out together, and put in."""
    out, put = found.ablated, found.steered
    together = [out.features, out.coordinates, out.components, out.means, *out.random]
    return [*(one.ablated for one in found.features), *together, put.features, put.means, *put.random]


def windows_of(model: Any, pairs: list[tuple[tuple[int, ...], ...]]) -> list[FeatureWindow]:
    view = read_decoder(model)
    assert isinstance(view, ResidualView)
    last = len(pairs[0][0]) - 1
    return [
        open_window(
            view, [Placed(prompt, last, last) for prompt in pair], layer=LAYER, depth=1, should_stop=lambda: False
        )
        for pair in pairs
    ]


def dictionary_of(windows: list[FeatureWindow], *, planted: bool) -> Dictionary:
    """Random directions; the first may be planted: what the second prompt of a pair adds to the states of the first."""
    states = torch.stack([window.states[:, 0] for window in windows])
    rows = torch.randn(OTHERS + 1, states.shape[-1], generator=torch.Generator().manual_seed(0))
    if planted:
        rows[0] = (states[:, 1] - states[:, 0]).mean(0)
    rows = torch.nn.functional.normalize(rows, dim=1)
    middle = states.mean((0, 1))
    bias = torch.zeros(len(rows))
    # 0 on the first prompts, so that taking the feature out leads there.
    bias[0] = -((states[:, 0] - middle) @ rows[0]).mean()
    autoencoder = Autoencoder("jumprelu", rows, bias, rows, middle, threshold=torch.zeros(len(rows)))
    nothing = torch.zeros(1)
    quality = Quality(0, 0.0, 0.0, 0, nothing, nothing)
    return Dictionary(autoencoder, LAYER, quality, 0.0, 1.0, float("inf"), NOWHERE)


def seen_by(windows: list[FeatureWindow], dictionary: Dictionary) -> Seen:
    seen = Seen(reference=0)
    for window in windows:
        activations = dictionary.activations(window.states)
        seen.add(window, activations, window.slopes(0, TARGET), dictionary.autoencoder.decoder)
    return seen


def left_without(feature: int, windows: list[FeatureWindow], dictionary: Dictionary) -> float:
    """The share of the difference of margins that is left with one feature taken out of both prompts."""
    row = dictionary.autoencoder.decoder[feature]
    gaps = []
    for window in windows:
        active = dictionary.activations(window.states)[:, :, [feature]]
        margins, _ = window.margins([(0, None), (1, None), (0, -active[0] * row), (1, -active[1] * row)], TARGET)
        gaps.append([float(margins[1] - margins[0]), float(margins[3] - margins[2])])
    clean, without = np.mean(gaps, axis=0)
    return float(without / clean)


@pytest.mark.parametrize("family", PLANTED)
def test_a_planted_feature_is_found_in_a_family_of_which_only_the_stream_is_known_and_a_random_one_is_not(
    family: str,
) -> None:
    draw = random.Random(0)
    contexts = [tuple(draw.randrange(20, 200) for _ in range(11)) for _ in range(2 * APPLICATIONS)]
    pairs = [((*context, 65), (*context, 66)) for context in contexts]
    windows = windows_of(read_by_head(zoo_model(family), pairs, answers=(7, 11)), pairs)
    first, second = windows[:APPLICATIONS], windows[APPLICATIONS:]
    with torch.no_grad():
        planted, others = (dictionary_of(first, planted=each) for each in (True, False))
        left = {}
        for name, dictionary in (("planted", planted), ("random", others)):
            chosen = choose(seen_by(first, dictionary), dictionary, pair=(1, 0), count=1, draws=0, seed=0)
            left[name] = left_without(chosen.features[0], second, dictionary)
            assert (chosen.features == [0]) == (name == "planted")
        # The best of 41 random directions, chosen by the same rule, is no more than that.
        assert abs(left["planted"]) < 0.2
        assert left["random"] > 0.6
        assert all(0.6 < left_without(each, second, planted) < 1.4 for each in range(1, 10))


@pytest.mark.parametrize("family", ["falcon", "gpt_oss", "granite"])
def test_the_whole_test_finds_what_was_planted_in_a_family_that_is_hooked_alone(family: str) -> None:
    tokenizer = tiny_tokenizer()
    render = renderer(PLAN, DATA)
    words = asked(None, plan=PLAN, data=DATA).words.values()
    pairs = [
        tuple(tokenizer(render({**each, "race": group}).text).input_ids for group in ("White", "Black"))
        for each in words
    ]
    favourable, adverse = tokenizer.convert_tokens_to_ids(["Y", "N"])
    model = read_by_head(zoo_model(family), pairs, answers=(favourable, adverse))
    settings = sparse_features.Settings(**MEDIUM)
    context = context_with(model, settings, PLAN)
    results = typed.results(sparse_features, context, asked(settings, plan=PLAN, data=DATA))
    found = measured(model, PLAN, results)
    item = of(found, "sparse_gap_removed", by="features", group="Black")

    assert [check for row in found for check in row.checks if not check.held] == []
    assert {"gradient as a small step", "margin as decided"} <= {check.name for check in item.checks}
    assert item.counts["gap"] == pytest.approx(-4, rel=0.05)
    assert item.estimate is not None
    assert item.estimate < -1.5
    assert item.p_value == pytest.approx(1 / 20)
    everything = of(found, "sparse_gap_removed", by="mean difference", group="Black")
    assert everything.estimate == pytest.approx(everything.counts["gap"], rel=0.2)


@pytest.mark.parametrize("family", ["planted", "gemma2", "gpt2", "olmo2"])
def test_effects_through_hooks_are_those_of_the_block_loop(family: str) -> None:
    model = planted_model("B", against=40.0) if family == "planted" else zoo_model(family)
    context = context_with(model, sparse_features.Settings(**SMALL), PLAN)
    # One dictionary for both: rounding in its training is not what is compared here.
    context = replace(context, loaded=LoadedModel(model, tiny_tokenizer(), manifest_of(family), "cpu"))
    assert isinstance(context.decoder(), Decoder)
    hooked = Hooked(**vars(context))
    there, here = contrasts(context), contrasts(hooked)

    assert isinstance(there, Contrasts)
    assert isinstance(here, Contrasts)
    bound = there.noise.bound
    assert np.abs(np.array(here.clean) - np.array(there.clean)).max() <= bound
    for one, other in zip(here.contrasts, there.contrasts, strict=True):
        assert [each.feature for each in one.features] == [each.feature for each in other.features] != []
        columns = [here.groups.index(here.reference), here.groups.index(one.group)]
        for mine, theirs in zip(changes_of(one), changes_of(other), strict=True):
            effects = [
                np.array(each.margins) - np.array(result.clean)[:, columns][:, : len(each.margins[0])]
                for each, result in ((mine, here), (theirs, there))
            ]
            assert np.abs(effects[0] - effects[1]).max() <= 2 * bound


def with_a_gradient_cut(model: Any, part: Any) -> Any:
    """The same function, whose gradient leaves out what goes through one part."""
    part.register_forward_hook(
        lambda _, __, out: (out[0].detach(), *out[1:]) if isinstance(out, tuple) else out.detach()
    )
    return model


def test_a_gradient_that_leaves_something_out_takes_what_rests_on_it_away() -> None:
    model = zoo_model("granite")
    with_a_gradient_cut(model, model.model.layers[1].mlp)
    context = context_with(model, sparse_features.Settings(**SMALL), PLAN)
    found = contrasts(context)
    rows = measured(model, PLAN, [found])
    item = of(rows, "sparse_gap_removed", by="features", group="Black")

    assert item.estimate is None
    assert "'gradient as a small step' did not hold" in str(item.missing_reason)
    # What no gradient chose stays.
    assert of(rows, "sparse_gap_removed", by="mean difference", group="Black").estimate is not None


def test_a_model_without_a_gradient_is_not_tested_and_says_why() -> None:
    model = zoo_model("bloom")
    with_a_gradient_cut(model, model.transformer.h[1])
    context = context_with(model, sparse_features.Settings(**SMALL), PLAN)
    found = contrasts(context)
    item = of(measured(model, PLAN, [found]), "sparse_gap_removed", group="Black")

    assert item.conclusion is Conclusion.NOT_TESTED
    assert str(item.conclusion_reason).startswith(
        "the margin of BloomForCausalLM behind the stream before block 1 has no gradient: "
    )


@pytest.mark.parametrize("hook", ["blocks.1.hook_mlp_out", "blocks.1.attn.hook_z"])
@pytest.mark.parametrize("test", [sparse_features, superposition, interpretation], ids=lambda test: test.CARD.name)
def test_a_place_that_is_not_the_stream_is_not_tested_and_says_so(test: Any, hook: str) -> None:
    plan = plan_of(hook=hook)
    settings = test.Settings(**(SMALL if test is sparse_features else {"applications": 6}))
    context = context_with(zoo_model("bloom"), settings, plan)
    reasons = {result.reason for result in typed.results(test, context, asked(settings, plan=plan, data=DATA))}

    assert reasons == {
        f"settings.dictionary.hook: '{hook}' is not between two of the model's 2 blocks; "
        'expected hook = "blocks.1.hook_resid_pre" or "….hook_resid_post"'
    }


@pytest.mark.parametrize("family", ["bloom", "granite"])
def test_features_of_a_hooked_family_run_in_half_precision_with_their_checks(family: str) -> None:
    model = zoo_model(family).to(torch.bfloat16)
    settings = sparse_features.Settings(**SMALL)
    context = context_with(model, settings, PLAN)
    results = typed.results(sparse_features, context, asked(settings, plan=PLAN, data=DATA))

    quality, attribute = results
    assert isinstance(attribute, Contrasts)
    assert quality.spliced.identity <= quality.spliced.identity_bound


@pytest.mark.parametrize("family", ["bloom", "gpt_oss"])
def test_features_of_a_hooked_family_run_on_a_second_device(family: str) -> None:
    settings = sparse_features.Settings(**SMALL)
    plan = plan_of(expansion=4, k=16, steps=150)
    here = contrasts(context_with(zoo_model(family), settings, plan))
    model = zoo_model(family)
    with second_device(model):
        there = contrasts(context_with(model, settings, plan))

    assert shape(without_slopes(there)) == shape(without_slopes(here))
