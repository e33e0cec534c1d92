"""Payloads and results of the tests on pairs and on fields come out of a ledger as they went in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.exceptions import RunError
from auditor.language_models.packed import PackedScorer, PackingProbe
from auditor.mechanisms.attribution_patching import method as attribution_patching
from auditor.mechanisms.circuits import method as circuits
from auditor.mechanisms.circuits.result import Judged, NotJudged
from auditor.mechanisms.components import method as components
from auditor.mechanisms.field_attribution import method as field_attribution
from auditor.mechanisms.integrated_gradients import method as integrated_gradients
from auditor.mechanisms.integrated_gradients.result import Application, Contrasted, Explained, Groups, NotExplained
from auditor.mechanisms.patching import method as patching
from auditor.testing.rows import Row, read_row
from tests.language_models.tiny import tiny_model
from tests.language_models.zoo import zoo_model
from tests.mechanisms.asking import asked, through_a_ledger
from tests.mechanisms.computing import compute_context as pair_bench
from tests.mechanisms.computing import payload
from tests.mechanisms.every_method import DATA, PLAN, SETTINGS
from tests.mechanisms.test_sae_sparse_features import context_with

METHODS: tuple[Any, ...] = (
    patching,
    attribution_patching,
    circuits,
    components,
    field_attribution,
    integrated_gradients,
)
UNPACKED = PackingProbe(packable=False, largest_difference=None, reason="takes no tree mask")
#: Finite and not too large to be told apart from the next one, whole numbers among them.
NUMBERS = st.one_of(st.integers(-1000, 1000).map(float), st.floats(-1e15, 1e15))


@cache
def rows(method: Any) -> tuple[tuple[Any, Row], ...]:
    """Payloads and results of a small run, each with its type, on a model with structure and on one without."""
    found: list[tuple[Any, Row]] = []
    for model in (tiny_model(), zoo_model("bloom")):
        chosen = method.Settings(**SETTINGS[method.CARD.name])
        context = replace(context_with(model, chosen, PLAN), scorer=PackedScorer(model, pack_tokens=64, probe=UNPACKED))
        for piece in method.plan_chunks(asked(chosen, plan=PLAN, data=DATA)):
            found += [(method.Payload, piece.payload), (method.Result, method.compute(context, piece.payload))]
    if method is patching:
        # So many that other corruptions repeat what is put in.
        found.append((method.Result, method.compute(pair_bench(patching.Settings()), payload(*["Black"] * 24))))
    return tuple(found)


def renumbered(value: Any, draw: Any) -> Any:
    """Plain data with every fraction exchanged for a drawn number."""
    if isinstance(value, dict):
        return {key: renumbered(item, draw) for key, item in value.items()}
    if isinstance(value, list):
        return [renumbered(item, draw) for item in value]
    return draw(NUMBERS) if isinstance(value, float) else value


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.CARD.name)
def test_a_row_comes_out_of_a_ledger_as_it_went_in(method: Any) -> None:
    for kind, row in rows(method):
        again = read_row(kind, through_a_ledger(row), what="row")
        assert again == row
        assert type(again) is type(row)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.CARD.name)
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_row_comes_out_of_a_ledger_as_it_went_in_whatever_its_numbers(method: Any, data: st.DataObject) -> None:
    kind, row = data.draw(st.sampled_from(rows(method)))
    put_in = read_row(kind, renumbered(row.row(), data.draw), what="row")
    assert read_row(kind, through_a_ledger(put_in), what="row") == put_in


def test_every_kind_of_a_union_was_among_them() -> None:
    kinds = {type(row) for method in (circuits, integrated_gradients) for _, row in rows(method)}
    assert kinds >= {Judged, NotJudged, Application, Groups, Explained, NotExplained, Contrasted}


def test_a_row_of_another_version_is_refused_by_name() -> None:
    _, result = rows(patching)[1]
    row = result.row()
    row["pairs"][0]["effects"]["streams"] = row["pairs"][0]["effects"].pop("stream")
    with pytest.raises(RunError, match=r"pairs\.0\.effects\.stream: Field required"):
        read_row(patching.Result, row, what="result of patching")


def test_types_of_rows_need_no_torch() -> None:
    modules = ", ".join(f"auditor.mechanisms.{method.__name__.split('.')[2]}.result" for method in METHODS)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
