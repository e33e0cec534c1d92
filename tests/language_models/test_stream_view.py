"""Both views into a model read the stream, carry on from it and differentiate the margin alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from auditor.exceptions import ScoringError
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.kv_cache import Past
from auditor.language_models.noise import noise_floor
from auditor.language_models.residual_view import RESIDUAL, ResidualView
from auditor.language_models.stream_view import StreamView
from auditor.language_models.targets import Target
from tests.language_models.zoo import HOOKED, zoo_model

#: Norms after attention, a soft cap, parallel blocks, learned positions, experts.
BOTH = ("llama", "gemma2", "gpt2", "gpt_neox", "mixtral", "olmo2", "opt")
UNKNOWN = ("bloom", "mamba", *HOOKED)
TARGET = Target((7, 9), (11,))
TOKENS = torch.randint(3, 250, (3, 17), generator=torch.Generator().manual_seed(0))
LAST = [16, 9, 12]
#: So many tokens are the same in all rows.
SHARED = 5
TOKENS[:, :SHARED] = TOKENS[:1, :SHARED]


def plain(model: Any) -> ResidualView:
    return ResidualView(model, reason="hooks alone")


def moved(
    view: StreamView, layer: int, *, past: Past | None = None, first: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Margins with a step of every state from position ``first`` on, and the gradient of their sum there."""
    start = past.length if past is not None else 0
    tokens = TOKENS[:, start:]
    stream = view.stream(tokens, layer=layer, past=past)
    step = torch.linspace(-1, 1, stream.shape[-1]) * stream.norm(dim=-1, keepdim=True) / 50
    step[:, : max(0, first - start)] = 0
    stream = (stream + step).detach().requires_grad_()
    ends = [last - start for last in LAST]
    margins = view.margin_of(view.carry_on(layer, stream, tokens=tokens, past=past, last=ends), TARGET)
    (gradient,) = torch.autograd.grad(margins.sum(), stream)
    return margins.detach(), gradient[:, max(0, first - start) :]


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("family", BOTH)
def test_margins_and_gradients_through_hooks_are_those_of_the_block_loop(family: str, layer: int) -> None:
    model = zoo_model(family)
    decoder = read_decoder(model)
    assert isinstance(decoder, Decoder)
    there, here = moved(decoder, layer), moved(plain(model), layer)

    assert float((here[0] - there[0]).abs().max()) <= noise_floor(model, TARGET).bound
    assert float(there[1].norm()) > 0
    torch.testing.assert_close(here[1], there[1], rtol=1e-3, atol=1e-4 * float(there[1].abs().max()))


def test_a_shared_prefix_changes_neither_margins_nor_gradients() -> None:
    model = zoo_model("llama")
    decoder = read_decoder(model)
    past = decoder.prefix(TOKENS[:1, :SHARED])
    assert past is not None
    assert past.length == SHARED
    shared, whole = (moved(view, 1, past=kept, first=SHARED) for view, kept in ((decoder, past), (plain(model), None)))

    assert float((shared[0] - whole[0]).abs().max()) <= noise_floor(model, TARGET).bound
    torch.testing.assert_close(shared[1], whole[1], rtol=1e-3, atol=1e-4 * float(whole[1].abs().max()))


@pytest.mark.parametrize("family", [*BOTH, *UNKNOWN])
def test_a_stream_put_back_where_it_was_read_leaves_the_answers(family: str) -> None:
    model = zoo_model(family)
    view = read_decoder(model)
    with torch.inference_mode():
        untouched = view.logits(view.untouched(TOKENS))
        back = view.carry_on(1, view.stream(TOKENS, layer=1), tokens=TOKENS)
        other = view.carry_on(1, 0.5 * view.stream(TOKENS, layer=1), tokens=TOKENS)
        apart = [float((view.logits(each) - untouched).abs().max()) for each in (back, other)]

    assert apart[0] <= noise_floor(model).bound < apart[1]


@pytest.mark.parametrize("family", ["bloom", "cohere", "mamba", "recurrent_gemma"])
def test_one_position_of_a_row_is_read_as_among_all(family: str) -> None:
    model = zoo_model(family)
    view = plain(model)
    with torch.inference_mode():
        stream = view.stream(TOKENS, layer=1)
        alone = view.carry_on(1, stream, tokens=TOKENS, last=LAST)
        among = view.carry_on(1, stream, tokens=TOKENS)[torch.arange(3), LAST]

    assert alone.shape == among.shape == (3, 260)
    assert float((alone - among).abs().max()) <= noise_floor(model).bound


def test_a_head_that_is_no_module_of_its_own_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo_model("bloom")
    view = plain(model)
    with torch.inference_mode():
        among = view.run(TOKENS, last=LAST).final
        monkeypatch.setattr(model, "get_output_embeddings", lambda: None)
        torch.testing.assert_close(view.run(TOKENS, last=LAST).final, among)


def test_a_block_that_adds_to_its_input_in_place_writes_into_nothing_that_is_kept() -> None:
    model = zoo_model("bloom")
    own = model.transformer.h[1].forward

    def in_place(states: torch.Tensor, *rest: Any, **named: Any) -> Any:
        return own(states.mul_(2), *rest, **named)

    with torch.inference_mode():
        before = plain(model).run(TOKENS, capture=[(RESIDUAL, 1)]).states[RESIDUAL, 1]
        model.transformer.h[1].forward = in_place
        torch.testing.assert_close(plain(model).stream(TOKENS, layer=1), before)
        stream = before.clone()
        once = plain(model).carry_on(1, stream, tokens=TOKENS)
        torch.testing.assert_close(plain(model).carry_on(1, stream, tokens=TOKENS), once)
    torch.testing.assert_close(stream, before)
    # A leaf that is differentiated may not be written into at all.
    assert float(moved(plain(model), 1)[1].norm()) > 0


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    view = plain(zoo_model("bloom"))
    with pytest.raises(ScoringError, match=r"\[3, 17, 32\] was read where one of shape \[3, 16, 32\] is put in"):
        view.carry_on(1, torch.zeros(3, 16, 32), tokens=TOKENS)
    with pytest.raises(ScoringError, match="no keys and values of a prefix"):
        view.stream(TOKENS, layer=1, past=Past({}, {}, 4))
    assert view.prefix(TOKENS[:1]) is None
