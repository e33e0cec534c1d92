"""Steering: could the attribute move decisions? Add the difference between two groups to the stream, read the margin.

The direction is the difference of class means at the last token of one layer, taken from half of the applications. It
is put into the same layer or another one (cross-layer re-injection) of the other half, at the last token: added to
prompts that state the reference group, taken from prompts that state the other. A dose of 1 is as long as the groups
are apart at the layer it is put into.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import threadpool_limits

from auditor.behaviour.context import Card, Context, Draft, FloatArray
from auditor.language_models.decoder import Decoder, Target, read_decoder, target_of
from auditor.mechanisms.concepts import concept_payload, draw_clusters, place, suffix_tokens
from auditor.mechanisms.contract import Asked, Bench, Work
from auditor.mechanisms.steering_measures import RANDOM, measures
from auditor.mechanisms.streams import Streams
from auditor.plan import Section

CARD = Card(
    name="steering",
    purpose="Whether a direction that tells two groups apart would move decisions if it were stronger or elsewhere.",
    method=(
        "The difference of class means at the last token of a layer is added to the same or another layer of held-out "
        "applications, in several doses and both directions; random directions of the same length beside it."
    ),
    worrying="Decisions move with the dose, more than with a random direction of the same length.",
    limitations=(
        "It shows what the representation could do, not what it does in an ordinary prompt. High doses leave the "
        "states a model ever has; the probability left on the answers says when."
    ),
    references=("Turner et al. (2023), Steering language models with activation engineering, arXiv:2308.10248",),
    needs_internals=True,
    question="usable",
)


class Settings(Section):
    """Where and how strongly is steered.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    applications
        Applications an attribute; the groups as filed in turns.
    depths
        Layers as shares of the depth; every one is a source and a target.
    doses
        Multiples of the distance between the groups.
    random_directions
        Random directions the largest is reported of, at every target and dose.
    """

    attributes: tuple[str, ...] = ()
    applications: Annotated[int, Field(ge=8)] = 32
    depths: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.25, 0.5, 0.75)
    doses: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1.0, 2.0, 4.0)
    random_directions: Annotated[int, Field(ge=1, le=50)] = 3


def work(asked: Asked) -> Iterable[Work]:
    """One chunk an attribute."""
    settings: Settings = asked.settings
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        variants = len(attribute.groups)
        # Half a depth a run on average, for every other group, target, dose, source and random direction.
        ways = len(settings.depths) + settings.random_directions
        runs = 2 + (variants - 1) * len(settings.depths) * len(settings.doses) * ways // 2
        tokens = 0
        for cluster in clusters:
            whole, suffix = suffix_tokens(asked, cluster, attribute.field)
            tokens += whole + runs * variants * suffix
        payload = concept_payload(asked, attribute, clusters)
        yield Work(prompts=len(clusters) * variants * runs, tokens=tokens, payload=payload)


def compute(bench: Bench, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Steer one attribute.

    Returns
    -------
    dict
        ``curve``: for every group, source, target, dose and direction the margins of all applications; or the
        ``reason`` why the model cannot be opened.
    """
    settings: Settings = bench.settings
    about = {key: payload[key] for key in ("field", "reference", "groups")}
    cases, groups = payload["cases"], payload["groups"]
    variants = [{**case["words"], payload["field"]: group} for case in cases for group in groups]
    target = target_of(bench.questions([bench.render(variants[0]).text])[0])
    decoder = read_decoder(bench.loaded.model)
    if not isinstance(decoder, Decoder):
        return {**about, "cases": [], "reason": decoder.reason}
    if isinstance(target, str):
        return {**about, "cases": [], "reason": target}
    step = len(groups)
    layers = sorted({min(max(1, round(depth * decoder.layers)), decoder.layers - 1) for depth in settings.depths})
    # As many threads here as the model is given: a sum's last digits depend on them.
    with torch.inference_mode(), threadpool_limits(bench.plan.budget.threads):
        placed = place(bench, variants, payload["field"])
        sets = [placed[first : first + step] for first in range(0, len(placed), step)]
        streams = Streams(decoder, sets, should_stop=bench.should_stop)
        held: dict[int, list[torch.Tensor]] = {}
        states: dict[int, FloatArray] = {}
        streams.begin()
        for layer in range(decoder.layers):
            if layer in layers:
                held[layer] = [stream.clone() for stream in streams.streams]
                states[layer] = streams.gather(0)[1]
            streams.advance(layer)
        clean, mass = streams.margins(target)
        curve: list[dict[str, Any]] = []
        for group in groups:
            if group == payload["reference"]:
                continue
            pair = (groups.index(group), groups.index(payload["reference"]))
            curve += _curve(bench, streams, target, held=held, apart=_differences(states, pair, step), pair=pair)
    return {
        **about,
        "cases": [case["id"] for case in cases],
        "clean": clean.tolist(),
        "mass": float(mass.mean()),
        "middle": layers[len(layers) // 2],
        "exact": target.exact,
        "curve": curve,
    }


def run(context: Context) -> Iterable[Draft]:
    """The dose curve, and how far one dose in the middle of the model moves the margin."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def _differences(states: Mapping[int, FloatArray], pair: tuple[int, int], step: int) -> dict[int, FloatArray]:
    """Class-mean difference by layer, shape (2, width): row h from the applications that are not in half h."""
    found = {}
    for layer, rows in states.items():
        table = rows.reshape(-1, step, rows.shape[1])
        apart = table[:, pair[0]] - table[:, pair[1]]
        half = np.arange(len(apart)) % 2
        found[layer] = np.stack([apart[half != side].mean(axis=0) for side in (0, 1)])
    return found


def _curve(
    bench: Bench,
    streams: Streams,
    target: Target,
    *,
    held: Mapping[int, list[torch.Tensor]],
    apart: Mapping[int, FloatArray],
    pair: tuple[int, int],
) -> Iterable[dict[str, Any]]:
    settings: Settings = bench.settings
    step = len(streams.groups[0].lasts)
    # Rows of the other group lose the direction, rows of the reference gain it, the rest stay.
    sign = np.zeros(step)
    sign[pair[0]], sign[pair[1]] = -1.0, 1.0
    generator = np.random.default_rng(bench.plan.cases.seed)
    for to, rows in held.items():
        lengths = np.linalg.norm(apart[to], axis=1, keepdims=True)
        ways: list[tuple[str, FloatArray]] = [(str(source), found) for source, found in apart.items()]
        for number in range(settings.random_directions):
            drawn = generator.standard_normal(apart[to].shape[1])
            ways.append((f"{RANDOM} {number + 1}", np.stack([drawn, drawn])))
        for name, found in ways:
            norms = np.linalg.norm(found, axis=1, keepdims=True)
            unit = np.divide(found, norms, out=np.zeros_like(found), where=norms > 0)
            for dose in settings.doses:
                streams.streams = [stream.clone() for stream in rows]
                _, states = streams.gather(0)
                moves = np.repeat((unit * lengths)[np.arange(len(streams.groups)) % 2], step, axis=0)
                streams.scatter(0, states + dose * np.tile(sign, len(streams.groups))[:, None] * moves)
                streams.advance(to, stop=streams.decoder.layers)
                margins, mass = streams.margins(target)
                table = margins.reshape(-1, step)
                yield {
                    "group": pair[0],
                    "source": name,
                    "target": to,
                    "dose": dose,
                    "towards": table[:, pair[1]].tolist(),
                    "away": table[:, pair[0]].tolist(),
                    "mass": float(mass.reshape(-1, step)[:, list(pair)].mean()),
                }
