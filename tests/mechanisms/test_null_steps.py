"""Short forms of the null copies of *encoded*, of localisations and of look-ahead, and what their copies are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.pair_rows import LookedAt, PairsResult
from benchmarks.inside_nulls import FAMILIES, target
from benchmarks.inside_nulls_steps import (
    POWER,
    _exchanged,
    encoded,
    last_digit_model,
    localised,
    looked_ahead,
    told_by_fields,
)
from tests.language_models.tiny import tiny_tokenizer
from tests.mechanisms.computing import CONTRAST

COPIES = 3
MOST = int(stats.binom.isf(0.001, COPIES, 0.05))


def test_labels_by_chance_are_seldom_encoded_and_those_that_income_tells_are() -> None:
    assert encoded("llama", range(COPIES)).yes <= MOST
    assert encoded("llama", range(1), told=True).yes == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_no_state_tells_of_a_digit_that_is_still_to_come(family: str) -> None:
    said = looked_ahead(family, range(COPIES))
    assert said.pop(POWER).yes == COPIES
    assert all(tally.yes <= MOST for tally in said.values()), said


def test_a_state_tells_no_more_than_the_fields_where_they_tell_all() -> None:
    assert told_by_fields(range(COPIES))["above the fields"].yes <= MOST


def test_no_node_carries_the_differences_of_other_pairs() -> None:
    for name, tally in localised("gpt_neox", range(1), draws=3).items():
        assert tally.of >= 30, name
        # Nodes of one draw go together, so more than a binomial share of them may be named at once.
        assert tally.yes <= 0.25 * tally.of, name


def test_exchanged_differences_are_those_of_the_pairs_with_signs_of_their_own() -> None:
    pairs = tuple(LookedAt(id=str(number), gap=1.0 + number) for number in range(40))
    noise = NoiseFloor(logit=1e-6, state=1e-6, precision=1e-7, arithmetic="float32")
    result = PairsResult(contrast=CONTRAST, noise=noise, pairs=pairs)
    gaps = [pair.gap for pair in _exchanged(result, np.random.default_rng(1)).pairs]
    assert sorted(map(abs, gaps)) == [pair.gap for pair in pairs]
    assert gaps != [pair.gap for pair in pairs]
    assert {np.sign(gap) for gap in gaps} == {-1.0, 1.0}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_answers_of_a_last_digit_copy_have_the_sign_of_that_digit(family: str) -> None:
    decoder = read_decoder(last_digit_model(family, 4))
    assert isinstance(decoder, Decoder)
    texts = [f"Income {income}\nForm 17{digit}" for income in (12, 85) for digit in range(10)]
    with torch.inference_mode():
        run = decoder.run(torch.tensor([tiny_tokenizer()(text).input_ids for text in texts]))
        margins = decoder.margins(run, target()).double().numpy().reshape(2, 10)
    assert (np.sign(margins) == np.sign(np.arange(10) - 4.5)).all()
