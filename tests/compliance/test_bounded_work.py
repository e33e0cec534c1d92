"""What nobody vouches for costs a bounded time and memory: imports, counts of tokens, the preparing of a run."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from auditor.demo_data import load_loanapp
from auditor.exceptions import ModelError, RunError
from auditor.plan import read_plan
from compliance import actions
from compliance.execution import workers
from compliance.execution.job import JobState
from compliance.model_store import model_store
from compliance.models import Audit, Registration, RegistrationState, default_team
from compliance.plans import counting
from compliance.registry.importing import import_bounded
from compliance.registry.registration import perform_registration
from compliance.sandbox import children
from compliance.sandbox.children import ChildError, answer_of
from compliance.sandbox.limits import limited
from tests.acceptance.commands import ROOT, write_plan
from tests.compliance.factories import ACTOR
from tests.compliance.messages import keep_messages
from tests.language_models.tiny import save_tiny

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
SAID = "{{ messages[0]['content'] }}"


@pytest.fixture
def room(settings: LazySettings, tmp_path: Path) -> Path:
    """Folders of their own."""
    settings.DATA_FOLDER, settings.MODEL_FOLDER = tmp_path / "data", tmp_path / "store"
    settings.IMPORT_FOLDER = tmp_path / "imports"
    for folder in (settings.DATA_FOLDER, settings.IMPORT_FOLDER):
        folder.mkdir()
    return tmp_path


def with_layers(folder: Path, count: int) -> str:
    model = save_tiny(folder)
    config = model / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_hidden_layers": count}))
    return f"dir:{model}"


def wanted(source: str) -> Registration:
    language_model = actions.open_language_model(team=default_team(), description={"name": "One"}, actor=ACTOR)
    return actions.request_model(language_model=language_model, source=source, actor=ACTOR)


@pytest.mark.django_db
def test_a_model_of_ten_million_layers_fails_at_once_with_the_reason_on_its_page(room: Path) -> None:
    row = wanted(with_layers(room / "imports" / "many", 10_000_000))
    began = time.monotonic()
    perform_registration(row.pk)
    assert time.monotonic() - began < 60
    row.refresh_from_db()
    assert row.state == RegistrationState.FAILED
    assert "num_hidden_layers: is 10,000,000, the weights have 21 tensors" in row.error


@pytest.mark.django_db
def test_an_import_that_takes_too_long_or_too_much_fails_with_the_reason_and_is_not_repeated(
    room: Path, settings: LazySettings
) -> None:
    source = f"dir:{save_tiny(room / 'imports' / 'tiny')}"
    settings.IMPORT_SECONDS = 1  # less than it takes to load what imports
    row = wanted(source)
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts) == (RegistrationState.FAILED, 0)
    assert row.error == (
        f"{source}: takes longer than 1 s to be imported; expected a model of known size; PLUMBLINE_IMPORT_SECONDS "
        "allows more"
    )
    settings.IMPORT_SECONDS, settings.IMPORT_MEMORY = 100, 64 << 20
    with pytest.raises(ModelError, match=r"cannot be imported within 64 MiB of memory, or is damaged"):
        import_bounded(source, team_id=None)
    assert not list((room / "store").glob("models/[0-9a-f]*"))


def test_an_import_child_is_given_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in children.KEYS:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    told = children.without_keys()
    assert "secret" not in told.values()
    assert told["HTTPS_PROXY"] == "http://proxy:1"


def test_a_child_goes_with_its_parent() -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'from compliance.sandbox.bounds import bind; import time; "
        "bind(memory=1<<32, seconds=60, written=1); print(1, flush=True); time.sleep(60)'], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    limit = time.monotonic() + 20
    while Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_child_that_says_no_json_or_nothing_is_an_error_of_one_kind() -> None:
    with pytest.raises(ChildError) as ended:
        answer_of("compliance.no_such_module", {}, where="x", seconds=30)
    assert (ended.value.late, ended.value.code) == (False, 1)


def test_a_tokenizer_that_gives_no_count_is_asked_once(
    room: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def silent(module: str, job: Any, **_: Any) -> dict[str, Any]:
        asked.append(module)
        raise ChildError(late=True, code=None)

    monkeypatch.setattr(counting, "answer_of", silent)
    path = tmp_path / "tokenizer.json"
    assert counting.count(path, texts=["a"]) is None
    assert counting.count(path, texts=["b"]) is None
    assert asked == ["compliance.plans.count_child"]


def test_a_count_in_the_child_is_the_tokenizers_own(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    from auditor.language_models.trie import distinct_tokens

    path = save_tiny(tmp_path / "model") / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    group = ["Loan 12: Y", "Loan 12: N", "Loan 13: Y"]
    counts = counting.count(path, groups=[group], texts=group)
    assert counts is not None
    assert counts.lengths == tuple(len(tokenizer.encode(text).ids) for text in group)
    assert counts.distinct == (distinct_tokens([tokenizer.encode(text).ids for text in group]),)


def sleep_on() -> None:
    while True:
        with contextlib.suppress(Exception):  # what catches everything that is an Exception
            time.sleep(10)


def take_all() -> None:
    held = []
    while True:
        held.append(bytes(8 << 20))


def test_python_that_does_not_come_back_is_interrupted_and_said() -> None:
    line = r"A-0001: preparing it takes longer than 1 s; PLUMBLINE_PREPARE_SECONDS"
    with pytest.raises(RunError, match=line), limited("A-0001: preparing it", seconds=1, memory=1 << 32):
        sleep_on()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_memory_without_end_is_said() -> None:
    line = r"preparing it takes more than 64 MiB of memory; PLUMBLINE_PREPARE_MB"
    with pytest.raises(RunError, match=line), limited("preparing it", seconds=30, memory=64 << 20):
        take_all()
    assert len(bytes(256 << 20)) == 256 << 20  # afterwards there is as much as before


def asked_in_chat_form(room: Path, template: str) -> Audit:
    model = save_tiny(room / "imports" / "tiny")
    (model / "chat_template.jinja").write_text(template)
    path = write_plan(room / "plan.toml", model=f"dir:{model}")
    path.write_text(path.read_text().replace("[prompt]\n", '[prompt]\nform = "chat"\n'))
    stored = model_store().import_model(f"dir:{model}")
    return actions.request_audit(
        plan=actions.register_plan(plan=read_plan(path), actor=ACTOR),
        model=actions.register_model(
            source=f"dir:{model}", sha256=stored.sha256, manifest=stored.manifest, actor=ACTOR
        ),
        data=actions.register_data(data=load_loanapp(), actor=ACTOR),
        queue="audits",
        request_key="one",
        actor=ACTOR,
    )


@pytest.mark.parametrize(
    ("template", "line"),
    [
        (LOOP + SAID, "A-0001: preparing it takes longer than 3 s"),
        (
            "{% for a in range(10**9) %}{% endfor %}" + SAID,
            "chat template cannot be applied (Range too big",
        ),
        ("{{ raise_exception('no') }}", "chat template cannot be applied (no"),
        ("{{ 'x' * 10**11 }}" + SAID, "A-0001: preparing it takes more than 8,192 MiB of memory"),
    ],
)
@pytest.mark.django_db
def test_a_chat_template_that_does_not_end_or_fails_is_the_reason_on_the_audits_page(
    room: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, template: str, line: str
) -> None:
    keep_messages(monkeypatch)
    settings.PREPARE_SECONDS = 3
    audit = asked_in_chat_form(room, template)
    began = time.monotonic()
    workers.work(audit.pk)
    assert time.monotonic() - began < 60
    audit.refresh_from_db()
    assert audit.state == JobState.FAILED
    assert line in audit.error
    assert "\n" not in audit.error
