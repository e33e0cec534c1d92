"""A run that cannot begin or go on ends with one line, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from django.conf import LazySettings

from compliance.models import Audit
from tests.acceptance.commands import FILES, ask, end, here, manage, repeatable, start, write_plan
from tests.language_models.tiny import save_tiny, tiny_model
from tests.once import EMBEDDED, with_tables


def test_a_model_whose_weights_are_no_numbers_is_refused_before_anything_is_asked(
    db: None, tmp_path: Path, settings: LazySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model(seed=9)
    with torch.no_grad():
        model.lm_head.weight[100:].fill_(float("nan"))
    folder = save_tiny(tmp_path / "model", model=model)
    plan = write_plan(tmp_path / "small.toml", model=f"dir:{folder}")
    settings.DATA_FOLDER, settings.MODEL_FOLDER = tmp_path / "data", tmp_path / "store"
    capsys.readouterr()
    code = here("audit", plan, "--out", tmp_path / "out", "--no-progress")
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err == f"{folder}: lm_head.weight holds values that are not numbers; expected finite weights\n"
    assert not Audit.objects.exists()
    assert not any((tmp_path / "out" / name).exists() for name in FILES)


def test_a_disk_that_fills_while_scoring_loses_nothing_that_was_scored(
    undisturbed: Path, small_plan: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    database, out = with_tables(tmp_path) / EMBEDDED, tmp_path / "out"
    models = str(undisturbed / "store")
    command = ("audit", small_plan, "--out", out, "--no-progress")
    full = end(start(tmp_path, *command, room=database.stat().st_size + 400_000, PLUMBLINE_MODELS=models))
    assert full.returncode == 3, full.stderr
    assert full.stdout == ""
    assert full.stderr.count("\n") == 1, full.stderr
    assert "expected" in full.stderr or "refused to store evidence" in full.stderr
    scored, prompts = ask(database, "SELECT prompts_done, prompts FROM compliance_audit")[0]
    assert 0 < scored < prompts
    done = manage(tmp_path, "audit", small_plan, "--out", out, PLUMBLINE_MODELS=models)
    assert done.returncode == 0, done.stderr
    assert f"A-0001 goes on: {scored} prompts were scored before" in done.stderr
    assert repeatable(out) == expected


def test_a_disk_that_fills_under_the_evidence_leaves_no_half_report(
    undisturbed: Path, small_plan: Path, tmp_path: Path, expected: dict[str, bytes], database_with_tables: str
) -> None:
    out = tmp_path / "out"
    settings = {"DATABASE_URL": database_with_tables, "PLUMBLINE_MODELS": str(undisturbed / "store")}
    full = end(start(tmp_path, "audit", small_plan, "--out", out, "--no-progress", room=20_000, **settings))
    assert full.returncode == 3, full.stderr
    assert full.stderr.startswith(f"{tmp_path / 'audits' / 'A-0001' / 'evidence'}")
    assert full.stderr.endswith("file too large; expected room and permission to write evidence\n")
    assert full.stderr.count("\n") == 1
    assert not any((out / name).exists() for name in FILES)
    done = manage(tmp_path, "audit", small_plan, "--out", out, **settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A-0001 ")
    assert repeatable(out) == expected
