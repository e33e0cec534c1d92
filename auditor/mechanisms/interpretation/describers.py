"""Descriptions of features by a language model, tried by another one.

The describer sees pieces of prompts with the active words marked and answers in a sentence. The scorer sees the
sentence and a piece it was not made from, and says yes or no. Both answer greedily, so the same weights give the same
words. Answers that are neither yes nor no are counted, and count half: they tell nothing apart.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from auditor.chat import apply_template
from auditor.exceptions import Interrupted
from auditor.language_models.local import LoadedModel
from auditor.mechanisms._shared.corpus import Corpus
from auditor.mechanisms._shared.text_model import TextModel
from auditor.mechanisms.interpretation.answers import Answered, Answers
from auditor.mechanisms.interpretation.questions import (
    ANSWER_TOKENS,
    DESCRIBE,
    DETECT,
    EXAMPLE_TOKENS,
    EXAMPLES,
    FUZZ,
)
from auditor.mechanisms.interpretation.scores import HeldOut, Question
from auditor.statistics.results import BoolArray, FloatArray, IntArray

#: The date that a describing model's chat template prints, if it prints one: the same on every day.
TEMPLATE_DATE = "2026-01-01"


@dataclass(frozen=True)
class LocalTextModel:
    """A model of the store, asked through its chat template where it has one."""

    loaded: LoadedModel

    @property
    def identity(self) -> Any:
        """As the store has it."""
        return None if self.loaded.manifest is None else self.loaded.manifest.identity.plain()

    def answers(self, prompts: Sequence[str], *, tokens: int) -> list[str]:
        """One answer a prompt, of at most so many tokens, greedily: each by itself, so that none moves another."""
        return [self._answer(prompt, tokens=tokens) for prompt in prompts]

    def _answer(self, prompt: str, *, tokens: int) -> str:
        tokenizer, model = self.loaded.tokenizer, self.loaded.model
        chat = bool(getattr(tokenizer, "chat_template", None))
        text = prompt
        if chat:
            messages = [{"role": "user", "content": prompt}]
            text = apply_template(tokenizer, messages, day=TEMPLATE_DATE)
        ids = tokenizer(text, add_special_tokens=not chat, return_tensors="pt").input_ids.to(model.device)
        end = tokenizer.eos_token_id
        with torch.inference_mode():
            whole = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens,
                do_sample=False,
                num_beams=1,
                # A model's own settings may name temperatures for sampling; greedy decoding has none.
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=end if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
            )
        return str(tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True))


@dataclass(frozen=True)
class Tried:
    """A description by a model, its answers, those with another feature's description, and how many were no answer."""

    words: str | None
    answers: Answers | None
    shuffled: Answers | None
    asked: int
    unparseable: int


def describe_by_model(model: TextModel, corpus: Corpus, strength: FloatArray, active: BoolArray) -> str | None:
    """One sentence from the pieces with the strongest tokens; ``None`` where the model says nothing.

    Parameters
    ----------
    model
        The describer.
    corpus
        Tokens of the applications it may see.
    strength, active
        The activation of every token, and whether it counts as active.
    """
    order = np.argsort(-strength, kind="stable")
    contexts = list(dict.fromkeys(corpus.context[order[strength[order] > 0]].tolist()))[:EXAMPLES]
    pieces = [marked(corpus, np.flatnonzero(corpus.context == context), active) for context in contexts]
    prompt = DESCRIBE.format(pieces="\n".join(f"- {piece}" for piece in pieces))
    [said] = model.answers([prompt], tokens=EXAMPLE_TOKENS)
    lines = [line.strip() for line in said.splitlines() if re.search(r"\w", line)]
    return f"The marked words are {lines[0].rstrip('.')}" if lines else None


def try_descriptions(
    scorer: TextModel,
    held: HeldOut,
    features: Sequence[tuple[int, str | None]],
    *,
    order: IntArray | None,
    contexts: int,
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Tried]:
    """Try descriptions on pieces of held-out applications.

    Parameters
    ----------
    scorer
        Another model than the describer.
    held
        The pieces; every latent must be active in some and not in all.
    features
        Latent and description (``None``: there is none).
    order
        Whose description every feature is also tried with; its own is never among them.
    contexts
        Active pieces, and inactive ones, a feature is tried on at most.
    seed
        Of the draw of pieces.

    Raises
    ------
    Interrupted
        If a stop was asked for.
    """
    results = []
    for place, (latent, words) in enumerate(features):
        if should_stop():
            raise Interrupted("stopped between two features; nothing of this chunk is kept")
        if words is None:
            results.append(Tried(None, None, None, 0, 0))
            continue
        drawn = _draw(held, latent, contexts=contexts, seed=seed)
        own, silent = _answers(scorer, held, drawn, words)
        other = features[int(order[place])][1] if order is not None else None
        exchanged, more = _answers(scorer, held, drawn, other) if other is not None else (None, 0)
        asked = sum(len(rows) for rows in drawn.values()) * (2 if other is not None else 1)
        results.append(Tried(words, own, exchanged, asked, silent + more))
    return results


def marked(corpus: Corpus, rows: IntArray, active: BoolArray) -> str:
    """The text of some tokens in a row, with « » around those that are active."""
    text, inside = "", False
    for row in rows:
        if bool(active[row]) != inside:
            text += "»" if inside else "«"
            inside = not inside
        text += corpus.vocabulary[corpus.token[row]]
    return " ".join((text + ("»" if inside else "")).split())


def yes_or_no(answer: str) -> bool | None:
    """What an answer says; ``None`` where it is neither."""
    found = re.match(r"\W*(yes|no)\b", answer, flags=re.IGNORECASE)
    return None if found is None else found.group(1).lower() == "yes"


def _draw(held: HeldOut, latent: int, *, contexts: int, seed: int) -> dict[str, list[tuple[int, str]]]:
    """For every kind of question, contexts and the text that is shown."""
    active = held.tokens(latent)
    question = Question(held, active)
    corpus, plain = held.corpus, np.zeros(len(active), dtype=bool)
    draw = random.Random(f"{seed}/{latent}")

    def some(where: BoolArray, most: int) -> list[int]:
        found = np.flatnonzero(where).tolist()
        return sorted(draw.sample(found, min(most, len(found))))

    on = some(question.on, contexts)
    shown = {
        "found": [(context, marked(corpus, held.rows(context), plain)) for context in on],
        "near": [(one, marked(corpus, held.rows(one), plain)) for one in some(question.near, contexts // 2)],
        "far": [(one, marked(corpus, held.rows(one), plain)) for one in some(question.far, contexts - contexts // 2)],
        "right": [(context, marked(corpus, held.rows(context), active)) for context in on],
        "wrong": [],
    }
    for context in on:
        rows = held.rows(context)
        quiet = [int(row) for row in rows if not active[row]]
        if quiet:
            wrong = plain.copy()
            wrong[draw.sample(quiet, min(len(quiet), int(active[rows].sum())))] = True
            shown["wrong"].append((context, marked(corpus, rows, wrong)))
    return shown


def _answers(
    scorer: TextModel, held: HeldOut, drawn: dict[str, list[tuple[int, str]]], words: str
) -> tuple[Answers, int]:
    # All at once: a server answers several at a time.
    prompts = [
        (FUZZ if kind in ("right", "wrong") else DETECT).format(words=words, piece=piece)
        for kind, shown in drawn.items()
        for _, piece in shown
    ]
    heard = map(yes_or_no, scorer.answers(prompts, tokens=ANSWER_TOKENS))
    parts: dict[str, Answered] = {}
    silent = 0
    for kind, shown in drawn.items():
        wanted = kind in ("found", "right")
        right = 0.0
        for said in islice(heard, len(shown)):
            silent += said is None
            right += 0.5 if said is None else float(said == wanted)
        applications = len({int(held.application[context]) for context, _ in shown})
        parts[kind] = Answered(right, float(len(shown)), applications)
    return Answers(**parts), silent
