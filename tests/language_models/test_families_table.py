"""The table of docs/models.md says what these models measure: packing, view and the files each family is read from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.language_models.decoder import Decoder, read_decoder
from auditor.language_models.gguf_fields import ARCHITECTURES
from auditor.language_models.packed import probe_packing
from tests.language_models.gguf_writing import MODELS, gguf_model
from tests.language_models.zoo import STRUCTURED, WINDOW, zoo_model

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
#: Two families whose parts no adapter reads stand for all others.
FAMILY_ROWS = (*sorted(STRUCTURED), "bloom", "mamba")
ALONE = "one by one"
#: Tokens of prompts that are shorter than the window of the zoo's Mistral.
WITHIN = WINDOW - 8
GGUF = {gguf_model(name).config.model_type: name for name in MODELS}


def _packable(model: object, longest: int) -> bool:
    return probe_packing(model, vocabulary=260, longest=longest, pack_tokens=64).packable


def row(family: str) -> str:
    """One line of the table, measured."""
    model = zoo_model(family)
    kind = model.config.model_type
    packed = "packed" if _packable(model, 120) else "packed within its window" if _packable(model, WITHIN) else ALONE
    whole = isinstance(read_decoder(model), Decoder)
    tests = "all" if whole else "outputs; probes, erasure, steering and features on the stream"
    cells = (f"`{kind}`", packed, "heads and MLPs" if whole else "stream", tests)
    named = GGUF.get("gemma3_text" if kind == "gemma3" else kind)
    return f"| {' | '.join(cells)} | safetensors, shards, adapters{f'; GGUF `{named}`' if named else ''} |"


@pytest.mark.parametrize("family", FAMILY_ROWS)
def test_the_row_of_a_family_is_what_its_model_measures(family: str) -> None:
    assert row(family) in DOCUMENT.read_text(encoding="utf-8").split("\n")


def test_the_table_has_no_row_that_nothing_measures() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").split("\n")
    start = re.compile(r"\| `([a-z0-9_]+)` \| (packed|packed within its window|one by one) \|")
    named = {found[1] for line in lines if (found := start.match(line))}
    assert named == {zoo_model(family).config.model_type for family in FAMILY_ROWS}


def test_every_architecture_of_gguf_that_is_read_has_a_model_that_is_tested() -> None:
    assert set(MODELS) == set(ARCHITECTURES)
