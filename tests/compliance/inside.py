"""Made-up numbers of tests on internals, in the shapes that such tests give: pages draw them by their subjects."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import polars as pl

from auditor.canonical import canonical_json
from auditor.records import Check, Measurement, Role

LAYERS, POSITIONS = 12, ("instruction", "income", "race", "sex", "question", "last token")
FIELDS = ("race", "sex", "marital_status")


def measurements() -> list[Measurement]:
    """A heat map, heads, features, fields by two methods, a probe with its control by layer, one failed self-check."""
    rows = [
        _row("patching", "patch_effect", {"layer": str(layer), "position": place}, "share", _patched(layer, at))
        for layer in range(LAYERS)
        for at, place in enumerate(POSITIONS)
    ]
    rows += [
        _row("heads", "head_effect", {"layer": str(layer), "head": str(head)}, "logit", effect)
        for layer, head, effect in [(9, 6, -0.148), (10, 2, -0.091), (8, 1, 0.044)]
        + [(layer, 0, 0.002 * layer) for layer in range(LAYERS)]
    ]
    rows += [
        _row("features", "feature_effect", {"layer": "9", "feature": str(1000 + number)}, "logit", -0.09 / (1 + number))
        for number in range(6)
    ]
    for method, scale in (("occlusion", 0.8), ("shapley", 1.0)):
        rows += [
            _row("field_attribution", "mean_absolute_attribution", {"field": field, "method": method}, "logit", size)
            for field, size in ((name, scale * value) for name, value in zip(FIELDS, (0.61, 0.09, 0.02), strict=True))
        ]
    for labels, level in (("race", 0.86), ("control labels", 0.58)):
        rows += [
            _row(
                "probe",
                "balanced_accuracy",
                {"layer": str(layer), "labels": labels},
                "share",
                0.5 + (level - 0.5) * (1 - math.exp(-layer / 3)),
            )
            for layer in range(LAYERS)
        ]
    failed = Check("patching nothing moves nothing", held=False, value=0.2, bound=0.001, note="")
    rows[3] = Measurement(
        **{**_plain(rows[3]), "estimate": None, "low": None, "high": None, "checks": (failed,)},
        missing_reason="the self-check 'patching nothing moves nothing' did not hold: 0.2 against 0.001",
    )
    return rows


def in_words() -> list[Measurement]:
    """A feature of the map with its description, and a sentence about two kinds of features."""
    overlap = _row("superposition", "superposition_interference", {"attribute": "race"}, "share", 0.12)
    feature = {"layer": "9", "feature": "1000"}
    found = [
        (overlap, "The directions that carry race and those that carry credit fields overlap by 0.12."),
        (_row("interpretation", "feature_detection", feature, "rate", 0.91), "Active on “Black”"),
        (_row("interpretation", "feature_fuzzing", feature, "rate", 0.97), "Active on “Black”"),
    ]
    return [replace(item, conclusion_reason=words) for item, words in found]


def add_inside(folder: Path) -> None:
    """Put the numbers and attributions of the asked cases into an evidence folder that is not published yet."""
    path = folder / "measurements.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    path.write_bytes(canonical_json([*rows, *(item.row() for item in [*measurements(), *in_words()])]) + b"\n")
    cases = pl.read_parquet(folder / "cases.parquet").select("id", "groups").to_dicts()
    shown = [
        {
            "case_id": case["id"],
            "test": test,
            "field": item["field"],
            "value": scale * (-0.71 if item["group"] == "Black" else 0.22 if item["field"] == "sex" else 0.004),
            "standard_error": None if test == "occlusion" else 0.013,
            "reference": "the mean applicant",
        }
        for case in cases
        for item in case["groups"]
        for test, scale in (("occlusion", 0.8), ("shapley", 1.0))
    ]
    pl.DataFrame(shown).write_parquet(folder / "attributions.parquet", compression="uncompressed")


def _patched(layer: int, at: int) -> float:
    if POSITIONS[at] == "race":
        return 1 / (1 + math.exp(layer - 7))
    return 1 / (1 + math.exp(7 - layer)) if POSITIONS[at] == "last token" else 0.01 * at


def _row(test: str, metric: str, subject: dict[str, str], unit: str, value: float) -> Measurement:
    name = "/".join([test, metric, *(f"{key}={word}" for key, word in subject.items())])
    held = Check("patching everything moves everything", held=True, value=1.0, bound=0.999)
    return Measurement(
        name, test, metric, Role.SUPPORTING, subject, unit, estimate=value, low=value - 0.03, high=value + 0.03,
        n=48, checks=(held,), cases="role:actual", method="made up for a test of pages",
    level=0.95)  # fmt: skip


def _plain(item: Measurement) -> dict[str, object]:
    kept = (field for field in Measurement.__slots__ if field not in ("checks", "missing_reason"))
    return {name: getattr(item, name) for name in kept}
