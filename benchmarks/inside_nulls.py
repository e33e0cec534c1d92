"""How often tests on internals find what is not there, on null copies of two small families, and what they then miss.

A row is a kind of copy, a family and a test; ``ours`` is the rate at which the test said yes, ``peer`` the level of the
plan, ``extra`` the count and Clopper and Pearson's 95 % upper bound. Copies are random models of four layers, each with
applications of its own:

shuffled labels   every prompt bears a group's label by chance, on all applications: nothing about the groups is true
effect cut        the groups differ in every state, and what the answers read is made orthogonal to that difference
read elsewhere    the difference is carried after the field, unread, and the decision reads the field once more, late
mediator          the decision rests on what is carried after the field: the rate is the power

A yes here is p ≤ .05, the right sign and, for erasure, at most a tenth left on applications that were not fitted on;
the repeats over other windows and doses, which can only take a yes away, are left out.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import beta

from auditor.language_models.answers import encode
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.noise import noise_floor
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.concepts import Placed
from auditor.mechanisms._shared.float_rows import array_of
from auditor.mechanisms._shared.randomisation import randomised, together
from auditor.mechanisms._shared.residual_streams import Streams
from auditor.mechanisms._shared.scrubbing import carried
from auditor.mechanisms.erasure.runs import Eraser, gaps_removed
from auditor.mechanisms.steering.runs import Steerer
from auditor.statistics.minimums import draws_needed
from benchmarks.rows import Row
from tests.acceptance.planted import SCALE, planted_model
from tests.language_models.tiny import GROUPED, LAYERS, SIZES, tiny_tokenizer

ALPHA = 0.05
COPIES = 400
APPLICATIONS = 24
GROUPS = ("White", "Black")
FAMILIES = ("llama", "gpt_neox")
SMALLEST_GAP = 1e-3
MOST_LEFT = 0.10
DRAWS = draws_needed(alpha=ALPHA, family_size=1)
OTHERS = ("inside_nulls_probes", "inside_nulls_ladder", "inside_nulls_superposition", "inside_nulls_steps")


@dataclass(frozen=True)
class Said:
    """What both tests said of one copy: their p-values, and whether that is a yes."""

    p_used: float
    used: bool
    p_usable: float
    usable: bool


def run() -> Iterator[Row]:
    """Erasure and steering, then the studies of probes, the ladder, superposition and the other steps."""
    yield from interventions()
    for name in OTHERS:
        yield from importlib.import_module(f"benchmarks.{name}").run()


def interventions() -> Iterator[Row]:
    """One row a kind of copy, family and test."""
    for family in FAMILIES:
        yield from rows("shuffled labels", family, [shuffled(family, seed) for seed in range(COPIES)])
        yield from rows("effect cut", family, [cut(family, seed) for seed in range(COPIES // 2)])
    yield from rows("read elsewhere", "llama", [elsewhere(seed) for seed in range(COPIES // 4)])
    for against in (2.0, 10.0, 40.0):
        found = [mediator(seed, against=against) for seed in range(COPIES // 10)]
        yield from rows(f"mediator of strength {against:g}", "llama", found)


def rows(kind: str, family: str, said: Sequence[Said]) -> Iterator[Row]:
    """A row for erasure and one for steering."""
    for test, yes, p_values in (
        ("used", [item.used for item in said], [item.p_used for item in said]),
        ("usable", [item.usable for item in said], [item.p_usable for item in said]),
    ):
        count, n = sum(yes), len(yes)
        yield Row(
            name=f"{test}: {kind}, {family}",
            ours=count / n,
            peer=ALPHA,
            ratio=None,
            agreement=None,
            unit="rate",
            n=n,
            extra={
                "said_yes": count,
                "upper_bound": upper_bound(count, n),
                "p_at_most_alpha": float(np.mean(np.array(p_values) <= ALPHA + 1e-12)),
                "applications": APPLICATIONS,
                "draws": DRAWS,
            },
        )


def upper_bound(count: int, n: int, *, level: float = 0.95) -> float:
    """Clopper and Pearson's one-sided upper bound of a rate."""
    return 1.0 if count == n else float(beta.ppf(level, count + 1, n - count))


def shuffled(family: str, seed: int, *, applications: int = APPLICATIONS) -> Said:
    """A random model whose prompts bear labels by chance."""
    generator = np.random.default_rng((seed, 1))
    labels = np.array([generator.permutation(len(GROUPS)) for _ in range(applications)], dtype=np.intp)
    return judge(random_model(family, seed), prompts(seed, applications), seed=seed, labels=labels)


def cut(family: str, seed: int, *, applications: int = APPLICATIONS) -> Said:
    """A random model that carries the attribute, with its mean effect on the answers taken out of what they read."""
    model, sets = random_model(family, seed), prompts(seed, 4 * applications)
    decoder = read_decoder(model)
    assert isinstance(decoder, Decoder)
    with torch.inference_mode():
        streams = Streams(decoder, sets)
        streams.through(target(), layers=(), visit=lambda _: None, draws=1)
        final = torch.stack([stream[:, -1] for stream in streams.streams])
        apart = decoder.parts.final_norm(final)
        apart = (apart[:, 1] - apart[:, 0]).mean(0)
    head = decoder.parts.head.weight
    yes, no = target().favourable[0], target().adverse[0]
    with torch.no_grad():
        read = head[yes] - head[no]
        head[yes] -= (read @ apart) / (apart @ apart) * apart
    return judge(model, sets[:applications], seed=seed)


def elsewhere(seed: int, *, applications: int = APPLICATIONS) -> Said:
    """The planted model, which reads the letter late and straight from the field; what is carried there is unread."""
    model = planted_model("B", against=40.0)
    carried_at, late = 3, 7
    with torch.no_grad():
        second = model.model.layers[1].self_attn
        # The first layer's sum stays in the stream, and the answers read the second layer's instead.
        second.v_proj.weight[0, 0] = 1.0
        second.o_proj.weight[late, 0] = SCALE
        for word in model.lm_head.weight:
            word[late] = word[carried_at]
            word[carried_at] = 0.0
    return judge(model, prompts(seed, applications), seed=seed)


def mediator(seed: int, *, against: float, applications: int = APPLICATIONS) -> Said:
    """The planted model: the first layer carries the letter to the positions behind it, and the answers read that."""
    return judge(planted_model("B", against=against), prompts(seed, applications), seed=seed)


def judge(
    model: Any, sets: list[list[Placed]], *, seed: int, labels: np.ndarray[Any, np.dtype[np.intp]] | None = None
) -> Said:
    """Both tests at full strength for one contrast."""
    decoder = read_decoder(model)
    noise = noise_floor(model, target())
    with torch.inference_mode():
        eraser = Eraser(
            streams=Streams(decoder, sets),  # type: ignore[arg-type]
            target=target(),
            groups=len(GROUPS),
            reference=0,
            noise=noise,
            seed=seed,
            labels=labels,
        )
        ran = eraser.run(carried(decoder.layers, (0.25, 0.75)), draws=DRAWS, stop=True)
        steerer = Steerer(decoder, sets, target=target(), depths=(0.5,), doses=(1.0,), seed=seed, labels=labels)
        (point,) = steerer.curve((1, 0), draws=DRAWS)
    clean = array_of(ran.clean, len(GROUPS))
    gap = float((clean[:, 1] - clean[:, 0]).mean())
    differ = abs(gap) > max(SMALLEST_GAP, noise.bound)
    removed = float(gaps_removed(clean, np.array([ran.margins]), 0)[0, 0])
    controls = gaps_removed(clean, array_of(ran.controls, clean.size), 0)[:, 0] * np.array(ran.readable_control)
    turned = gaps_removed(clean, array_of(ran.turned, clean.size), 0)[:, 0]
    erased = together(
        [
            randomised(removed * ran.readable, controls.tolist(), floor=eraser.floor()),
            randomised(removed, turned.tolist(), floor=eraser.floor()),
        ]
    )
    p_used = float(erased.p_value or 1.0) if differ else 1.0
    sign = removed * gap > 0 and abs(gap - removed) <= abs(gap)
    towards = float((np.array(point.margins.towards) - clean[:, 0]).mean())
    away = float((np.array(point.margins.away) - clean[:, 1]).mean())
    both = [
        randomised(change, own, floor=eraser.floor(), stop=None, direction=way * gap if differ else None).p_value
        for change, own, way in (
            (towards, point.drawn.controls.towards, 1.0),
            (towards, point.drawn.random.towards, 1.0),
            (away, point.drawn.controls.away, -1.0),
            (away, point.drawn.random.away, -1.0),
        )
    ]
    p_usable = max(value or 1.0 for value in both)
    opposite = towards * away < 0 and (not differ or towards * gap > 0)
    level = ALPHA + 1e-12
    return Said(
        p_used=p_used,
        used=p_used <= level and sign and ran.left <= MOST_LEFT,
        p_usable=p_usable,
        usable=p_usable <= level and opposite,
    )


def random_model(family: str, seed: int) -> Any:
    """Four layers of random weights, spread widely enough that states differ."""
    import transformers as hf

    torch.manual_seed(seed)
    if family == "llama":
        model = hf.LlamaForCausalLM(hf.LlamaConfig(**{**GROUPED, "num_hidden_layers": 4}))
    else:
        model = hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**{**LAYERS, **SIZES, "num_hidden_layers": 4}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model.eval()


def prompts(seed: int, applications: int) -> list[list[Placed]]:
    """By application, a prompt for every group: numbers before the field, a few positions behind it."""
    generator = np.random.default_rng((seed, 0))
    sets = []
    for _ in range(applications):
        income, loan = generator.integers(10, 99, 2)
        texts = [f"Income {income} Loan {loan} Race {group}\nD:" for group in GROUPS]
        placed = []
        for text, encoding in zip(texts, encode(tiny_tokenizer(), texts, chat=False), strict=True):
            first = text.index("Race ") + len("Race ") + len(encoding.ids) - len(text)
            placed.append(Placed(encoding.ids, first, first + len(GROUPS[0]) - 1))
        sets.append(placed)
    return sets


def target() -> Target:
    """Y against N."""
    token = tiny_tokenizer().convert_tokens_to_ids
    return Target((token("Y"),), (token("N"),))
