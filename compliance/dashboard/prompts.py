"""A prompt as it is shown: its fields marked, the changed one outlined, each with what it did to the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from compliance.dashboard.evidence import EvidenceFolder
from reports import numbers

ATTRIBUTIONS = "attributions.parquet"
STEPS = 3  # weak, some, strong: thirds of the largest size shown beside each other


@dataclass(frozen=True, kw_only=True)
class Attributions:
    """What every field did to the decision of some cases, by one test; ``values`` by case and field, in nats.

    ``tests`` are those that explained these cases, ``largest`` is the largest size among the values.
    """

    test: str
    tests: tuple[str, ...]
    values: Mapping[str, Mapping[str, Mapping[str, Any]]]
    largest: float

    def of(self, case_id: str) -> Mapping[str, Mapping[str, Any]]:
        """The rows of one case by field, the largest first."""
        rows = self.values.get(case_id, {})
        return dict(sorted(rows.items(), key=lambda item: -abs(item[1]["value"])))


def attributions(evidence: EvidenceFolder, cases: Sequence[str], *, test: str = "") -> Attributions | None:
    """The attributions of some cases by ``test``, by default the first that explained any; ``None`` without."""
    if ATTRIBUTIONS not in evidence.hashes:
        return None
    table = pl.scan_parquet(evidence.table(ATTRIBUTIONS)).filter(pl.col("case_id").is_in(list(cases)))
    rows = [row for row in table.collect().to_dicts() if row["value"] is not None]
    tests = tuple(sorted({row["test"] for row in rows}))
    if not tests:
        return None
    chosen = test if test in tests else tests[0]
    values: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row["test"] == chosen:
            values.setdefault(row["case_id"], {})[row["field"]] = row
    largest = max(abs(row["value"]) for fields in values.values() for row in fields.values())
    return Attributions(test=chosen, tests=tests, values=values, largest=largest)


def marked(case: Mapping[str, Any], changed: frozenset[str], given: Attributions | None = None) -> list[dict[str, Any]]:
    """A prompt cut at its spans: pieces of text; those of a field with its name, classes and printed value."""
    text, at, pieces = case["prompt"], 0, []
    rows = given.of(case["id"]) if given else {}
    for span in sorted(case["spans"], key=lambda item: (item["start"], item["stop"])):
        if span["start"] < at:
            continue  # a field inside another one's text is shown as part of it
        pieces.append(_plain(text[at : span["start"]]))
        name, row = span["field"], rows.get(span["field"])
        classes = [strength(row["value"], given.largest)] if row and given else []
        classes += ["changed"] if name in changed else []
        pieces.append(
            {
                "text": text[span["start"] : span["stop"]],
                "field": name,
                "classes": " ".join(word for word in classes if word),
                "value": numbers.logit(row["value"]) if row else "",
            }
        )
        at = span["stop"]
    return [*pieces, _plain(text[at:])]


def strength(value: float, largest: float) -> str:
    """``a1`` to ``a3`` towards denial, ``b1`` to ``b3`` towards approval; nothing for what prints as 0.00."""
    if abs(value) < 0.005 or not largest:
        return ""
    step = min(STEPS, 1 + int(STEPS * abs(value) / largest))
    return f"{'a' if value < 0 else 'b'}{step}"


def table(given: Attributions, cases: Sequence[str]) -> list[dict[str, Any]]:
    """Field by field what is marked in the prompts, the largest of the first case first."""
    columns = [given.of(case) for case in cases]
    names = list(dict.fromkeys(name for column in columns for name in column))
    return [{"field": name, "cells": [_cell(column.get(name)) for column in columns]} for name in names]


def attribution_of(given: Attributions, case: str, field: str, name: str) -> float | None:
    """A figure of the attribution of one field of a case: its ``value`` or ``standard_error``, in nats."""
    row = given.values.get(case, {}).get(field, {})
    value = row.get(name)
    return None if value is None else float(value)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return numbers.DASH
    error = row.get("standard_error")
    return numbers.logit(row["value"]) + (f" (SE {numbers.number(error, decimals=3)})" if error is not None else "")


def _plain(text: str) -> dict[str, Any]:
    return {"text": text, "field": "", "classes": "", "value": ""}
