"""What the benchmarks of pairs share: one application in two groups, its first differing token at 60 % of the prompt.

The prompt is that of the scoring benchmark with its line about race moved to where the first difference falls there.
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor.demo_data import load_loanapp
from auditor.language_models.decoder import Decoder, Target, read_decoder, target_of
from auditor.mechanisms.contract import Bench
from auditor.mechanisms.pairs import Pair
from auditor.prompts import parse_template, render
from benchmarks.fields import make_bench
from benchmarks.scoring import BODY, INSTRUCTION, RACE

GROUPS = ("White", "Black")
SHARE = 0.6


@dataclass(frozen=True)
class Contrast:
    """The model, a view into it, what is read, and pairs of prompts that differ in one field."""

    bench: Bench
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
    bench = make_bench()
    lines = BODY.splitlines(keepends=True)
    places = [_pairs(bench, "".join([*lines[:at], RACE, *lines[at:]]), 1)[0] for at in range(len(lines) + 1)]
    at = min(range(len(places)), key=lambda number: abs(places[number].first / len(places[number].base) - SHARE))
    pairs = _pairs(bench, "".join([*lines[:at], RACE, *lines[at:]]), count)
    decoder = read_decoder(bench.loaded.model)
    target = target_of(bench.questions(["Decision:"])[0])
    if not isinstance(decoder, Decoder) or not isinstance(target, Target):
        raise TypeError("the demonstration's model has a structure and one token an answer")
    return Contrast(bench, decoder, target, tuple(pairs))


def _pairs(bench: Bench, body: str, count: int) -> list[Pair]:
    data = load_loanapp()
    labels = {item.name: item.label for item in data.mapping.fields}
    template = parse_template(
        f"{INSTRUCTION}{body}Decision:", fields=(), labels=labels, style="lines", where="benchmark"
    )
    pairs = []
    for record in data.records[:count]:
        words = {item.name: item.say(record.values[item.name]) for item in data.mapping.fields}
        sides = [render(template, {**words, "race": group}).text for group in GROUPS]
        base, donor = (tuple(ids) for ids in bench.loaded.tokenizer(sides).input_ids)
        differing = [place for place, both in enumerate(zip(base, donor, strict=True)) if both[0] != both[1]]
        pairs.append(Pair(base, donor, differing[0], tuple(differing)))
    return pairs
