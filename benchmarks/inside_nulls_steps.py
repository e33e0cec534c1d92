"""False rates of *encoded*, of localisations and of look-ahead, whole tests on null copies of two small families.

A copy is a random model of four layers with applications of its own, taken from the planning of a test to the settled
measurements and, for *encoded*, to the ladder:

encoded       the groups as filed are drawn by chance, so nothing in a prompt that withholds them tells them. ``power``:
              an attribute that income gives away
localised     every pair has the difference of another pair, with a sign drawn by chance: no node can carry it, and the
              true share of each is 0. What is picked is picked on such differences too
look-ahead    the answers read the very last digit of the prompt and nothing else, so that before it no state knows more
              of the decision than its mean. ``power``: whether the state at the last token, which is that digit's, is
              read, and no earlier field named
told          the answers add up digits that stand alone in their fields: whatever a state tells, the fields tell too
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import torch

from auditor.applications import Applications, apply_mapping
from auditor.canonical import sha256_bytes
from auditor.catalogue import TESTS
from auditor.conclusions import adjust_and_conclude
from auditor.language_models.local import LoadedModel
from auditor.language_models.packed import PackedScorer
from auditor.mapping_files import mapping_from
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.pair_measures import gaps_of
from auditor.mechanisms._shared.pair_rows import LookedAt, PairsResult
from auditor.mechanisms.attribution_patching import method as attribution_patching
from auditor.mechanisms.components import method as components
from auditor.mechanisms.look_ahead import method as look_ahead
from auditor.mechanisms.look_ahead.layout import LAST
from auditor.mechanisms.patching import method as patching
from auditor.mechanisms.probing import method as probes
from auditor.plan import Plan
from auditor.records import Conclusion, Decision, Measurement, Outcome
from auditor.statistics.multiplicity import significant
from auditor.synthesis.ladder import climb
from auditor.testing.context import Context
from benchmarks.inside_nulls import FAMILIES, random_model, upper_bound
from benchmarks.rows import Row
from tests.acceptance.planted import planted_model
from tests.engine.small import MAPPING, small_cases, small_plan
from tests.language_models.tiny import tiny_tokenizer
from tests.mechanisms.asking import PACKABLE, asked, renderer, through_a_ledger

ALPHA = 0.05
ANSWERS = {"favourable": ["Y"], "adverse": ["N"], "mass_floor": 0.0}
COPIES = {"encoded": 150, "localised": 12, "look-ahead": 100, "told": 100}
DRAWS = 15
"""Times that a model's pairs exchange their differences."""
APPLICATIONS = 60
PAIRS = 48
LAST_DIGIT = "Income {income}\nSex {sex}\nRace {race}\nForm {form}"
"""A template whose last token is the last digit of a number that means nothing."""
READS = 3
"""The direction of a state that answers read in a copy of look-ahead, less the next: no norm moves the difference."""
LOCALISING: Mapping[str, tuple[ModuleType, tuple[str, ...]]] = {
    "attribution patching": (attribution_patching, ("patch_node",)),
    "components": (components, ("direct_share", "lens_share")),
    "patching": (patching, ("patch_stream", "patch_mlp")),
}


@dataclass(frozen=True)
class Tally:
    """How many of ``of`` said yes."""

    yes: int
    of: int


def run() -> Iterator[Row]:
    """A row a family and step."""
    for family in FAMILIES:
        yield _row(f"encoded, withheld: labels by chance, {family}", encoded(family, range(COPIES["encoded"])))
        known = encoded(family, range(COPIES["encoded"] // 10), told=True)
        yield _row(f"encoded, withheld: told by income, {family}", known, power=True)
        for name, tally in localised(family, range(COPIES["localised"])).items():
            yield _row(f"localised: {name}, {family}", tally)
        for name, tally in looked_ahead(family, range(COPIES["look-ahead"])).items():
            yield _row(f"look-ahead, last digit: {name}, {family}", tally, power=name == POWER)
    for name, tally in told_by_fields(range(COPIES["told"])).items():
        yield _row(f"look-ahead, told by the fields: {name}, llama", tally)


POWER = "the last token is read"


def encoded(family: str, seeds: Sequence[int], *, told: bool = False) -> Tally:
    """In how many copies the ladder says *encoded* of race."""
    yes = 0
    for seed in seeds:
        plan = _plan("probes")
        data = applications(seed, told=told)
        _, measurements = concluded(probes, random_model(family, seed), plan=plan, data=data, **_READ)
        rungs = climb(measurements, plan=plan)
        yes += any(rung.steps["encoded"] is True for rung in rungs)
    return Tally(yes, len(seeds))


def localised(family: str, seeds: Sequence[int], *, draws: int = DRAWS) -> dict[str, Tally]:
    """By test: shares of nodes whose interval leaves 0 out and that are not unstable, of all that have an interval."""
    found: dict[str, list[int]] = {}
    for seed in seeds:
        data, model = applications(seed), random_model(family, seed)
        for name, (test, metrics) in LOCALISING.items():
            plan = _plan(test.CARD.name)
            results = computed(test, model, plan=plan, data=data, attributes=("race",), pairs=PAIRS)
            generator = np.random.default_rng((seed, 2))
            for _ in range(draws):
                drawn = [_exchanged(test.Result.read(one), generator) for one in results]
                told = adjust_and_conclude(list(test.measure(_context(plan, test, ()), drawn)))
                mine = [item for item in told if item.metric in metrics and item.low is not None]
                apart = [_named(item) for item in mine]
                total = found.setdefault(name, [0, 0])
                total[0] += sum(apart)
                total[1] += len(apart)
    return {name: Tally(yes, of) for name, (yes, of) in found.items()}


def _exchanged(result: PairsResult[LookedAt], generator: np.random.Generator) -> PairsResult[LookedAt]:
    """Every pair with another's difference, its sign drawn by chance."""
    gaps = generator.permutation(gaps_of(result.pairs))
    signs = generator.choice([-1.0, 1.0], len(gaps))
    drawn = zip(result.pairs, gaps, signs, strict=True)
    pairs = tuple(pair.model_copy(update={"gap": float(gap * sign)}) for pair, gap, sign in drawn)
    return result.model_copy(update={"pairs": pairs})


def _named(item: Measurement) -> bool:
    assert item.low is not None
    assert item.high is not None
    return item.conclusion is not Conclusion.INCONCLUSIVE and not item.low <= 0 <= item.high


def looked_ahead(family: str, seeds: Sequence[int]) -> dict[str, Tally]:
    """What is said before the digit that decides: by reading, in how many copies at any place."""
    return _looked([(last_digit_model(family, seed), seed, LAST_DIGIT, (100, 999)) for seed in seeds], last="Form")


def told_by_fields(seeds: Sequence[int]) -> dict[str, Tally]:
    """Digits that stand alone in their fields and are added up: no state has more than they."""
    model = planted_model("B", against=0.0)
    return _looked([(model, seed, LAST_DIGIT + "\nD:", (0, 9)) for seed in seeds], last=None)


def _looked(copies: Sequence[tuple[Any, int, str, tuple[int, int]]], *, last: str | None) -> dict[str, Tally]:
    counts: dict[str, int] = {}
    for model, seed, template, (low, high) in copies:
        plan = _plan("look_ahead", prompt__template=template, placebo__low=low, placebo__high=high)
        data = applications(seed, digits=last is None)
        _, told = concluded(look_ahead, model, plan=plan, data=data, parts=("reading",), **_LOOK)
        said = dict.fromkeys(("above the fields", *(("readable", "first field", POWER) if last else ())), False)
        for item in told:
            place = item.subject.get("position")
            before = last is None or (place not in (None, "form", LAST))
            yes = item.p_adjusted is not None and significant(item.p_adjusted, alpha=ALPHA) and (item.estimate or 0) > 0
            if item.metric == "look_ahead_above_fields" and before:
                said["above the fields"] |= yes
            if last is not None and item.metric == "look_ahead_readable":
                said["readable" if before else POWER] |= yes
            if last is not None and item.metric.startswith("first_field"):
                said["first field"] |= item.estimate is not None and item.estimate < len(FIELDS)
        for name, yes in said.items():
            counts[name] = counts.get(name, 0) + yes
    return {name: Tally(count, len(copies)) for name, count in counts.items()}


_READ: dict[str, Any] = {
    "attributes": ("race",),
    "applications": 32,
    "untrained": False,
    "control_words": ("sun", "cat", "map", "pen"),
}
"""What *encoded* does not need is left out: other weights, and the words of *selective* but the fewest."""
_LOOK: dict[str, Any] = {
    "applications": APPLICATIONS,
    "layers": 3,
    "traced": 2,
    "knocked": 0,
    "pairs": 1,
    "rationales": 0,
}
FIELDS = ("income", "sex", "race", "form")


def last_digit_model(family: str, seed: int) -> Any:
    """Random weights, whose answers read a direction that only the digits' own embeddings have."""
    model = random_model(family, seed)
    llama = family == "llama"
    base = model.model if llama else model.gpt_neox
    words, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    own = slice(READS, READS + 2)
    with torch.no_grad():
        words[:, own] = 0.0
        token = tiny_tokenizer().convert_tokens_to_ids
        size = float(words.std())
        for digit in range(10):
            words[token(str(digit)), READS] = (digit - 4.5) * size
            words[token(str(digit)), READS + 1] = -(digit - 4.5) * size
        for layer in base.layers:
            written = (
                (layer.self_attn.o_proj, layer.mlp.down_proj)
                if llama
                else (layer.attention.dense, layer.mlp.dense_4h_to_h)
            )
            for part in written:
                part.weight[own] = 0.0
                if part.bias is not None:
                    part.bias[own] = 0.0
        answers = [token(answer) for answer in ("Y", "N")]
        head[answers] = 0.0
        head[answers[0], READS], head[answers[0], READS + 1] = 1.0, -1.0
    return model


def applications(seed: int, *, told: bool = False, digits: bool = False) -> Applications:
    """Applications whose race and sex are drawn by chance, or race by income; ``digits``: incomes of one digit."""
    generator = np.random.default_rng((seed, 3))
    n = APPLICATIONS
    income = generator.integers(0, 10, n) if digits else generator.integers(10, 99, n)
    race = generator.permutation(["White", "Black"] * (n // 2))
    if told:
        race = np.where(income >= np.median(income), "White", "Black")
    table = pl.DataFrame(
        {
            "income": income,
            "race": race,
            "sex": generator.permutation(["male", "female"] * (n // 2)),
            "approved": generator.permutation([0, 1] * (n // 2)),
        }
    )
    name = f"{seed}/{told}/{digits}"
    return apply_mapping(
        table, mapping_from(MAPPING, where="nulls"), source="nulls", file_sha256=sha256_bytes(name.encode())
    )


def _plan(test: str, **changes: Any) -> Plan:
    return small_plan(prompt__answers=ANSWERS, tests__run=[test], noise__reask=0, **changes)


def computed(
    test: Any, model: Any, *, plan: Plan, data: Applications, parts: Sequence[str] = (), **settings: Any
) -> list[dict[str, Any]]:
    """A test's results as the conductor keeps them; ``parts`` leaves chunks of other parts out."""
    chosen = test.Settings(**settings)
    context, registered = _compute_context(model, chosen, plan, data), TESTS[test.CARD.name]
    pieces = [through_a_ledger(piece.payload) for piece in test.plan_chunks(asked(chosen, plan=plan, data=data))]
    return [
        through_a_ledger(registered.compute(context, payload))
        for payload in pieces
        if not parts or payload["part"] in parts
    ]


def concluded(
    test: Any, model: Any, *, plan: Plan, data: Applications, **settings: Any
) -> tuple[list[dict[str, Any]], tuple[Measurement, ...]]:
    """Planned, computed, kept as bytes, measured, settled."""
    results = computed(test, model, plan=plan, data=data, **settings)
    cases = small_cases(plan, data)
    margins = _compute_context(model, None, plan, data).margins([case.prompt for case in cases])
    outcomes = {True: Outcome.FAVOURABLE, False: Outcome.ADVERSE}
    decisions = {
        case.id: Decision(case.id, float(margin), 1.0, 0.0, 0.0, outcomes[bool(margin >= 0)])
        for case, margin in zip(cases, margins, strict=True)
    }
    about = _context(plan, test, results, cases=cases, decisions=decisions)
    return results, adjust_and_conclude(list(TESTS[test.CARD.name].measure(about)))


def _context(plan: Plan, test: Any, results: Sequence[Any], **about: Any) -> Context:
    whole: dict[str, Any] = {"cases": (), "decisions": {}, **about}
    return Context(
        plan=plan, observed={}, values={}, observed_rate=None, results={test.CARD.name: list(results)}, **whole
    )


def _compute_context(model: Any, settings: Any, plan: Plan, data: Applications) -> ComputeContext:
    return ComputeContext(
        plan=plan,
        settings=settings,
        loaded=LoadedModel(model, tiny_tokenizer(), None, "cpu"),
        scorer=PackedScorer(model, pack_tokens=256, probe=PACKABLE),
        render=renderer(plan, data),
        should_stop=lambda: False,
    )


def _row(name: str, tally: Tally, *, power: bool = False) -> Row:
    share = tally.yes / tally.of
    return Row(
        name=f"inside nulls: {name}",
        ours=share,
        peer=None if power else ALPHA,
        ratio=None,
        agreement=None,
        unit="rate",
        n=tally.of,
        extra={
            "power" if power else "false_findings": share,
            "said_yes": tally.yes,
            "upper_bound": None if power else upper_bound(tally.yes, tally.of),
        },
    )
