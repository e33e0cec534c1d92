"""Payloads and results of the tests on features come out of a ledger as they went in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.exceptions import RunError
from auditor.language_models.local import LoadedModel
from auditor.mechanisms._shared.contrast_rows import Change, ContrastCase, FeaturesPayload
from auditor.mechanisms.interpretation import method as interpretation
from auditor.mechanisms.interpretation import result as of_interpretation
from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.sparse_features import method as sparse_features
from auditor.mechanisms.sparse_features import result as of_sparse_features
from auditor.mechanisms.superposition import method as superposition
from auditor.mechanisms.superposition import result as of_superposition
from auditor.plan import Plan
from auditor.testing.rows import Row, read_row
from tests.acceptance.planted import planted_model
from tests.language_models.tiny import tiny_model, tiny_tokenizer
from tests.mechanisms.asking import asked, through_a_ledger
from tests.mechanisms.every_method import DATA, PLAN, SETTINGS
from tests.mechanisms.test_sae_sparse_features import context_with, plan_of
from tests.records import manifest_of

RESULTS: dict[Any, Any] = {
    sparse_features: of_sparse_features,
    superposition: of_superposition,
    interpretation: of_interpretation,
}
KINDS: dict[Any, set[type[Row]]] = {
    sparse_features: {
        of_sparse_features.QualityPayload,
        of_sparse_features.ContrastsPayload,
        of_sparse_features.DictionaryFound,
        of_sparse_features.Contrasts,
        of_sparse_features.NotContrasted,
        NoDictionary,
    },
    superposition: {of_superposition.Payload, of_superposition.Shared, NoDictionary},
    interpretation: {FeaturesPayload, of_interpretation.Interpreted, NoDictionary},
}
#: Finite and not too large to be told apart from the next one, whole numbers among them.
NUMBERS = st.one_of(st.integers(-1000, 1000).map(float), st.floats(-1e15, 1e15))
TOO_LARGE = plan_of(expansion=64)


def by_models(describer: str) -> tuple[Plan, dict[str, Any]]:
    """The plan, with sentences of a model."""
    return PLAN, {**SETTINGS["interpretation"], "describer": describer, "scorer": "local:another", "contexts": 2}


def asked_for(method: Any) -> Iterator[tuple[Plan, dict[str, Any]]]:
    """Plans and settings: as they are, with a dictionary that is not formed, and what more a method may be asked."""
    own = SETTINGS[method.CARD.name]
    yield from ((PLAN, own), (TOO_LARGE, own))
    if method is interpretation:
        yield from (by_models("local:one"), by_models("endpoint:nobody"))


@cache
def rows(method: Any) -> tuple[tuple[Any, Row], ...]:
    """Payloads and results of small runs, each with its type."""
    found: list[tuple[Any, Row]] = []
    kinds = RESULTS[method]
    for plan, chosen in asked_for(method):
        options = method.Settings(**chosen)
        context = replace(context_with(planted_model("B", against=40.0), options, plan), open_model=opened)
        for piece in method.plan_chunks(asked(options, plan=plan, data=DATA)):
            found += [(kinds.Payload, piece.payload), (kinds.Result, method.compute(context, piece.payload))]
    return tuple(found)


def opened(source: str) -> LoadedModel:
    return LoadedModel(tiny_model(), tiny_tokenizer(), manifest_of(source), "cpu")


def renumbered(value: Any, draw: Any) -> Any:
    """Plain data with every fraction exchanged for a drawn number."""
    if isinstance(value, dict):
        return {key: renumbered(item, draw) for key, item in value.items()}
    if isinstance(value, list):
        return [renumbered(item, draw) for item in value[:3]]
    return draw(NUMBERS) if isinstance(value, float) else value


@pytest.mark.parametrize("method", RESULTS, ids=lambda method: method.CARD.name)
def test_a_row_comes_out_of_a_ledger_as_it_went_in(method: Any) -> None:
    for kind, row in rows(method):
        again = read_row(kind, through_a_ledger(row), what="row")
        assert again == row
        assert type(again) is type(row)
    assert {type(row) for _, row in rows(method)} == KINDS[method]


def test_interpretation_by_models_is_kept_too() -> None:
    told = {type(row.by_models) for _, row in rows(interpretation) if isinstance(row, of_interpretation.Interpreted)}
    assert told == {type(None), of_interpretation.ToldByModels, of_interpretation.NoModels}


@pytest.mark.parametrize("method", RESULTS, ids=lambda method: method.CARD.name)
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_row_comes_out_of_a_ledger_as_it_went_in_whatever_its_numbers(method: Any, data: st.DataObject) -> None:
    kind, row = data.draw(st.sampled_from([pair for pair in rows(method) if pair[0] is RESULTS[method].Result]))
    put_in = read_row(kind, renumbered(row.row(), data.draw), what="row")
    assert read_row(kind, through_a_ledger(put_in), what="row") == put_in


@given(st.one_of(st.booleans(), st.integers(-(2**53), 2**53), NUMBERS, st.text(max_size=5), st.none()))
def test_what_a_field_says_keeps_its_kind(value: Any) -> None:
    change = Change(field="income", words="5", value=value)
    case = ContrastCase(id="1", words={"income": "5"}, values={"income": value}, changes=(change,))
    again = ContrastCase.read(through_a_ledger(case))
    assert again == case
    assert isinstance(again.values["income"], bool) is isinstance(value, bool)
    assert isinstance(again.values["income"], str) is isinstance(value, str)


def test_a_row_of_another_version_is_refused_by_name() -> None:
    result = next(row for _, row in rows(sparse_features) if isinstance(row, of_sparse_features.Contrasts)).row()
    result["contrasts"][0]["ablated"]["features"]["shift"] = result["contrasts"][0]["ablated"]["features"].pop("mass")
    with pytest.raises(RunError, match=r"contrasts\.contrasts\.0\.ablated\.features\.mass: Field required"):
        read_row(of_sparse_features.Result, result, what="result of sparse_features")


def test_a_part_that_is_not_known_is_refused() -> None:
    with pytest.raises(RunError, match=r"result of interpretation: .*'elsewhere'"):
        read_row(of_interpretation.Result, {"part": "elsewhere"}, what="result of interpretation")


def test_types_of_rows_need_no_torch() -> None:
    modules = ", ".join(module.__name__ for module in RESULTS.values())
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
