"""From which layer and position on does a state carry the decision: one application with states of another put in.

The other application has the words of one that was decided differently on record, wherever every token keeps its
place; so the two prompts align token by token, and whatever is exchanged is exchanged at its own position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from auditor.exceptions import Interrupted
from auditor.language_models.decoder import Decoder, Target
from auditor.mechanisms.contract import Bench
from auditor.mechanisms.look_ahead_layout import LAST, Layout, regions, twin
from auditor.mechanisms.look_ahead_reading import spaced
from auditor.mechanisms.pairs import Pair, run_pair, structured
from auditor.mechanisms.patches import patch_checks, residual_effects


def compute(bench: Bench, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Exchange the states of every pair of the chunk; of its candidates the one that moves the margin most."""
    base: dict[str, Any] = {"part": payload["part"], "reason": None, "note": "", "unaligned": 0, "pairs": []}
    view = structured(bench, bench.render(payload["cases"][0]["words"]).text)
    if isinstance(view, str):
        return {**base, "reason": view}
    decoder, target = view
    for case in payload["cases"]:
        if bench.should_stop():
            raise Interrupted("stopped between two pairs; this chunk starts again")
        aligned = _choose(bench, case)
        if aligned is None:
            base["unaligned"] += 1
        else:
            first, second, about = aligned
            effects = _exchange(bench, decoder, target, first, second)
            base["pairs"].append({"id": case["id"], **about, **effects})
    return {**base, "note": target.note, "layers": spaced(decoder.layers, bench.settings.layers)}


def _choose(bench: Bench, case: Mapping[str, Any]) -> tuple[Layout, Layout, dict[str, Any]] | None:
    """The application, its strongest counterpart, and whose words that has in how many fields."""
    twins = [(twin(bench, case["words"], other["words"]), other["id"]) for other in case["others"]]
    twins = [(found, name) for found, name in twins if found[3] and found[0].tokens != found[1].tokens]
    if not twins:
        return None
    own, *margins = bench.margins([twins[0][0][0].text, *(found[1].text for found, _ in twins)])
    best = max(range(len(twins)), key=lambda number: abs(float(margins[number] - own)))
    (first, second, _, changed), name = twins[best]
    return first, second, {"other": name, "changed": len(changed)}


def _exchange(bench: Bench, decoder: Decoder, target: Target, first: Layout, second: Layout) -> dict[str, Any]:
    differing = next(place for place in range(len(first.tokens)) if first.tokens[place] != second.tokens[place])
    runs = run_pair(decoder, target, Pair(first.tokens, second.tokens, differing, ()))
    places = regions(first, parts=bench.settings.regions)
    last = residual_effects(runs, [places.pop(LAST)])[0]
    effects = residual_effects(runs, list(places.values()), layers=spaced(decoder.layers, bench.settings.layers))
    return {
        "base": runs.base_margin,
        "gap": runs.gap,
        "last": last.tolist(),
        "regions": dict(zip(places, effects.tolist(), strict=True)),
        "checks": [asdict(check) for check in patch_checks(runs)],
    }
