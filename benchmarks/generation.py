"""Generated text against transformers' own ``generate``: the same greedy tokens, tokens a second side by side.

Counterfactual prompts of the demonstration, which share their beginnings. The peer gets them left-padded in one batch,
greedy, without the settings of ``generation_config.json`` that change a distribution. Ours holds its self-check, in
which every token is read once more: the row says what it takes. Both sides run in turns, at most three and no more once
they have taken a minute, so that every row comes; medians, and how many turns there were. Agreement is the share of
texts that are the same, token by token; ``ties`` counts tokens decided by the plain forward pass.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from auditor.demo_data import load_loanapp
from auditor.language_models.generated_answers import end_marks
from auditor.language_models.generation import GeneratedText, TextPrompt, generate
from auditor.language_models.next_token import Decoding
from auditor.language_models.packed import PackedScorer, Read, probe_packing
from auditor.language_models.trie import Tokens
from benchmarks.models import load_demo
from benchmarks.rows import Row, seconds
from benchmarks.scoring import PACK_TOKENS, RACE_FIRST, RACE_LAST, THREE, TWENTY_FOUR, prompts_of

LENGTH, TURNS, ENOUGH = 16, 3, 60.0


def run() -> Iterator[Row]:
    """Eight prompts that share most of their tokens, eight that share an instruction, and twenty-four."""
    loaded, data = load_demo(), load_loanapp()
    probe = probe_packing(loaded.model, vocabulary=loaded.model.config.vocab_size, longest=512)
    scorer = TimedScorer(loaded.model, pack_tokens=PACK_TOKENS, probe=probe)
    ends = end_marks(loaded)
    layouts = (
        ("generation: 8 prompts of 1 application", RACE_LAST, TWENTY_FOUR[:8], 1),
        ("generation: 8 prompts of 8 applications", RACE_FIRST, THREE[:1], 8),
        ("generation: 24 prompts of 8 applications", RACE_LAST, THREE, 8),
    )
    for name, template, groups, count in layouts:
        prompts = prompts_of(loaded.tokenizer, data, data.records[:count], template, groups)
        yield _compare(name, loaded.model, scorer, prompts, ends)


def _compare(name: str, model: Any, scorer: TimedScorer, prompts: list[list[int]], ends: frozenset[int]) -> Row:
    asked = [TextPrompt(str(number), tuple(prompt)) for number, prompt in enumerate(prompts)]
    ours: list[float] = []
    checks: list[float] = []
    peers: list[float] = []
    texts: list[GeneratedText] = []
    plain: list[list[int]] = []
    while len(ours) < TURNS and sum(ours) + sum(peers) < ENOUGH:
        started = time.perf_counter()
        scorer.spent = 0.0
        texts = generate(scorer, asked, Decoding(max_tokens=LENGTH), ends=ends)
        ours.append(time.perf_counter() - started)
        checks.append(scorer.spent)
        results: list[list[list[int]]] = []
        peers.append(seconds(lambda results=results: results.append(_plain(model, prompts, ends))))  # type: ignore[misc]
        plain = results[0]
    same = [list(text.tokens) == row[: len(text.tokens)] for text, row in zip(texts, plain, strict=True)]
    tokens = sum(len(text.tokens) for text in texts)
    mine, peer = tokens / statistics.median(ours), tokens / statistics.median(peers)
    return Row(
        name=name,
        ours=mine,
        peer=peer,
        ratio=mine / peer,
        agreement=sum(same) / len(same),
        unit="tokens/s",
        n=len(prompts),
        extra={
            "tokens": tokens,
            "turns": len(ours),
            "share_self_check": statistics.median(checks) / statistics.median(ours),
            "ties": sum(text.ties for text in texts),
            "largest_difference": max(text.largest_difference or 0.0 for text in texts),
            "no_reading": sum(bool(text.trouble) for text in texts),
        },
    )


class TimedScorer(PackedScorer):
    """Keeps how long it read again what had been generated: ``spent`` seconds."""

    spent = 0.0

    def log_probabilities(self, sequences: Sequence[Tokens], reads: Sequence[Sequence[Read]]) -> list[list[float]]:
        """As the scorer does it, timed."""
        started = time.perf_counter()
        found = super().log_probabilities(sequences, reads)
        self.spent += time.perf_counter() - started
        return found

    def one_by_one(self, sequences: Sequence[Tokens], reads: Sequence[Sequence[Read]]) -> list[list[float]]:
        """As the scorer does it, timed."""
        started = time.perf_counter()
        found = super().one_by_one(sequences, reads)
        self.spent += time.perf_counter() - started
        return found


def _plain(model: Any, prompts: Sequence[Sequence[int]], ends: frozenset[int]) -> list[list[int]]:
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=LENGTH, do_sample=False, eos_token_id=sorted(ends), pad_token_id=min(ends)
    )
    longest = max(map(len, prompts))
    rows = [[min(ends)] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    with torch.inference_mode():
        found = model.generate(
            input_ids=torch.tensor(rows), attention_mask=torch.tensor(mask), generation_config=settings
        )
    return [[int(token) for token in row] for row in found[:, longest:]]
