"""One dictionary a run: made from the audit's own prompts, the same for every test, worker and repeat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auditor.exceptions import Interrupted, ModelError, PlanError
from auditor.language_models.activations import harvest
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.sae.dictionary import Dictionary, dictionary_for
from auditor.mechanisms.sae.files import save
from auditor.mechanisms.sae.planned import dictionary_payload
from auditor.mechanisms.sae.readings import EVERYBODY, read_prompts, read_states
from auditor.mechanisms.sae.rows import DictionaryPayload, held_out
from auditor.plan import Plan
from tests.engine.small import small_data, small_plan
from tests.language_models.zoo import zoo_model
from tests.mechanisms.asking import asked, compute_context, through_a_ledger
from tests.records import manifest_of

DATA = small_data(16)
SMALL = {"k": 4, "steps": 20, "batch": 64}
HERE = {"hook_name": "blocks.1.hook_resid_pre"}


def plan_of(**dictionary: Any) -> Plan:
    return small_plan(tests__run=["sparse_features"], settings={"dictionary": {**SMALL, **dictionary}})


def wanted(**dictionary: Any) -> DictionaryPayload:
    planned = dictionary_payload(asked(None, plan=plan_of(**dictionary), data=DATA))
    return DictionaryPayload.read(through_a_ledger(planned))


def at_work(family: str = "llama", **changes: Any) -> ComputeContext:
    made = compute_context(None, plan=plan_of(), data=DATA)
    return replace(made, loaded=replace(made.loaded, model=zoo_model(family), manifest=changes.pop("manifest", None)))


def made(**dictionary: Any) -> Dictionary:
    found = dictionary_for(at_work(), wanted(**dictionary))
    assert isinstance(found, Dictionary), found
    return found


@pytest.mark.parametrize("family", ["llama", "bloom"])
def test_every_token_is_read_once_and_as_in_a_whole_run(family: str) -> None:
    working = at_work(family)
    decoder = read_decoder(working.loaded.model)
    prompts = read_prompts(working, wanted())
    read = read_states(decoder, prompts, layer=1)
    seen = set()
    for number, prompt in enumerate(prompts):
        whole = harvest(decoder, [prompt.ids], [range(len(prompt.ids))], layers=[1])[0, :, 0]
        rows = np.flatnonzero(read.prompt == number)
        np.testing.assert_allclose(read.states[torch.from_numpy(rows)].numpy(), whole[read.position[rows]], atol=1e-5)
        seen |= {prompt.ids[: position + 1] for position in read.position[rows].tolist()}

    every_prefix = {prompt.ids[:end] for prompt in prompts for end in range(1, len(prompt.ids) + 1)}
    assert seen == every_prefix
    # Two variants of one application that change different fields may part from the first one at the same token.
    assert len(read.states) < 0.7 * sum(len(prompt.ids) for prompt in prompts)


def test_what_all_prompts_share_belongs_to_no_application() -> None:
    working = at_work()
    prompts = read_prompts(working, wanted())
    read = read_states(read_decoder(working.loaded.model), prompts, layer=1)
    common = read.application == EVERYBODY

    assert common.any()
    first = {prompt.ids[: int(read.position[common].max()) + 1] for prompt in prompts}
    assert len(first) == 1


def test_prompts_are_the_applications_as_filed_and_with_every_other_value() -> None:
    payload = wanted()
    prompts = read_prompts(at_work(), payload)
    words = payload.applications[0].words
    changed = [prompt.changed for prompt in prompts if prompt.application == 0]

    assert changed[0] is None
    assert set(changed[1:]) == {(name, value) for name, value in payload.variants if words[name] != value}


def test_a_dictionary_is_the_same_when_it_is_made_again() -> None:
    one, other = made(), made()

    assert one is not other
    assert one.provenance == other.provenance
    assert torch.equal(one.autoencoder.decoder, other.autoencoder.decoder)
    assert one.quality.fvu == other.quality.fvu


def test_a_process_keeps_the_dictionary_of_a_known_model_and_not_that_of_another() -> None:
    first = at_work(manifest=manifest_of("a"))
    second = at_work(manifest=manifest_of("b"))
    kept = dictionary_for(first, wanted())

    assert dictionary_for(first, wanted()) is kept
    assert dictionary_for(second, wanted()) is not kept
    assert dictionary_for(first, wanted(steps=21)) is not kept


def test_quality_is_of_applications_that_were_not_trained_on() -> None:
    found = made()
    everyone = len(wanted().applications)

    assert found.provenance.held_out == sum(held_out(number) for number in range(everyone)) == everyone // 4
    assert found.unexplained_again == pytest.approx(found.quality.fvu, abs=found.rounding)
    assert 0 < found.rounding < 1e-3
    assert 0 < found.quality.fvu < 1.5
    assert found.quality.l0 <= 4
    assert found.provenance.rows + found.quality.tokens + found.provenance.left_out == len(
        read_states(read_decoder(at_work().loaded.model), read_prompts(at_work(), wanted()), layer=1).states
    )


def test_states_of_any_shape_are_encoded_row_by_row_and_those_beyond_the_limit_not_at_all() -> None:
    found = made(kind="batchtopk")
    states = torch.randn(3, 5, found.autoencoder.width, generator=torch.Generator().manual_seed(0))
    states *= found.norm_limit / 2 / states.norm(dim=-1, keepdim=True)
    states[1, 2] *= 1e6
    activations = found.activations(states)

    assert activations.shape == (3, 5, found.autoencoder.latents)
    torch.testing.assert_close(activations.flatten(0, 1), found.activations(states.flatten(0, 1)))
    assert activations[1, 2].count_nonzero() == 0
    assert found.readable(states).sum() == 14


def test_general_text_becomes_part_of_the_run_and_of_the_training(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("The quick brown fox jumps over the lazy dog. " * 40, encoding="utf-8")
    payload = wanted(text=str(file), text_tokens=1024)
    file.unlink()
    found = dictionary_for(at_work(), payload)

    assert isinstance(found, Dictionary)
    assert found.provenance.text_rows == 1024
    assert found.provenance.sha256 != made().provenance.sha256


def test_an_autoencoder_in_a_folder_is_used_in_place_of_training(tmp_path: Path) -> None:
    trained = made()
    save(trained.autoencoder, tmp_path, about=HERE)
    found = dictionary_for(at_work(), wanted(path=str(tmp_path)))

    assert isinstance(found, Dictionary)
    assert found.provenance.source == "loaded"
    assert found.provenance.sha256 == trained.provenance.sha256
    assert found.quality.fvu == trained.quality.fvu


def test_a_file_that_changed_since_the_run_was_frozen_is_refused(tmp_path: Path) -> None:
    save(made().autoencoder, tmp_path)
    payload = wanted(path=str(tmp_path))
    save(made(steps=21).autoencoder, tmp_path)

    with pytest.raises(ModelError, match="the file the run was frozen with"):
        dictionary_for(at_work(), payload)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "/nowhere"}, r"settings\.dictionary\.path: .*no such file"),
        ({"text": "/nowhere"}, r"settings\.dictionary\.text: /nowhere: cannot be read: no such file"),
        ({"kind": "gated"}, r"settings\.dictionary: kind"),
        ({"activation_norm": 0}, r"settings\.dictionary: activation_norm"),
        ({"colour": 3}, r"settings\.dictionary: colour"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_before_the_run_begins(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        wanted(**changes)


def test_making_a_dictionary_stops_when_asked() -> None:
    with pytest.raises(Interrupted):
        dictionary_for(replace(at_work(), should_stop=lambda: True), wanted())


def test_one_application_makes_no_dictionary() -> None:
    payload = wanted()
    payload = payload.model_copy(update={"applications": payload.applications[:1]})

    reason = "a dictionary needs two applications, one of them held out"
    assert dictionary_for(at_work(), payload) == NotApplicable(reason)
