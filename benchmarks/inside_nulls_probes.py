"""How often probes call an attribute selective that is none, and one that is: simulated through the real steps.

States are made up: an application's own vector, and a word's, ``strength`` times as long as the spread between
applications in the directions the words use. Under the null the attribute's words are words like the others. The
planted attribute's two words lie ``apart`` on both sides of the others along one direction. Two small families of
decoders with random weights follow, through the harvest of the real test: their "attribute" is two of the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from auditor.language_models.activations import harvest
from auditor.language_models.decoder_check import read_decoder
from auditor.mechanisms.probing.selectivity import ceiling, compare, read_pair
from auditor.records import Measurement, Role
from auditor.synthesis.ladder_steps import LEAST_IN_GROUP, selective
from benchmarks.rows import Row

ALPHA = 0.05
APPLICATIONS, WIDTH, FOLDS, PENALTY = 24, 32, 5, 1.0
BANKS = 4

Array = np.ndarray[Any, Any]


FAMILIES = {"llama": LlamaForCausalLM, "gpt2": GPT2LMHeadModel}


def run() -> Iterator[Row]:
    """Rows of false findings, of power, and of what stays unsaid because control words are read perfectly too."""
    for strength in (0.5, 1.0, 4.0):
        yield _row(f"selective, null, strength {strength:g}", false_selective(strength=strength, trials=2000, seed=1))
    for family in FAMILIES:
        for differing in (3, 6, 10):
            said = family_false_selective(family, differing=differing, trials=2000, seed=1)
            yield _row(f"selective, null {family}, applications differ in {differing} tokens", said)
    for apart in (2.0, 3.0, 6.0):
        yield _row(f"selective, planted {apart:g} apart", planted(apart=apart, trials=200, seed=1), power=True)


@dataclass(frozen=True)
class Said:
    """How often the step said yes, how often that it cannot say, and how well pairs of words are read on average."""

    yes: float
    unsaid: float
    trials: int
    control: float = float("nan")


def false_selective(*, strength: float, trials: int, seed: int, words: int = 40) -> Said:
    """Two random word vectors as the attribute.

    Trials draw their words from banks of ``words`` word vectors whose pairs are read once each.
    """
    generator = np.random.default_rng(seed)
    banks = (_states(generator, words=words, strength=strength) for _ in range(BANKS))
    return _drawn(banks, generator, trials=trials)


def family_false_selective(family: str, *, differing: int, trials: int, seed: int, words: int = 24) -> Said:
    """Two tokens of a decoder with random weights as the attribute, harvested as the test does."""
    generator = np.random.default_rng(seed)
    banks = (_harvested(family, generator, words=words, differing=differing) for _ in range(BANKS))
    return _drawn(banks, generator, trials=trials)


def planted(*, apart: float, trials: int, seed: int, words: int = 8) -> Said:
    """Two words that the model writes on both sides of all others."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(trials):
        states = _states(generator, words=words + 2, strength=0.25)
        way = generator.standard_normal(WIDTH)
        way *= apart / np.linalg.norm(way)
        states[0] += way
        states[1] -= way
        found.append(called_selective(_all_pairs(states), np.arange(words + 2)))
    return _said(found)


def _drawn(banks: Iterable[Array], generator: np.random.Generator, *, trials: int) -> Said:
    found, read = [], []
    for states in banks:
        rights = _all_pairs(states)
        read += [float(mine.mean()) for mine in rights.values()]
        for _ in range(trials // BANKS):
            # The attribute's two and seven others: 36 pairs, where the level needs 20 draws.
            found.append(called_selective(rights, generator.permutation(len(states))[:9]))
    return replace(_said(found), control=float(np.mean(read)))


def _said(found: Sequence[bool | None]) -> Said:
    return Said(
        yes=float(np.mean([held is True for held in found])),
        unsaid=float(np.mean([held is None for held in found])),
        trials=len(found),
    )


def called_selective(rights: dict[tuple[int, int], Array], words: Sequence[int] | Array) -> bool | None:
    """What the ladder says of the first two of ``words`` beside the pairs of all of them."""
    own = {int(words[0]), int(words[1])}
    pairs = [(int(one), int(two)) for one, two in combinations(words, 2)]
    read = [rights[min(pair), max(pair)] for pair in pairs]
    apart = [not own & {*pair} for pair in pairs[1:]]
    result = compare(read, apart=apart, alpha=ALPHA, family_size=1)
    item = Measurement(
        id="selective",
        test="probes",
        metric="probe_selectivity",
        role=Role.SUPPORTING,
        subject={"setting": "stated"},
        unit="rate_difference",
        estimate=result.difference,
        # As many as a "no" takes, so that what stays unsaid is unsaid for the control words alone.
        n=LEAST_IN_GROUP,
        low=result.low,
        high=result.high,
        p_adjusted=result.p_value,
        counts={
            "draws": result.draws,
            "draws_needed": result.needed,
            "accuracy": result.accuracy,
            "control": result.control,
            "ceiling": int(ceiling(result, alpha=ALPHA, family_size=1)),
        },
        level=0.95,
    )
    return selective([item], alpha=ALPHA).held


def _states(generator: np.random.Generator, *, words: int, strength: float) -> Array:
    """States [words, applications, width]: an application's own, a word's, and what is only this prompt's."""
    cases = generator.standard_normal((1, APPLICATIONS, WIDTH))
    meaning = generator.standard_normal((words, 1, WIDTH)) * strength / np.sqrt(WIDTH / 4)
    # Some words stand out more than others, as they do in a vocabulary.
    meaning *= generator.gamma(2.0, 0.5, (words, 1, 1))
    return np.asarray(cases + meaning + generator.standard_normal((words, APPLICATIONS, WIDTH)))


def _harvested(family: str, generator: np.random.Generator, *, words: int, differing: int) -> Array:
    """States [words, applications, width] at the last token in the middle of a small random model.

    Applications differ in ``differing`` of their tokens: the fewer, the better any two words are read apart.
    """
    torch.manual_seed(int(generator.integers(2**31)))
    sizes = {"vocab_size": 200, "bos_token_id": 0, "eos_token_id": 1}
    if family == "gpt2":
        config: Any = GPT2Config(n_layer=4, n_head=4, n_embd=64, n_positions=64, **sizes)
    else:
        config = LlamaConfig(
            num_hidden_layers=4, num_attention_heads=4, hidden_size=64, intermediate_size=96, pad_token_id=2, **sizes
        )
    model = FAMILIES[family](config).eval()
    with torch.no_grad():
        # Wide enough that attention and MLPs do something.
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    before, after = (np.repeat(generator.integers(3, 100, (1, size)), APPLICATIONS, axis=0) for size in (10, 5))
    before[:, :differing] = generator.integers(3, 100, (APPLICATIONS, differing))
    decoder = read_decoder(model)
    states = []
    for word in range(100, 100 + words):
        prompts = [(*map(int, one), word, *map(int, two)) for one, two in zip(before, after, strict=True)]
        states.append(harvest(decoder, prompts, [[15]] * APPLICATIONS, layers=[2])[:, 0, 0])
    return np.stack(states)


def _all_pairs(states: Array) -> dict[tuple[int, int], Array]:
    folds = np.arange(states.shape[1]) % FOLDS
    return {
        (one, two): read_pair(states[one], states[two], folds=folds, penalty=PENALTY)
        for one, two in combinations(range(len(states)), 2)
    }


def _row(name: str, said: Said, *, power: bool = False) -> Row:
    error = float(np.sqrt(max(said.yes * (1 - said.yes), 1 / said.trials) / said.trials))
    return Row(
        name=name,
        ours=said.yes,
        peer=None,
        ratio=None,
        agreement=None,
        unit="rate",
        n=said.trials,
        extra={
            "power" if power else "false_findings": said.yes,
            "standard_error": error,
            "too_few_to_say": said.unsaid,
            "words_read_at": None if np.isnan(said.control) else said.control,
            "level": ALPHA,
        },
    )
