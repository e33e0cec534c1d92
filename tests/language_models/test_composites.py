"""A model that also reads pictures is read through its causal language model, or refused by its class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from auditor.exceptions import ModelError
from auditor.language_models.weights import read_config

COMPOSITES = {
    kind: name if isinstance(name, str) else name[0]
    for kind, name in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.items()
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
}


def test_the_composites_people_have_are_among_them() -> None:
    assert {"llava", "llava_next", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "mistral3", "paligemma", "idefics3"} <= {
        *COMPOSITES
    }


@pytest.mark.parametrize("kind", ["llava", "llava_next", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "mistral3", "idefics3"])
def test_a_composite_without_a_causal_language_model_is_refused_by_its_class(kind: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "architectures": [COMPOSITES[kind]]}))
    with pytest.raises(ModelError, match=f"{COMPOSITES[kind]} is not a causal language model of type {kind}"):
        read_config(tmp_path)
