"""What the benchmarks of pairs share: one application in two groups, its first differing token at 60 % of the prompt.

The prompt is that of the scoring benchmark with its line about race moved to where the first difference falls there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from auditor.applications import Application
from auditor.demo_data import load_loanapp
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.targets import Target, target_of
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.pairs import Pair
from auditor.prompts import parse_template, render
from benchmarks.fields import make_bench
from benchmarks.scoring import BODY, INSTRUCTION, RACE

GROUPS = ("White", "Black")
SHARE = 0.6


@dataclass(frozen=True)
class Contrast:
    """The model, a view into it, what is read, and pairs of prompts that differ in one field."""

    context: ComputeContext
    body: str
    decoder: Decoder
    target: Target
    pairs: tuple[Pair, ...]

    @property
    def about(self) -> dict[str, float | int]:
        """Where the pairs differ, for the rows."""
        first = self.pairs[0]
        return {"tokens_a_prompt": len(first.base), "first_difference": first.first / len(first.base)}


def make_contrast(count: int) -> Contrast:
    """The demonstration's base model and the first applications of the data, each in two groups."""
    context = make_bench()
    lines = BODY.splitlines(keepends=True)
    places = [_pairs(context, "".join([*lines[:at], RACE, *lines[at:]]), 1)[0] for at in range(len(lines) + 1)]
    at = min(range(len(places)), key=lambda number: abs(places[number].first / len(places[number].base) - SHARE))
    body = "".join([*lines[:at], RACE, *lines[at:]])
    decoder = read_decoder(context.loaded.model)
    target = target_of(context.questions(["Decision:"])[0])
    if not isinstance(decoder, Decoder) or not isinstance(target, Target):
        raise TypeError("the demonstration's model has a structure and one token an answer")
    return Contrast(context, body, decoder, target, tuple(_pairs(context, body, count)))


def with_other_fields(contrast: Contrast, count: int, *, tries: int = 300) -> list[Pair]:
    """The first pair, its donor with the fields behind the first difference as another application files them.

    Of the applications whose words there have as many tokens in all, those that differ in the fewest of them.
    """
    first, behind = contrast.pairs[0], contrast.body[contrast.body.index(RACE) :]
    records = load_loanapp().records[:tries]
    moved = [name for name in records[0].values if f"{{{name}}}" in behind]
    filed = [
        replace(records[0], values={**records[0].values, **{name: record.values[name] for name in moved}})
        for record in records
    ]
    donors = {donor for _, donor in _prompts(contrast.context, contrast.body, filed) if len(donor) == len(first.base)}
    found = [Pair(first.base, donor, first.first, _differing(first.base, donor)) for donor in donors]
    others = [pair for pair in found if len(pair.field_tokens) > len(first.field_tokens)]
    return sorted(others, key=lambda pair: (len(pair.field_tokens), pair.donor))[:count]


def _pairs(context: ComputeContext, body: str, count: int) -> list[Pair]:
    pairs = []
    for base, donor in _prompts(context, body, load_loanapp().records[:count]):
        differing = _differing(base, donor)
        pairs.append(Pair(base, donor, differing[0], differing))
    return pairs


def _differing(base: tuple[int, ...], donor: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(place for place, both in enumerate(zip(base, donor, strict=True)) if both[0] != both[1])


def _prompts(
    context: ComputeContext, body: str, records: Sequence[Application]
) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Token ids of every application in both groups."""
    fields = load_loanapp().mapping.fields
    labels = {item.name: item.label for item in fields}
    template = parse_template(
        f"{INSTRUCTION}{body}Decision:", fields=(), labels=labels, style="lines", where="benchmark"
    )
    for record in records:
        words = {item.name: item.say(record.values[item.name]) for item in fields}
        sides = [render(template, {**words, "race": group}).text for group in GROUPS]
        yield tuple(tuple(ids) for ids in context.loaded.tokenizer(sides).input_ids)
