"""The service of ``examples/``, audited as ``service:NAME``: fields go in, and its decisions come out as outcomes."""

from __future__ import annotations

import functools
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import auditor
from auditor.answering.fields import fields_of, written
from auditor.exceptions import ModelError, PlanError
from auditor.language_models.store import ModelStore
from auditor.plan import Plan, read_plan
from auditor.records import Outcome
from auditor.systems.service_templates import Value

EXAMPLE = Path(__file__).parents[2] / "examples" / "decision-service"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("decision_service", EXAMPLE / "decision_service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def url(demo_store: ModelStore) -> Iterator[str]:
    module = loaded()
    # Probes and controls hand in the same application again and again; the model need not read it anew each time.
    with module.server(functools.cache(module.scored_by("demo:underwriter", demo_store.root))) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def store(folder: Path, url: str) -> Path:
    text = (EXAMPLE / "systems.toml").read_text(encoding="utf-8").replace("http://127.0.0.1:8100", url)
    (folder / "systems.toml").write_text(text, encoding="utf-8")
    return folder / "store"


def plan(**changes: str) -> Plan:
    return read_plan(EXAMPLE / "plan.toml", {"cases.limit": "3", "noise.reask": "1", **changes})


@pytest.mark.model
def test_the_service_of_the_examples_is_audited(tmp_path: Path, url: str) -> None:
    found = auditor.audit(plan(), folder=tmp_path / "run", store=store(tmp_path, url), data="demo:loanapp")
    asking, cases = found.conclusions.asking, {case.id: case for case in found.conclusions.cases}
    assert asking is not None
    assert found.run.model.manifest.system is not None
    module, taken = loaded(), found.run.model.manifest.system.asked["fields"]
    for answer in asking.answers:
        handed = fields_of(cases[answer.case_id].prompt)
        assert sorted(handed) == taken
        # The rules stand around the model: they need no score.
        if handed["unverifiable"] == "yes":
            assert (answer.outcome, answer.reasons) == (Outcome.REFUSED, ("R03",))
        elif handed["obligations_ratio"] > module.MOST_OBLIGATIONS:
            assert (answer.outcome, answer.reasons, answer.amount) == (Outcome.ADVERSE, ("R01",), 0.0)
        else:
            assert answer.outcome in (Outcome.FAVOURABLE, Outcome.ADVERSE)
            assert answer.amount == (handed["loan_amount"] * 1000 if answer.outcome is Outcome.FAVOURABLE else 0.0)  # type: ignore[operator]
    black = cases[next(name for name in cases if name.endswith("/race=Black"))]
    start, end = black.spans["race"]
    assert black.prompt[start:end] == '"Black"'
    assert found.measurement("counterfactual/cf_net_effect/field=race/group=Black/vs=White").estimate is not None
    assert found.run.reading is not None
    assert found.run.reading.form == "fields"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"reading.readout": "log_odds"}, "reading.readout: a service gives no log-probabilities; expected 'auto' or"),
        ({"reading.temperature": "1.0"}, "reading.temperature: is a key for language models; expected it left out"),
        (
            {"placebo": '{field = "form", label = "Form", low = 1, high = 9}'},
            "placebo.field: 'form' is not in the fields that the service takes; expected {form} in it",
        ),
    ],
)
@pytest.mark.model
def test_what_a_service_cannot_be_asked_is_refused(
    tmp_path: Path, url: str, changes: dict[str, str], line: str
) -> None:
    where = store(tmp_path, url)
    with pytest.raises(PlanError) as refusal:
        auditor.audit(plan(**changes), folder=tmp_path / "run", store=where, data="demo:loanapp")
    assert line in str(refusal.value)


def test_a_service_without_an_example_is_not_probed(tmp_path: Path) -> None:
    where = store(tmp_path, "http://127.0.0.1:9")
    file = tmp_path / "systems.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('race = "White"\n', ""), encoding="utf-8")
    with pytest.raises(ModelError, match=r"^service:origination: has no example to be probed with; .* with 'race' in"):
        auditor.open_system("service:origination", store=where)


def test_fields_are_read_from_a_case_as_they_were_written() -> None:
    values: dict[str, Value] = {"b": 'said "so"', "a": 1.5, "c": None, "d": True, "e": "Ünï"}
    found = written(values)
    assert fields_of(found.text) == values
    assert {name: found.text[start:end] for name, (start, end) in found.spans.items()} == {
        "a": "1.5", "b": '"said \\"so\\""', "c": "null", "d": "true", "e": '"Ünï"',
    }  # fmt: skip
