"""What the maths of sparse autoencoders promise: exact gradients, exact measures, a planted dictionary found again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from auditor.exceptions import Interrupted
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.codes import Codes, above, batch_top_k, top_k
from auditor.mechanisms.sae.quality import fraction_unexplained, measure
from auditor.mechanisms.sae.states import Matrix
from auditor.mechanisms.sae.training import Recipe, Trained, _State, gradients, train

FEATURES, WIDTH, ACTIVE = 24, 16, 3


def planted(rows: int = 6000, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """States that are sums of few of some unit vectors, and those vectors."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.nn.functional.normalize(torch.randn(FEATURES, WIDTH, generator=generator), dim=1)
    chosen = torch.rand(rows, FEATURES, generator=generator).topk(ACTIVE, dim=1).indices
    strengths = 1 + torch.rand(rows, ACTIVE, generator=generator)
    return (vectors[chosen] * strengths[..., None]).sum(1) + 0.5, vectors


def trained(kind: Any, **changes: Any) -> Trained:
    recipe = {"kind": kind, "latents": 48, "k": ACTIVE, "steps": 600, "batch": 256, "learning_rate": 5e-3}
    return train(Matrix(planted()[0]), Recipe(**{**recipe, "dead_after": 3000, **changes}))


def random_autoencoder(kind: Any = "topk", *, latents: int = 20, width: int = 8, seed: int = 0) -> Autoencoder:
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Autoencoder(
        kind=kind,
        encoder=drawn(latents, width),
        encoder_bias=drawn(latents),
        decoder=drawn(latents, width),
        decoder_bias=drawn(width),
        k=4,
        threshold=None if kind == "topk" else drawn(latents).abs(),
    )


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "jumprelu"])
def test_sparse_gradients_are_the_dense_ones_in_double_precision(kind: str) -> None:
    model = random_autoencoder(kind)
    states = torch.randn(30, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    encoder, bias, decoder, centre = (
        part.clone().requires_grad_() for part in (model.encoder, model.encoder_bias, model.decoder, model.decoder_bias)
    )
    pre = (states - centre) @ encoder.t() + bias
    codes = {
        "topk": lambda: top_k(pre.detach(), k=4),
        "batchtopk": lambda: batch_top_k(pre.detach(), k=4),
        "jumprelu": lambda: above(pre.detach(), threshold=model.threshold),
    }[kind]()
    chosen = codes.dense() > 0
    ((pre * chosen) @ decoder + centre - states).square().sum().backward()

    upstream = 2 * (codes.dense() @ decoder.detach() + centre.detach() - states)
    found = gradients(
        codes,
        centred=states - centre.detach(),
        upstream=upstream,
        encoder=encoder.detach(),
        decoder=decoder.detach(),
    )

    for ours, dense in (
        (found.encoder, encoder.grad),
        (found.encoder_bias, bias.grad),
        (found.decoder, decoder.grad),
        (found.decoder_bias, centre.grad),
    ):
        assert dense is not None
        torch.testing.assert_close(ours, dense, rtol=1e-12, atol=1e-12)


def test_the_mean_as_the_answer_to_everything_leaves_exactly_all_variance() -> None:
    states = planted(500)[0].double()
    nothing = Autoencoder(
        kind="jumprelu",
        encoder=torch.zeros(4, WIDTH, dtype=torch.float64),
        encoder_bias=torch.full((4,), -1.0, dtype=torch.float64),
        decoder=torch.ones(4, WIDTH, dtype=torch.float64),
        decoder_bias=states.mean(0),
        threshold=torch.zeros(4, dtype=torch.float64),
    )

    assert fraction_unexplained(states, states.mean(0).expand_as(states)) == pytest.approx(1.0, abs=1e-12)
    quality = measure(nothing, Matrix(states), batch=7)
    assert quality.fvu == pytest.approx(1.0, abs=1e-12)
    assert quality.l0 == 0
    assert quality.dead == 4


def test_unexplained_variance_is_total_over_total() -> None:
    states = torch.tensor([[0.0], [2.0], [100.0]])
    rebuilt = torch.tensor([[0.0], [0.0], [100.0]])

    assert fraction_unexplained(states, rebuilt) == pytest.approx(4 / float((states - 34).square().sum()))


def test_with_every_latent_active_and_room_enough_nothing_is_left_unexplained() -> None:
    states, _ = planted(2000)
    model = train(Matrix(states), Recipe(latents=64, k=64, steps=400, batch=256, learning_rate=1e-2)).autoencoder

    assert measure(model, Matrix(states)).fvu < 0.01


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "jumprelu"])
def test_a_planted_dictionary_is_found_again(kind: str) -> None:
    states, vectors = planted(2000, seed=0)
    model = trained(kind).autoencoder
    alike = (torch.nn.functional.normalize(model.decoder, dim=1) @ vectors.t()).double().numpy()
    rows, columns = linear_sum_assignment(-alike)
    quality = measure(model, Matrix(states))

    assert float(np.mean(alike[rows, columns])) > 0.9
    assert quality.fvu < 0.1
    assert quality.l0 < 3 * ACTIVE
    torch.testing.assert_close(model.decoder.norm(dim=1), torch.ones(48))


def test_a_batchtopk_threshold_keeps_about_k_latents_a_token_when_tokens_come_one_by_one() -> None:
    model = trained("batchtopk").autoencoder
    states, _ = planted(500, seed=0)
    one_by_one = sum(int((model.encode(row[None]).values > 0).sum()) for row in states) / len(states)

    assert model.threshold is not None
    assert one_by_one == pytest.approx(ACTIVE, rel=0.25)
    assert one_by_one == measure(model, Matrix(states)).l0


def test_a_jumprelu_latent_is_silent_up_to_its_threshold() -> None:
    codes = above(torch.tensor([[0.4, 0.5, 0.6, -1.0]]), threshold=torch.tensor([0.5, 0.5, 0.5, -2.0]))

    assert codes.features.tolist() == [2]
    assert codes.values.tolist() == pytest.approx([0.6])


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 2**31 - 1))
@settings(max_examples=30, deadline=None)
def test_top_k_keeps_the_largest_of_every_token_and_batch_top_k_those_of_the_batch(
    k: int, tokens: int, seed: int
) -> None:
    pre = torch.randn(tokens, 9, generator=torch.Generator().manual_seed(seed))
    rectified = pre.clamp(min=0)
    each, batch = top_k(pre, k=k).dense(), batch_top_k(pre, k=k).dense()

    torch.testing.assert_close(each.sum(1), rectified.topk(k, dim=1).values.sum(1))
    torch.testing.assert_close(batch.sum(), rectified.flatten().topk(k * tokens).values.sum())
    assert int((batch > 0).sum()) <= k * tokens


def test_a_guessed_threshold_changes_no_selection() -> None:
    pre = torch.randn(40, 30, generator=torch.Generator().manual_seed(3))
    plain = batch_top_k(pre, k=3)

    for guess in (0.0, float(plain.values.min()), 10.0):
        again = batch_top_k(pre, k=3, guess=torch.tensor(guess, dtype=torch.float64))
        torch.testing.assert_close(again.dense(), plain.dense())


def test_dead_latents_are_counted_over_all_tokens_however_they_are_batched() -> None:
    model = random_autoencoder("jumprelu", latents=40)
    states = torch.randn(200, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    silent = int((model.encode(states).dense() > 0).any(0).logical_not().sum())
    counts = [measure(model, Matrix(states), batch=batch) for batch in (1, 64, 200)]

    assert [each.dead for each in counts] == [silent] * 3
    assert all(torch.equal(each.active, counts[0].active) for each in counts)


def test_states_far_longer_than_the_others_are_left_out_of_training() -> None:
    states, _ = planted(500)
    states[3] *= 1000
    done = train(Matrix(states), Recipe(latents=32, k=ACTIVE, steps=3, batch=64))

    assert done.left_out == 1
    assert done.autoencoder.decoder_bias.norm() < 100


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_others() -> None:
    one, other, third = (trained("topk", steps=30, seed=seed).autoencoder for seed in (1, 1, 2))

    assert torch.equal(one.encoder, other.encoder)
    assert torch.equal(one.decoder, other.decoder)
    assert not torch.equal(one.decoder, third.decoder)


def test_training_stops_when_asked() -> None:
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Interrupted):
        train(Matrix(planted(200)[0]), Recipe(latents=32, k=2, steps=1000, batch=32), should_stop=should_stop)
    assert len(asked) == 3


def test_an_entry_of_value_zero_is_listed_and_not_active() -> None:
    codes: Codes = top_k(torch.tensor([[1.0, -1.0, -2.0]]), k=2)

    assert len(codes.features) == 2
    assert codes.active().tolist() == [1, 0, 0]


@pytest.mark.parametrize(("k", "latents"), [(0, 4), (5, 4)])
def test_more_active_latents_than_there_are_is_refused(k: int, latents: int) -> None:
    with pytest.raises(ValueError, match="active of"):
        train(Matrix(planted(50)[0]), Recipe(latents=latents, k=k, steps=1))


def test_dead_latents_start_again_towards_what_badly_rebuilt_states_lack() -> None:
    states = planted(2000)[0]
    recipe = Recipe(latents=8 * WIDTH, k=2, steps=60, batch=128, dead_after=1024)
    generator = torch.Generator().manual_seed(0)
    decoder = torch.nn.functional.normalize(torch.randn(8 * WIDTH, WIDTH, generator=generator), dim=1)
    state = _State(recipe, decoder, states.mean(0), states[:128])
    for number in range(12):
        state.step(states[128 * number : 128 * (number + 1)], number)
    left = torch.zeros(128, WIDTH)
    left[5] = 3 * torch.nn.functional.one_hot(torch.tensor(2), WIDTH)
    dead = (state.since >= recipe.dead_after).nonzero()[:, 0]
    before = state.decoder.detach().clone()
    with torch.no_grad():
        state._revive(left, 20)
    moved = (state.decoder.detach() != before).any(1).nonzero()[:, 0]

    assert len(dead) > 1
    # One state lacks anything, so one latent starts again, against x̂ − x.
    assert moved.tolist() == dead[:1].tolist()
    assert float(state.decoder.detach()[moved[0], 2]) == -1
    assert state.since[moved[0]] == 0
    lengths = state.encoder.detach().norm(dim=1)
    assert float(lengths[moved[0]]) < 0.5 * float(lengths.mean())


def test_starting_again_follows_from_the_seed() -> None:
    states = planted(2000)[0]
    recipe = Recipe(latents=4 * WIDTH, k=2, steps=100, batch=128, dead_after=256)
    one, other = (train(Matrix(states), recipe).autoencoder for _ in range(2))

    assert torch.equal(one.encoder, other.encoder)
