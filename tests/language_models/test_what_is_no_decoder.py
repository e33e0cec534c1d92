"""What reads later tokens is refused at import, whatever it is called; what no hook reads is not looked into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from auditor.exceptions import ModelError
from auditor.language_models.local import load
from auditor.language_models.packed import PackingProbe
from auditor.language_models.store import ModelStore
from auditor.mechanisms._shared.work import silence
from auditor.mechanisms.erasure import method as erasure
from tests.language_models.tiny import GROUPED, LAYERS, SIZES, save_tiny
from tests.mechanisms.test_probes_and_erasure import context_with, plan_of

ENCODERS = {
    "bert": (hf.BertLMHeadModel, hf.BertConfig),
    "roberta": (hf.RobertaForCausalLM, hf.RobertaConfig),
    "electra": (hf.ElectraForCausalLM, hf.ElectraConfig),
}


def encoder(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    model_class, config_class = ENCODERS[name]
    model = model_class(config_class(**{**LAYERS, **SIZES, "pad_token_id": 2, **options})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model


def four_streams() -> Any:
    """Gemma 3n: its blocks hand on four copies of the stream at once."""
    torch.manual_seed(0)
    config = hf.Gemma3nTextConfig(
        **GROUPED,
        head_dim=8,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=260,
        num_kv_shared_layers=0,
        layer_types=["sliding_attention", "full_attention"],
        laurel_rank=4,
        activation_sparsity_pattern=[0.0, 0.0],
    )
    return hf.Gemma3nForCausalLM(config).eval()


@pytest.mark.filterwarnings("ignore:If you want to use")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_under_the_name_of_a_decoder_is_refused(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    source = save_tiny(tmp_path / name, model=encoder(name).to(dtype))
    with pytest.raises(ModelError, match=r"reads tokens that come later.*; expected a decoder-only") as caught:
        ModelStore(tmp_path / "store").import_model(f"dir:{source}")
    assert str(source) in str(caught.value)


def test_an_encoder_that_an_older_version_imported_is_not_loaded_and_not_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_tiny(tmp_path / "bert", model=encoder("bert"))
    store = ModelStore(tmp_path / "store")
    # As the importer was before it compared what later tokens change: by the reading before, without that check.
    monkeypatch.setattr("auditor.language_models.store.READING", 2)
    monkeypatch.setattr("auditor.language_models.plain_reading._causal", lambda *_: None)
    old = store.import_model(f"dir:{source}")
    monkeypatch.undo()
    with pytest.raises(ModelError, match=r"imported by an older version.*; expected a fresh import from dir:") as said:
        load(store.get(old.sha256), threads=1)
    assert str(said.value).count("\n") == 0
    with pytest.raises(ModelError, match=r"reads tokens that come later.*; expected a decoder-only"):
        store.import_model(f"dir:{source}")


def test_the_same_class_set_up_as_a_decoder_is_imported(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "roberta", model=encoder("roberta", is_decoder=True))
    assert ModelStore(tmp_path / "store").import_model(f"dir:{source}").identity.architecture == "RobertaForCausalLM"


def test_a_model_of_several_streams_is_imported_and_the_tests_on_internals_say_why_they_are_not_done(
    tmp_path: Path,
) -> None:
    model = four_streams()
    source = save_tiny(tmp_path / "gemma3n", model=model)
    ModelStore(tmp_path / "store").import_model(f"dir:{source}")
    settings = erasure.Settings(attributes=("race",), applications=8)
    context = context_with(model, settings, plan_of("erasure"), probe=PackingProbe(False, None, "no packing"))
    reason = silence(context, ["Loan 120. Race: White. Decision:"])
    assert reason == "the stream at layer 0 of Gemma3nForCausalLM was seen in part only"
