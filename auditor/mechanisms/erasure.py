"""Erasure: is the attribute used? Take it out of the states and see whether decisions move.

Concept scrubbing: LEACE is fitted on states from which the concept was already erased at the layers before, so that no
later layer of the window can rebuild it. Erasers are fitted on half of the applications and applied to the other half,
both ways round. Two windows:

carried   positions after the attribute's field, layers of the middle half. The field stays legible and the last layers
          may read it once more, so an effect says that the decision goes through what is carried there.
whole     from the field's first token on, at every layer. It equals not stating the attribute: beside the
          counterfactual contrast it says nothing new, and shows only that the erasers work.

docs/decisions/0005-what-counts-as-used.md tells why the ladder reads the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import threadpool_limits

from auditor.behaviour.context import Card, Context, Draft, FloatArray
from auditor.language_models.decoder import Decoder, Target, read_decoder, target_of
from auditor.mechanisms.concepts import concept_payload, draw_clusters, place, suffix_tokens
from auditor.mechanisms.contract import Asked, Bench, Work
from auditor.mechanisms.erasure_measures import measures
from auditor.mechanisms.leace import fit_eraser
from auditor.mechanisms.streams import Streams
from auditor.plan import Section

CARD = Card(
    name="erasure",
    purpose="Whether decisions use a protected attribute: what happens to them when it is erased from the states.",
    method=(
        "LEACE (Belrose et al.) at the layers of the middle half and every position after the attribute's field, "
        "refitted in sequence, fitted on half the applications and applied to the other half. Beside it erasers of the "
        "same rank in random directions, erasure of the number that goes with the margin most, and erasure from the "
        "field on at every layer, which equals not stating the attribute."
    ),
    worrying=(
        "The difference between groups shrinks, or decisions of one group flip, when the attribute is erased, and not "
        "when a random direction is."
    ),
    limitations=(
        "Erasure is linear: what is held in other ways stays. Nothing moving can mean unused, read from the field by "
        "the last layers alone, or used in a way that no linear map removes. It speaks of these prompts, in which the "
        "attribute is stated."
    ),
    references=(
        "Belrose et al. (2023), LEACE: Perfect linear concept erasure in closed form, NeurIPS",
        "Elazar et al. (2021), Amnesic probing, doi:10.1162/tacl_a_00359",
    ),
    needs_internals=True,
    question="used",
)

ATTRIBUTE, WHOLE, RANDOM, RELEVANT = "attribute", "whole", "random", "relevant"


@dataclass(frozen=True)
class Window:
    """Where erasers stand: the stream before these layers, at positions after the field (or from its first token)."""

    layers: range
    after: bool


def carried(layers: int) -> Window:
    """After the field, in the middle half of the layers."""
    return Window(range(max(1, -(-layers // 4)), max(2, -(-3 * layers // 4))), after=True)


def everywhere(layers: int) -> Window:
    """From the field on, at every layer and after the last."""
    return Window(range(layers + 1), after=False)


class Settings(Section):
    """What is erased, and at what cost.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    applications
        Applications an attribute; the groups as filed in turns.
    random_erasers
        Random erasures the attribute's is compared with.
    relevant
        Whether the number that goes with the margin most is erased too, after its own field; it costs whole prompts.
    """

    attributes: tuple[str, ...] = ()
    applications: Annotated[int, Field(ge=8)] = 48
    random_erasers: Annotated[int, Field(ge=1, le=50)] = 5
    relevant: bool = True


def work(asked: Asked) -> Iterable[Work]:
    """One chunk an attribute, and one for the number that goes with the margin most."""
    settings: Settings = asked.settings
    relevant = settings.relevant
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        payload = concept_payload(asked, attribute, clusters)
        variants = len(attribute.groups)
        # Both halves a run; the attribute is erased twice.
        runs = 1 + 2 * (2 + settings.random_erasers)
        sizes = [suffix_tokens(asked, cluster, attribute.field) for cluster in clusters]
        tokens = sum(whole + runs * variants * suffix for whole, suffix in sizes)
        yield Work(len(clusters) * variants * runs, tokens, {**payload, "part": ATTRIBUTE})
        if relevant:
            # The number has nothing to do with the attribute, which is at its reference: once is enough.
            yield Work(3 * len(clusters), 3 * sum(whole for whole, _ in sizes), {**payload, "part": RELEVANT})
            relevant = False


def compute(bench: Bench, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Erase one attribute, or the number that goes with the margin most.

    Returns
    -------
    dict
        ``margins`` by kind of erasure, each in the order of ``cases`` × ``groups``; how well the erasers fitted; or the
        ``reason`` why the model cannot be opened.
    """
    about = {key: payload[key] for key in ("field", "reference", "groups", "part")}
    cases = payload["cases"]
    variants = [{**case["words"], payload["field"]: group} for case in cases for group in payload["groups"]]
    target = target_of(bench.questions([bench.render(variants[0]).text])[0])
    decoder = read_decoder(bench.loaded.model)
    if not isinstance(decoder, Decoder):
        return {**about, "cases": [], "reason": decoder.reason}
    if isinstance(target, str):
        return {**about, "cases": [], "reason": target}
    if payload["part"] == RELEVANT:
        with torch.inference_mode(), threadpool_limits(bench.plan.budget.threads):
            found = _relevant(bench, payload, decoder, target)
        return {**about, "cases": [case["id"] for case in cases], "relevant": found}
    step = len(payload["groups"])
    # As many threads here as the model is given: a sum's last digits depend on them.
    with torch.inference_mode(), threadpool_limits(bench.plan.budget.threads):
        placed = place(bench, variants, payload["field"])
        streams = Streams(
            decoder,
            [placed[first : first + step] for first in range(0, len(placed), step)],
            should_stop=bench.should_stop,
        )
        clean, mass = untouched(streams, target)
        half = np.repeat(np.arange(len(cases)) % 2, step)
        concept = np.tile(np.eye(step)[:, 1:], (len(cases), 1))
        window = carried(decoder.layers)
        runs = {
            ATTRIBUTE: scrub(streams, target, concept=concept, half=half, window=window),
            WHOLE: scrub(streams, target, concept=concept, half=half, window=everywhere(decoder.layers)),
        }
        for draw in range(bench.settings.random_erasers):
            other = scrub(streams, target, concept=concept, half=half, window=window, draw=draw)
            runs[f"{RANDOM} {draw + 1}"] = other
    return {
        **about,
        "cases": [case["id"] for case in cases],
        "clean": clean.tolist(),
        "mass": float(mass.mean()),
        "margins": {kind: run.margins.tolist() for kind, run in runs.items()},
        "masses": {kind: float(run.masses.mean()) for kind, run in runs.items()},
        "leftover": max(runs[kind].leftover for kind in (ATTRIBUTE, WHOLE)),
        "layers": [window.layers.start, window.layers.stop - 1],
        "exact": target.exact,
    }


def run(context: Context) -> Iterable[Draft]:
    """How far the group difference and the decisions move, against random erasers of the same rank."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def untouched(streams: Streams, target: Target) -> tuple[FloatArray, FloatArray]:
    """Margins and label mass without an erasure; the streams before the window of `carried` are kept."""
    streams.begin()
    kept = carried(streams.decoder.layers).layers.start
    streams.advance(0, stop=kept)
    streams.keep(kept)
    streams.advance(kept, stop=streams.decoder.layers)
    return streams.margins(target)


@dataclass(frozen=True)
class Scrubbed:
    """What a scrubbing gives.

    ``margins`` of all rows in nats and their label ``masses``; ``leftover``: the largest covariance with the concept
    left where an eraser was fitted, as a share of what was there.
    """

    margins: FloatArray
    masses: FloatArray
    leftover: float


def scrub(
    streams: Streams,
    target: Target,
    *,
    concept: FloatArray,
    half: np.ndarray[Any, Any],
    window: Window,
    draw: int | None = None,
) -> Scrubbed:
    """Erase a concept layer by layer; every row by erasers fitted on the other half.

    Parameters
    ----------
    concept
        Shape (rows, k).
    half
        0 or 1 for every row; rows of one application share it.
    window
        Where.
    draw
        Erase random directions of the same rank instead; its number.
    """
    margins, masses = np.zeros(streams.rows), np.zeros(streams.rows)
    leftover = 0.0
    for side in (0, 1):
        start = streams.begin(window.layers.start)
        if start < window.layers.start:
            streams.advance(start, stop=window.layers.start)
        for layer in window.layers:
            for back in range(streams.reach(after=window.after)):
                at = (back, window.after)
                leftover = max(leftover, _erase(streams, at, concept, half != side, (draw, layer, back)))
            if layer < streams.decoder.layers:
                streams.advance(layer, stop=None if layer + 1 in window.layers else streams.decoder.layers)
        found, mass = streams.margins(target)
        margins[half == side], masses[half == side] = found[half == side], mass[half == side]
    return Scrubbed(margins, masses, leftover)


def _erase(
    streams: Streams,
    at: tuple[int, bool],
    concept: FloatArray,
    fitted: np.ndarray[Any, Any],
    place: tuple[int | None, int, int],
) -> float:
    back, after = at
    rows, states = streams.gather(back, after=after)
    mine, marks = fitted[rows], concept[rows]
    if mine.sum() < 4 or not (np.ptp(marks[mine], axis=0) > 0).any():
        return 0.0
    eraser = fit_eraser(states=states[mine], concept=marks[mine])
    if not eraser.rank:
        return 0.0
    draw, *site = place
    if draw is not None:
        streams.scatter(back, eraser.random_like(seed=(draw, *site))(states), after=after)
        return 0.0
    erased = eraser(states)
    streams.scatter(back, erased, after=after)
    centred = marks[mine] - marks[mine].mean(axis=0)
    before, left = (float(np.linalg.norm(centred.T @ (x - x.mean(axis=0)))) for x in (states[mine], erased[mine]))
    return left / before if before else 0.0


def _relevant(bench: Bench, payload: Mapping[str, Any], decoder: Decoder, target: Target) -> dict[str, Any] | None:
    """Erase the number that goes with the margin most: what the erasure of something that is used looks like."""
    cases = payload["cases"]
    words = [{**case["words"], payload["field"]: payload["reference"]} for case in cases]
    field = _strongest(cases, bench.margins([bench.render(each).text for each in words]))
    if field is None:
        return None
    values = np.array([case["numbers"][field] for case in cases])
    streams = Streams(decoder, [[each] for each in place(bench, words, field)], should_stop=bench.should_stop)
    clean, _ = untouched(streams, target)
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    half = np.arange(len(cases)) % 2
    erased = scrub(streams, target, concept=ranks[:, None], half=half, window=carried(decoder.layers))
    return {
        "field": field,
        "clean": clean.tolist(),
        "margins": erased.margins.tolist(),
        "leftover": erased.leftover,
        "mass": float(erased.masses.mean()),
    }


def _strongest(cases: Sequence[Mapping[str, Any]], margins: FloatArray) -> str | None:
    found: dict[str, float] = {}
    for name in cases[0]["numbers"]:
        values = [case["numbers"].get(name) for case in cases]
        if None in values or len(set(values)) < 2 or np.ptp(margins) == 0:
            continue
        found[name] = abs(float(np.corrcoef(np.array(values, dtype=np.float64), margins)[0, 1]))
    return max(found, key=lambda name: found[name]) if found else None
