"""The view into a decoder gives the model's own numbers, whichever family, whichever way it is run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf

from auditor.exceptions import ScoringError
from auditor.language_models.activations import harvest
from auditor.language_models.answers import Question
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import check_decoder, read_decoder
from auditor.language_models.families import frozen_scale, gain, output_bias, output_rows
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.sites import ATTENTION, HEADS, MLP, RESIDUAL, add, replace
from auditor.language_models.targets import Target, target_of
from tests.language_models.tiny import GROUPED
from tests.language_models.zoo import PACKABLE, STRUCTURED, zoo_model

TARGET = Target((5,), (9,))


def tokens(rows: int = 2, length: int = 40) -> torch.Tensor:
    return torch.randint(3, 260, (rows, length), generator=torch.Generator().manual_seed(1))


def view(family: str) -> Decoder:
    decoder = read_decoder(zoo_model(family))
    assert isinstance(decoder, Decoder)
    return decoder


@pytest.mark.parametrize("family", STRUCTURED)
def test_every_family_gives_the_models_own_logits(family: str) -> None:
    check = check_decoder(zoo_model(family), longest=30 if family == "mistral" else 200)
    assert check.held, check.reason
    assert check.largest_difference is not None
    assert check.largest_difference < 1e-4


@pytest.mark.parametrize("family", PACKABLE)
def test_the_two_row_head_gives_the_margin_of_the_full_logits(family: str) -> None:
    decoder = view(family)
    with torch.inference_mode():
        run = decoder.run(tokens())
        logits = decoder.model(tokens()).logits[:, -1]
        assert torch.allclose(decoder.margins(run, TARGET), logits[:, 5] - logits[:, 9], atol=1e-4, rtol=1e-4)
        several = Target((5, 6), (9, 10, 11))
        expected = logits[:, [5, 6]].logsumexp(-1) - logits[:, [9, 10, 11]].logsumexp(-1)
        assert torch.allclose(decoder.margins(run, several), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", PACKABLE)
def test_what_blocks_add_sums_to_the_stream_and_heads_sum_to_attention(family: str) -> None:
    decoder = view(family)
    sites = [(node, layer) for layer in range(2) for node in (HEADS, ATTENTION, MLP)]
    with torch.inference_mode():
        run = decoder.run(tokens(), capture=[*sites, (RESIDUAL, 0), (RESIDUAL, 2)])
        total = run.states[RESIDUAL, 0] + sum(run.states[node, layer] for node, layer in sites if node != HEADS)
        assert torch.allclose(total, run.final, atol=1e-3, rtol=1e-5)
        if decoder.linear_heads:
            for layer in range(2):
                block = decoder.parts.blocks[layer]
                written = torch.einsum("bnhd,hdw->bnw", run.states[HEADS, layer], output_rows(block, heads=4))
                bias = output_bias(block)
                written = written if bias is None else written + bias
                assert torch.allclose(written, run.states[ATTENTION, layer], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("family", PACKABLE)
def test_a_run_from_the_middle_of_layers_and_positions_gives_the_whole_run(family: str) -> None:
    decoder = view(family)
    with torch.inference_mode():
        whole = decoder.run(tokens(), capture=[(RESIDUAL, 1)], keep_past=True)
        assert whole.past is not None
        later = decoder.run_from(1, whole.states[RESIDUAL, 1][:, 25:], past=whole.past.upto(25))
    assert later.start == 25
    assert torch.allclose(later.final, whole.final[:, 25:], atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("family", PACKABLE)
def test_the_last_position_alone_is_that_of_the_whole_run(family: str) -> None:
    decoder = view(family)
    with torch.inference_mode():
        stream = decoder.embed(tokens())
        whole = decoder.run_from(0, stream).final
        last = decoder.run_from(0, stream, last_only=True).final
    assert last.shape == (2, 1, decoder.width)
    assert torch.allclose(last, whole[:, -1:], atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "phi"])
def test_padding_on_the_right_changes_no_margin(family: str) -> None:
    decoder = view(family)
    short, long = tokens(1, 30), tokens(1, 40)
    padded = torch.cat([torch.nn.functional.pad(short, (0, 10)), long])
    with torch.inference_mode():
        both = decoder.margins(decoder.run(padded), TARGET, last=[29, 39])
        alone = [decoder.margins(decoder.run(rows), TARGET) for rows in (short, long)]
    assert torch.allclose(both, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_edits_reach_their_site_and_nothing_before_it() -> None:
    decoder = view("llama")
    step = torch.ones(32)
    with torch.inference_mode():
        plain = decoder.run(tokens(), capture=[(RESIDUAL, 1), (MLP, 1)])
        moved = decoder.run(tokens(), edits={(MLP, 1): add(step, [39])}, capture=[(RESIDUAL, 1), (MLP, 1)])
        assert torch.equal(moved.states[RESIDUAL, 1], plain.states[RESIDUAL, 1])
        assert torch.equal(moved.final[:, :39], plain.final[:, :39])
        assert torch.allclose(moved.final[:, 39] - plain.final[:, 39], step.expand(2, -1), atol=1e-4)
        same = decoder.run(tokens(), edits={(MLP, 1): replace(plain.states[MLP, 1])})
        assert torch.equal(same.final, plain.final)


def test_the_gradient_agrees_with_finite_differences() -> None:
    decoder = read_decoder(zoo_model("gpt2").double())
    assert isinstance(decoder, Decoder)
    stream = decoder.embed(tokens(1)).detach().requires_grad_()
    margin = decoder.margins(decoder.run_from(0, stream), TARGET)
    (gradient,) = torch.autograd.grad(margin.sum(), stream)
    step = torch.zeros_like(stream)
    step[0, 20] = torch.randn(32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.inference_mode():
        ends = [decoder.margins(decoder.run_from(0, stream + sign * 1e-6 * step), TARGET) for sign in (1, -1)]
    slope = float((ends[0] - ends[1]) / 2e-6)
    assert slope == pytest.approx(float((gradient * step).sum()), rel=1e-3)


def test_a_site_of_which_only_the_last_position_runs_cannot_be_captured() -> None:
    decoder = view("llama")
    with torch.inference_mode(), pytest.raises(ScoringError, match="holds 1 positions where 40 were computed"):
        decoder.run_from(0, decoder.embed(tokens()), capture=[(MLP, decoder.layers - 1)], last_only=True)


def test_a_site_outside_the_run_is_refused() -> None:
    decoder = view("llama")
    with pytest.raises(ScoringError, match="the site mlp of layer 7 is not in a run"):
        decoder.run(tokens(), capture=[(MLP, 7)])
    with pytest.raises(ScoringError, match="holds 40 positions where 41"):
        decoder.run(tokens(), keep_past=True).past.upto(41)  # type: ignore[union-attr]


@pytest.mark.parametrize("family", ["bloom", "mamba"])
def test_an_unknown_family_still_shows_its_stream(family: str) -> None:
    model = zoo_model(family)
    decoder = read_decoder(model)
    assert isinstance(decoder, ResidualView)
    assert "has no adapter" in decoder.reason
    with torch.inference_mode():
        run = decoder.run(tokens(), capture=[(RESIDUAL, 0), (RESIDUAL, 2)])
        changed = decoder.run(tokens(), edits={(RESIDUAL, 1): add(torch.ones(32))})
        assert torch.equal(run.final, model(tokens()).logits)
        assert not torch.equal(changed.final, run.final)
    with pytest.raises(ScoringError, match="needs the structure"):
        decoder.run(tokens(), capture=[(MLP, 0)])


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom"])
def test_harvested_states_are_those_of_single_prompts(family: str) -> None:
    model = zoo_model(family)
    decoder = read_decoder(model)
    rows = [tuple(row.tolist()) for row in tokens(5, 30)]
    prompts = [rows[0], rows[0][:12] + rows[1][12:27], rows[0][:12] + rows[2][12:], rows[3]]
    positions = [[4, 11, len(prompt) - 1] for prompt in prompts]
    states = harvest(decoder, prompts, positions, batch_tokens=90)
    assert states.shape == (4, 3, 3, 32)
    with torch.inference_mode():
        for prompt, wanted, found in zip(prompts, positions, states, strict=True):
            run = decoder.run(torch.tensor([prompt]), capture=[(RESIDUAL, layer) for layer in range(3)])
            alone = torch.stack([run.states[RESIDUAL, layer][0, wanted] for layer in range(3)], dim=1)
            assert torch.allclose(torch.from_numpy(found), alone, atol=1e-3, rtol=1e-4)
    assert (harvest(decoder, prompts, positions, batch_tokens=90) == states).all()


def test_the_target_of_a_question_says_when_it_is_not_exact() -> None:
    assert target_of(Question((1,), ((5,), (6,)), ((9,),))) == Target((5, 6), (9,))
    several = target_of(Question((1,), ((5, 7),), ((9,),)))
    assert isinstance(several, Target)
    assert not several.exact
    assert "first tokens" in several.note
    assert "begin with the same token" in str(target_of(Question((1,), ((5, 7),), ((5, 8),))))


def as_many_norms_as_blocks() -> Any:
    return hf.StableLmForCausalLM(
        hf.StableLmConfig(**GROUPED | {"num_attention_heads": 2}, use_parallel_residual=True, qk_layernorm=True)
    )


def a_tower_as_deep_as_the_text() -> Any:
    tower = {"model_type": "pixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
    pictures = {**tower, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    return hf.Mistral3ForConditionalGeneration(
        hf.Mistral3Config(text_config=hf.MistralConfig(**GROUPED).to_dict(), vision_config=pictures)
    )


@pytest.mark.parametrize("build", [as_many_norms_as_blocks, a_tower_as_deep_as_the_text])
def test_the_blocks_are_told_from_other_lists_of_as_many_parts(build: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    model = build().eval()
    view = ResidualView(model, reason="hooks are asked for")
    ids = torch.randint(3, 250, (1, 12))
    with torch.no_grad():
        own = model(input_ids=ids, use_cache=False, output_hidden_states=True)
        run = view.run(ids, capture=[(RESIDUAL, layer) for layer in range(view.layers)])

    assert torch.equal(run.final, own.logits)
    for layer in range(view.layers):
        assert torch.equal(run.states[RESIDUAL, layer], own.hidden_states[layer])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("norm", [torch.nn.LayerNorm(48), torch.nn.LayerNorm(768), torch.nn.RMSNorm(48)])
def test_a_norm_is_read_as_the_same_linear_map_in_every_precision(norm: torch.nn.Module, dtype: torch.dtype) -> None:
    """In half precision a constant vector leaves more than any fixed tolerance, and its mean was said to stay."""
    generator = torch.Generator().manual_seed(0)
    norm = copy.deepcopy(norm)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        norm = norm.to(dtype)
        width = norm.weight.shape[0]
        state = (1 + 3 * torch.randn(width, generator=generator)).to(dtype)
        scale, offset, centred = gain(norm, width=width, like=state)
        exact = state.double()
        linear = (exact - exact.mean() if centred else exact) * scale.double() * frozen_scale(norm, state)
        own = copy.deepcopy(norm).double()(exact)

    assert centred is isinstance(norm, torch.nn.LayerNorm)
    assert float((linear + offset.double() - own).abs().max()) < 8 * torch.finfo(dtype).eps * float(own.abs().max())
