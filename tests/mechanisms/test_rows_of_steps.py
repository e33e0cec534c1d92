"""Payloads and results of probes, erasure, steering and look-ahead come out of a ledger as they went in."""

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
from auditor.language_models.packed import PackedScorer
from auditor.mechanisms.erasure import method as erasure
from auditor.mechanisms.erasure import result as of_erasure
from auditor.mechanisms.look_ahead import method as look_ahead
from auditor.mechanisms.look_ahead import result as of_look_ahead
from auditor.mechanisms.probing import method as probes
from auditor.mechanisms.probing import result as of_probes
from auditor.mechanisms.steering import method as steering
from auditor.mechanisms.steering import result as of_steering
from auditor.testing.rows import Row, read_row
from tests.language_models.tiny import tiny_model
from tests.language_models.zoo import zoo_model
from tests.mechanisms.asking import asked, through_a_ledger
from tests.mechanisms.every_method import DATA, PLAN, SETTINGS
from tests.mechanisms.test_rows_of_pairs import UNPACKED, renumbered
from tests.mechanisms.test_sae_sparse_features import context_with

METHODS: tuple[Any, ...] = (probes, erasure, steering, look_ahead)
KINDS: dict[Any, set[type[Row]]] = {
    probes: {
        of_probes.TrainedPayload,
        of_probes.UntrainedPayload,
        of_probes.TrainedResult,
        of_probes.UntrainedResult,
    },
    erasure: {
        of_erasure.AttributePayload,
        of_erasure.RelevantPayload,
        of_erasure.AttributeResult,
        of_erasure.RelevantResult,
        of_erasure.NotOpened,
    },
    steering: {of_steering.Payload, of_steering.SteeredResult, of_steering.NotOpened},
    look_ahead: {
        of_look_ahead.ReadingPayload,
        of_look_ahead.TracingPayload,
        of_look_ahead.ExchangePayload,
        of_look_ahead.RationalePayload,
        of_look_ahead.ReadingResult,
        of_look_ahead.TracingResult,
        of_look_ahead.ExchangeResult,
        of_look_ahead.RationaleResult,
    },
}
#: Answers that begin alike cannot be told apart by their first tokens, so that erasure and steering say why not.
ALIKE = PLAN.model_copy(
    update={
        "prompt": PLAN.prompt.model_copy(
            update={"answers": PLAN.prompt.answers.model_copy(update={"favourable": ("Yes",), "adverse": ("Yet",)})}
        )
    }
)


@cache
def rows(method: Any) -> tuple[tuple[Any, Row], ...]:
    """Payloads and results of small runs, each with its type: a model with structure, one without, answers alike."""
    found: list[tuple[Any, Row]] = []
    for model, plan in ((tiny_model(), PLAN), (zoo_model("bloom"), PLAN), (tiny_model(), ALIKE)):
        chosen = method.Settings(**SETTINGS[method.CARD.name])
        context = replace(context_with(model, chosen, plan), scorer=PackedScorer(model, pack_tokens=64, probe=UNPACKED))
        for piece in method.plan_chunks(asked(chosen, plan=plan, data=DATA)):
            found += [(method.Payload, piece.payload), (method.Result, method.compute(context, piece.payload))]
    return tuple(found)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.CARD.name)
def test_a_row_comes_out_of_a_ledger_as_it_went_in(method: Any) -> None:
    for kind, row in rows(method):
        again = read_row(kind, through_a_ledger(row), what="row")
        assert again == row
        assert type(again) is type(row)
    assert {type(row) for _, row in rows(method)} == KINDS[method]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.CARD.name)
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_row_comes_out_of_a_ledger_as_it_went_in_whatever_its_numbers(method: Any, data: st.DataObject) -> None:
    kind, row = data.draw(st.sampled_from(rows(method)))
    put_in = read_row(kind, renumbered(row.row(), data.draw), what="row")
    assert read_row(kind, through_a_ledger(put_in), what="row") == put_in


def test_a_row_of_another_version_is_refused_by_name() -> None:
    result = next(row for _, row in rows(steering) if isinstance(row, of_steering.SteeredResult)).row()
    result["steered"]["curve"][0]["strength"] = result["steered"]["curve"][0].pop("dose")
    with pytest.raises(RunError, match=r"steered\.curve\.0\.dose: Field required"):
        read_row(of_steering.Result, result, what="result of steering")


@pytest.mark.parametrize(("key", "value"), [("mass", "0.9"), ("fitted", 3.0), ("fitted", True), ("exact", 1)])
def test_a_value_of_another_type_is_refused_by_name(key: str, value: Any) -> None:
    result = next(row for _, row in rows(steering) if isinstance(row, of_steering.SteeredResult)).row()
    with pytest.raises(RunError, match=rf"{key}: Input should be a valid"):
        read_row(of_steering.Result, {**result, key: value}, what="result of steering")


def test_a_part_that_is_not_known_is_refused() -> None:
    payload = next(row for _, row in rows(look_ahead) if isinstance(row, of_look_ahead.TracingPayload)).row()
    with pytest.raises(RunError, match="'elsewhere'"):
        read_row(of_look_ahead.Payload, {**payload, "part": "elsewhere"}, what="payload of look_ahead")


def test_types_of_rows_need_no_torch() -> None:
    modules = ", ".join(f"auditor.mechanisms.{method.__name__.split('.')[2]}.result" for method in METHODS)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
