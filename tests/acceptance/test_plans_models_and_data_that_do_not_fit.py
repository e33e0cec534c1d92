"""Plans, models and data that cannot be used: one line, exit code 2, and nothing entered in the register."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import LazySettings

from auditor.language_models.store import UNDERWRITER, ModelStore
from tests.acceptance.commands import here, write_plan
from tests.language_models.tiny import edit_json, save_tiny

NOBODY = 65534
ANSWERS = "prompt.answers={favourable=['Y'], adverse=['%s']}"
RACE = 'attributes=[{field="%s", groups=["White", "%s"], reference="%s"}]'

Said = tuple[int, str]
Audit = Callable[..., Said]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture
def plan(folder: Path, tmp_path: Path) -> Path:
    return write_plan(tmp_path / "small.toml", model=f"dir:{folder}")


@pytest.fixture
def audit(db: None, plan: Path, tmp_path: Path, settings: LazySettings, capsys: pytest.CaptureFixture[str]) -> Audit:
    """The command; whatever it refuses must leave register, evidence and output folder as they were."""
    settings.DATA_FOLDER = tmp_path / "data"
    settings.MODEL_FOLDER = tmp_path / "data" / "store"

    def run(*arguments: str | Path, path: Path = plan) -> Said:
        capsys.readouterr()  # what a test's own preparations said
        code = here("audit", path, "--out", tmp_path / "out", "--no-progress", *arguments)
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1, said.err
        assert not list((tmp_path / "out").glob("*"))
        assert not (tmp_path / "data" / "audits").exists()
        rows = {model.__name__: model.objects.count() for model in apps.get_app_config("compliance").get_models()}
        assert {name for name, count in rows.items() if count} <= {"ChainHead", "PolicyPackVersion", "Team"}
        return code, said.err.rstrip("\n")

    return run


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            RACE % ("race", "Green", "White"),
            "attributes[0].groups: group 'Green' is in no application; expected one of",
        ),
        (RACE % ("race", "Black", "Green"), "attributes.0: "),
        (
            RACE % ("colour", "Black", "White"),
            "attributes[0].field: unknown field 'colour'; expected a protected field",
        ),
        (
            'attributes=[{field="marital_status", groups=["married", "unmarried"], reference="married"}]',
            "attributes[0]: 'marital_status' is not in the prompt's template; expected {marital_status} in it",
        ),
        (ANSWERS % "Y", "prompt.answers: 'Y' and 'Y' tokenise to the same thing; expected answers with different"),
        (ANSWERS % "Yes", "prompt.answers: 'Yes' begins with all tokens of 'Y' and would be counted twice; expected"),
        (
            "prompt.template='Shoe size {shoes}, race {race}, sex {sex}, {form_number}: '",
            "prompt.template: the template names an unknown field 'shoes'; expected one of",
        ),
        ("tests.run=['counterfactual', 'astrology']", "tests.run"),
        ("use.policy_packs=['us-ecoa-regb', 'mars']", "use.policy_packs"),
        (
            f"prompt.template='{'Think. ' * 80} race {{race}}, sex {{sex}}, form {{form_number}}: '",
            "budget.max_prompt_tokens: the prompt of application ",
        ),
        ("thresholds.bootstrap=200", "thresholds.bootstrap: 200: "),
    ],
    ids=lambda value: value.partition("=")[2][:30] if "=" in value else "",
)
def test_a_plan_that_does_not_fit(audit: Audit, plan: Path, override: str, line: str) -> None:
    code, said = audit("--set", override, "--set", "budget.max_prompt_tokens=100000")
    assert code == 2
    assert said.startswith(f"{plan}: {line}"), said


def test_a_prompt_longer_than_the_context_says_both_lengths(audit: Audit) -> None:
    text = f"prompt.template='{'Think. ' * 80} race {{race}}, sex {{sex}}, form {{form_number}}: '"
    _, said = audit("--set", text, "--set", "budget.max_prompt_tokens=100000")
    assert said.endswith("expected at most 512 (the plan allows 100000, the model reads 512)")


def test_a_plan_nobody_may_read(audit: Audit, plan: Path) -> None:
    plan.chmod(0)
    root = os.geteuid() == 0
    if root:  # root reads everything: another account must try
        for parent in (plan.parent, *plan.parent.parents[:4]):
            parent.chmod(parent.stat().st_mode | 0o055)
        os.seteuid(NOBODY)
    try:
        code, said = audit("--out", "/")
    finally:
        if root:
            os.seteuid(0)
    assert (code, said) == (2, f"{plan}: cannot be read: permission denied; expected a readable plan file (TOML)")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def code_elsewhere(folder: Path) -> None:
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling.Model"})


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "place", "line"),
    [
        (no_folder, "", "there is no"),
        (no_weights, "", "there are no weights; expected model.safetensors or"),
        (pickled_weights, "", "its weights are pickled (pytorch_model.bin): opening them can run code"),
        (code_elsewhere, "/config.json, auto_map", "asks for code from elsewhere"),
        (cut_weights, "/model.safetensors", "the tensors need "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_folder_that_is_not_safe_or_whole(
    audit: Audit, folder: Path, spoil: Callable[[Path], None], place: str, line: str
) -> None:
    spoil(folder)
    code, said = audit()
    assert code == 2
    assert said.startswith(f"{folder}{place}: {line}"), said


def test_a_stored_model_that_somebody_changed_is_refused_before_anything_is_entered(
    audit: Audit, folder: Path, tmp_path: Path
) -> None:
    save_tiny(folder, seed=77)  # one that no other test has in memory
    stored = ModelStore(tmp_path / "data" / "store").import_model(f"dir:{folder}")
    weights = stored.folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(content)
    code, said = audit()
    assert code == 2
    assert said.startswith(f"{weights}: has SHA-256 ")
    assert said.endswith("expected what was imported; remove this folder and import the model again")


def test_an_adapter_of_another_model(audit: Audit, folder: Path) -> None:
    code, said = audit("--model", f"dir:{folder}+adapter:{UNDERWRITER}")
    assert code == 2
    assert "adapter" in said
    assert "; expected " in said


def test_an_adapter_that_is_not_there(audit: Audit, folder: Path) -> None:
    missing = folder.parent / "nowhere"
    code, said = audit("--model", f"dir:{folder}+adapter:{missing}")
    assert code == 2
    assert said.startswith(f"{missing}: ")


def test_an_adapter_that_is_not_named(audit: Audit, folder: Path) -> None:
    code, said = audit("--model", f"dir:{folder}+adapter:")
    assert code == 2
    assert said.startswith(f"model source 'dir:{folder}+adapter:': not a model source; expected demo:smollm2")


MAPPING = """
[[fields]]
name = "race"
role = "protected"
type = "category"
column = "race"

[[fields]]
name = "amount"
role = "predictor"
type = "number"
column = "loan_amount_usd"
"""


def test_a_mapping_that_names_a_column_the_file_does_not_have(audit: Audit, tmp_path: Path) -> None:
    data, mapping = tmp_path / "loans.csv", tmp_path / "loans.toml"
    data.write_text("race,amount\nWhite,100\nBlack,200\n")
    mapping.write_text(MAPPING)
    code, said = audit("--data", data, "--set", f"run.mapping={json.dumps(str(mapping))}")
    assert (code, said) == (
        2,
        f"{data}: column 'loan_amount_usd' (field 'amount') is missing; expected one of: race, amount, …",
    )


def test_a_folder_in_the_place_of_the_output(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, said = audit("--out", tmp_path / "file" / "out")
    assert code == 2
    assert said == f"{tmp_path}/file/out: cannot be made: not a directory; expected a folder to write"
