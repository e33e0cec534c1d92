"""A setting that an autoencoder's files say twice, and differently, is refused by its name; two spellings are one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auditor.exceptions import ModelError
from auditor.mechanisms.sae.declared import read_declared
from tests.mechanisms.test_sae_files import broken


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"k": 4, "metadata": {"k": 3}}, r"k is 4 and metadata\.k is 3"),
        (
            {"hook_name": "blocks.3.hook_resid_pre", "metadata": {"hook_name": "blocks.4.hook_resid_pre"}},
            r"hook_name is .*3\..* and metadata\.hook_name is .*4",
        ),
        ({"apply_b_dec_to_input": True, "metadata": {"apply_b_dec_to_input": False}}, r"metadata\.apply_b_dec"),
        (
            {"normalize_activations": "none", "metadata": {"normalize_activations": "layer_norm"}},
            "normalize_activations",
        ),
        ({"model_name": "gpt2", "metadata": {"model_name": "gemma-2-2b"}}, r"metadata\.model_name is 'gemma-2-2b'"),
        ({"architecture": "topk", "metadata": {"architecture": "jumprelu"}}, r"metadata\.architecture is 'jumprelu'"),
        ({"prepend_bos": True, "metadata": {"prepend_bos": 1}}, r"prepend_bos is True and metadata\.prepend_bos is 1"),
        ({"hook_name": "blocks.3.hook_resid_pre", "hook_point": "blocks.5.hook_resid_pre"}, "hook_point is"),
        ({"hook_layer": 3, "hook_point_layer": 4}, "hook_layer is 3 and hook_point_layer is 4"),
        ({"activation_fn": "relu", "activation_fn_str": "topk"}, "activation_fn is 'relu' and activation_fn_str"),
        (
            {"k": 4, "activation_fn": "topk", "activation_fn_kwargs": {"k": 8}},
            r"k is 4 and activation_fn_kwargs\.k is 8",
        ),
    ],
)
def test_two_values_of_one_setting_are_refused_by_its_name(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said):
        read_declared(broken(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"k": 4, "metadata": {"k": 4.0}},
        {"model_name": "gpt2-small", "metadata": {"model_name": "openai-community/gpt2"}},
        {"hook_name": "blocks.3.hook_resid_post", "metadata": {"hook_name": "model.layers.3"}},
        {"architecture": "jump_relu", "metadata": {"architecture": "jumprelu"}},
        {"lr": 0.1, "metadata": {"lr": 0.2}},
        {"seqpos_slice": [0, None], "metadata": {"seqpos_slice": [None]}},
        {"hook_layer": None, "metadata": {"hook_layer": 3}},
    ],
)
def test_two_spellings_of_one_value_are_one(changes: dict[str, Any], tmp_path: Path) -> None:
    assert read_declared(broken(tmp_path, **changes)).width == 8


def beside(folder: Path, runner: dict[str, Any], **own: Any) -> Path:
    broken(folder, **own)
    (folder / "runner_cfg.json").write_text(json.dumps(runner))
    return folder


def test_the_run_that_names_another_place_than_the_autoencoder_is_refused(tmp_path: Path) -> None:
    folder = beside(tmp_path, {"hook_name": "blocks.7.hook_resid_pre"}, hook_name="blocks.3.hook_resid_pre")
    with pytest.raises(ModelError, match=r"hook_name is .*3.* here and .*7.* in the run's file"):
        read_declared(folder)


def test_saving_may_change_what_the_run_trained(tmp_path: Path) -> None:
    run = {"sae": {"architecture": "batchtopk", "k": 50.0, "normalize_activations": "expected_average_only_in"}}
    assert read_declared(beside(tmp_path, run, architecture="topk", k=4, normalize_activations="none")).k == 4
