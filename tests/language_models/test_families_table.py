"""The table of docs/models.md says what these models measure: packing, view, tests on internals, forms of file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.gguf_fields import ARCHITECTURES
from auditor.language_models.packed import PackingProbe, probe_packing
from auditor.language_models.residual_view import unseen_stream
from tests.language_models.gguf_writing import MODELS, gguf_model
from tests.language_models.test_packings import EXACT, adapter_apart, gguf_apart, shards_apart
from tests.language_models.zoo import STRUCTURED, WINDOW, zoo_model
from tests.mechanisms.every_method import INSIDE, works

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
#: Families whose parts no adapter reads stand for all others: linear biases, a scale of the logits, attention and MLP
#: in parallel, experts and sinks, a multiplier of the stream, convolutions, a recurrence.
UNKNOWN = ("bloom", "cohere", "falcon", "gpt_oss", "granite", "lfm2", "mamba")
FAMILY_ROWS = (*sorted(STRUCTURED), *UNKNOWN)
ALONE = "one by one"
#: Tokens of prompts that are shorter than the window of the zoo's Mistral.
WITHIN = WINDOW - 8
GGUF = {gguf_model(name).config.model_type: name for name in MODELS}


def _packable(model: object, longest: int) -> bool:
    return probe_packing(model, vocabulary=260, longest=longest, pack_tokens=64).packable


def _methods(model: object, probe: PackingProbe) -> str:
    """The tests on internals that give numbers whose checks hold; what does not is named, whichever are fewer."""
    found = {name: works(name, model, probe) for name in INSIDE}
    named = [name.replace("_", " ") for name in INSIDE if found[name]]
    lacking = [name.replace("_", " ") for name in INSIDE if not found[name]]
    if not lacking:
        return "all"
    return f"all but {', '.join(lacking)}" if len(lacking) < 3 else ", ".join(named)


def _files(family: str, kind: str, folder: Path) -> str:
    """The forms of file whose import gives the answers of plain transformers, or of the dequantised weights."""
    forms = []
    if shards_apart(family, folder / "shards") <= EXACT:
        forms.append("safetensors, shards")
    if adapter_apart(family, folder / "adapter") <= EXACT:
        forms.append("adapters")
    named = GGUF.get("gemma3_text" if kind == "gemma3" else kind)
    (folder / "gguf").mkdir(parents=True)
    gguf = named is not None and gguf_apart(named, "mixed", folder / "gguf") <= EXACT
    return ", ".join(forms) + (f"; GGUF `{named}`" if gguf else "")


def row(family: str, folder: Path) -> str:
    """One line of the table, measured."""
    model = zoo_model(family)
    kind = model.config.model_type
    probe = probe_packing(model, vocabulary=260, longest=120, pack_tokens=64)
    packed = "packed" if probe.packable else "packed within its window" if _packable(model, WITHIN) else ALONE
    view = "heads and MLPs" if isinstance(read_decoder(model), Decoder) else "stream"
    assert unseen_stream(model) is None
    cells = (f"`{kind}`", packed, view, _methods(model, probe), _files(family, kind, folder))
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("family", FAMILY_ROWS)
def test_the_row_of_a_family_is_what_its_model_measures(family: str, tmp_path: Path) -> None:
    assert row(family, tmp_path) in DOCUMENT.read_text(encoding="utf-8").split("\n")


def test_the_table_has_no_row_that_nothing_measures() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").split("\n")
    start = re.compile(r"\| `([a-z0-9_]+)` \| (packed|packed within its window|one by one) \|")
    named = {found[1] for line in lines if (found := start.match(line))}
    assert named == {zoo_model(family).config.model_type for family in FAMILY_ROWS}


def test_every_architecture_of_gguf_that_is_read_has_a_model_that_is_tested() -> None:
    assert set(MODELS) == set(ARCHITECTURES)
