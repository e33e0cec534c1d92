"""A made-up corpus whose features are known: applications of four fields, tokens a word each, activations as told."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from auditor.mechanisms._shared.corpus import Corpus, CorpusBuilder, CorpusPrompt, Read
from auditor.prompts import parse_template, render

TEXT = "Loan of {amount} dollars, ratio {ratio}\nCredit lines: {credit}\nRace: {race}\n\nDecision:"
FIELDS = ("amount", "ratio", "credit", "race")
LABELS = {"amount": "Loan amount", "ratio": "Obligations ratio", "credit": "Credit lines", "race": "Race"}
CREDIT = ("none open", "one open", "many open")
RACES = ("White", "Black", "Hispanic")
Concept = Callable[[Corpus, int], float]


def planted_corpus(applications: int = 24, *, seed: int = 0) -> Corpus:
    """Every application as filed, with both other races, and with another ratio."""
    generator = np.random.default_rng(seed)
    template = parse_template(TEXT, fields=(), labels=LABELS, style="lines", where="test")
    builder = CorpusBuilder(FIELDS, LABELS)
    for number in range(applications):
        filed: dict[str, Any] = {
            "amount": int(generator.integers(50, 400)),
            "ratio": int(generator.integers(15, 60)),
            "credit": CREDIT[int(generator.integers(3))],
            "race": RACES[number % 3],
        }
        changes: list[tuple[str | None, dict[str, Any]]] = [(None, filed)]
        changes += [("race", {**filed, "race": race}) for race in RACES if race != filed["race"]]
        changes.append(("ratio", {**filed, "ratio": 75 - filed["ratio"]}))
        base: list[str] = []
        for changed, values in changes:
            words = {name: f"{value}%" if name == "ratio" else str(value) for name, value in values.items()}
            written = render(template, words)
            offsets = [match.span() for match in re.finditer(r"\n+|[A-Za-z]+|\d+|[^\sA-Za-z\d]", written.text)]
            tokens = [written.text[first:last] for first, last in offsets]
            start = 0
            if base:
                start = next(place for place, token in enumerate(tokens) if token != base[place])
            base = base or tokens
            prompt = CorpusPrompt(f"a{number:02d}", changed, words, values)
            builder.add(prompt, tokens=tokens, offsets=offsets, spans=written.spans, start=start)
    return builder.finished()


def activations(corpus: Corpus, concepts: Sequence[Concept]) -> csr_matrix:
    """The activation of every concept on every token."""
    return csr_matrix(np.array([[concept(corpus, row) for concept in concepts] for row in range(len(corpus))]))


def read(concepts: Sequence[Concept], **options: Any) -> Read:
    corpus = planted_corpus(**options)
    return Read(corpus, activations(corpus, concepts))


def text(corpus: Corpus, row: int) -> str:
    return corpus.vocabulary[corpus.token[row]]


def value(corpus: Corpus, row: int, field: str) -> Any:
    return corpus.prompts[corpus.prompt[row]].values[field]


def on_black(corpus: Corpus, row: int) -> float:
    return float(text(corpus, row) == "Black")


def on_any_race(corpus: Corpus, row: int) -> float:
    return 1.0 + (text(corpus, row) == "Black") if corpus.inside[row] and corpus.segment[row] == 3 else 0.0


def at_the_end_if_black(corpus: Corpus, row: int) -> float:
    return float(corpus.back[row] == 0 and value(corpus, row, "race") == "Black")


def at_the_end_if_ratio_is_high(corpus: Corpus, row: int) -> float:
    return value(corpus, row, "ratio") / 10 if corpus.back[row] == 0 and value(corpus, row, "ratio") > 40 else 0.0


def on_credit_words(corpus: Corpus, row: int) -> float:
    return float(corpus.segment[row] == 2 and not corpus.inside[row])


def on_none(corpus: Corpus, row: int) -> float:
    return float(text(corpus, row) == "none")


def everywhere(corpus: Corpus, row: int) -> float:
    return 1.0


def once(corpus: Corpus, row: int) -> float:
    return float(row == 5)


def by_chance(corpus: Corpus, row: int) -> float:
    return float(np.random.default_rng(row).random() < 0.1)
