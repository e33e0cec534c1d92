"""A dictionary of another model, layer or hook is not used unless the plan says so; the line says what to change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditor.exceptions import PlanError
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms.sae.declared import model_called, stream_layer
from auditor.mechanisms.sae.dictionary import Dictionary, dictionary_for
from auditor.mechanisms.sae.files import save
from auditor.mechanisms.sae.planned import dictionary_payload
from auditor.plan import Plan
from tests.mechanisms.asking import asked
from tests.mechanisms.test_sae_dictionary import DATA, HERE, at_work, made, plan_of, wanted


def stored(folder: Path, **about: Any) -> str:
    save(made().autoencoder, folder, about={**HERE, **about})
    return str(folder)


def running(plan: Plan, model: str) -> Plan:
    return plan.model_copy(update={"run": plan.run.model_copy(update={"model": model})})


@pytest.mark.parametrize(
    ("hook", "layer"),
    [
        ("blocks.7.hook_resid_pre", 7),
        ("blocks.7.hook_resid_post", 8),
        ("model.layers.7", 8),
        ("model.layers.7.output", 8),
        ("transformer.h.7.input", 7),
        ("gpt_neox.layers.7", 8),
        ("blocks.7.hook_resid_mid", None),
        ("blocks.7.hook_mlp_out", None),
        ("blocks.7.attn.hook_z", None),
        ("model.layers.7.mlp.output", None),
        ("hook_embed", None),
        ("", None),
    ],
)
def test_hook_points_of_the_stream_are_told_from_all_others(hook: str, layer: int | None) -> None:
    assert stream_layer(hook) == layer


def test_one_model_has_one_name_however_it_is_spelled() -> None:
    assert model_called("google/gemma-2-2b") == model_called("gemma-2-2b")
    assert model_called("gpt2-small") == model_called("openai-community/gpt2")
    assert model_called("gemma-2-2b") != model_called("gemma-2-2b-it")


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("blocks.1.hook_resid_post", "the stream before block 2, not before block 1"),
        ("blocks.1.hook_mlp_out", "which is not the stream between two blocks"),
        ("", "does not say which hook point it reads"),
    ],
)
def test_files_of_another_place_end_in_the_reason_and_not_in_features(hook: str, said: str, tmp_path: Path) -> None:
    found = dictionary_for(at_work(), wanted(path=stored(tmp_path, hook_name=hook)))

    assert isinstance(found, NotApplicable)
    assert said in found.reason
    assert "foreign = true" in found.reason


def test_the_plan_may_say_that_another_place_is_meant_and_the_report_knows(tmp_path: Path) -> None:
    found = dictionary_for(at_work(), wanted(path=stored(tmp_path, hook_name="blocks.9.hook_mlp_out"), foreign=True))

    assert isinstance(found, Dictionary)
    assert found.layer == 1
    assert any("blocks.9.hook_mlp_out" in note for note in found.provenance.notes)


def test_a_hook_in_the_plan_is_the_place_and_is_held_against_the_files_before_the_run(tmp_path: Path) -> None:
    path = stored(tmp_path, hook_name="blocks.0.hook_resid_post")
    found = dictionary_for(at_work(), wanted(path=path, hook="blocks.1.hook_resid_pre"))

    assert isinstance(found, Dictionary)
    assert found.layer == 1
    with pytest.raises(PlanError, match="the stream before block 1, not before block 4"):
        wanted(path=path, hook="blocks.3.hook_resid_post")


def test_files_that_name_no_hook_are_read_where_the_plan_says(tmp_path: Path) -> None:
    found = dictionary_for(at_work(), wanted(path=stored(tmp_path, hook_name=""), hook="blocks.1.hook_resid_pre"))

    assert isinstance(found, Dictionary)


def test_a_hook_the_model_does_not_have_is_named() -> None:
    found = dictionary_for(at_work(), wanted(hook="blocks.9.hook_resid_pre"))

    assert isinstance(found, NotApplicable)
    assert "'blocks.9.hook_resid_pre' is not between two of the model's 2 blocks" in found.reason


@pytest.mark.parametrize(
    ("source", "theirs", "refused"),
    [
        ("hf:google/gemma-2-2b@main", "gemma-2-2b", False),
        ("dir:/models/Gemma-2-2b", "google/gemma-2-2b", False),
        ("hf:google/gemma-2-2b-it@main", "gemma-2-2b", True),
        ("hf:google/gemma-2-2b@main+adapter:/tmp/a", "gemma-2-2b", True),
        ("demo:underwriter", "SmolLM2-135M-Instruct", True),
        ("demo:smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct", False),
    ],
)
def test_a_dictionary_of_another_model_is_refused_before_the_run_begins(
    source: str, theirs: str, refused: bool, tmp_path: Path
) -> None:
    path = stored(tmp_path, model_name=theirs)
    asking = asked(None, plan=plan_of(path=path), data=DATA)
    asking = replace(asking, plan=running(asking.plan, source))
    if refused:
        with pytest.raises(PlanError, match=r"was made for the model .*foreign = true"):
            dictionary_payload(asking)
    else:
        assert dictionary_payload(asking).files


def test_files_that_are_another_function_are_refused_before_the_run_begins(tmp_path: Path) -> None:
    path = stored(tmp_path)
    config = tmp_path / "cfg.json"
    config.write_text(
        config.read_text().replace('"normalize_activations": "none"', '"normalize_activations": "layer_norm"')
    )

    with pytest.raises(PlanError, match=r"settings\.dictionary\.path: .*normalize_activations is 'layer_norm'"):
        wanted(path=path)


def test_a_scale_measured_on_this_run_is_said_to_be_and_the_plan_may_give_it(tmp_path: Path) -> None:
    path = stored(tmp_path)
    config = tmp_path / "cfg.json"
    config.write_text(
        config.read_text().replace(
            '"normalize_activations": "none"', '"normalize_activations": "expected_average_only_in"'
        )
    )
    measured = dictionary_for(at_work(), wanted(path=path))
    given = dictionary_for(at_work(), wanted(path=path, activation_norm=32**0.5))

    assert isinstance(measured, Dictionary)
    assert isinstance(given, Dictionary)
    assert any("measured on this run's states" in note for note in measured.provenance.notes)
    assert any("5.657 is the plan's" in note for note in given.provenance.notes)
    # A mean norm of √width is a factor of 1: the files as they are.
    assert given.provenance.sha256 == made().provenance.sha256
    assert measured.provenance.sha256 != given.provenance.sha256
