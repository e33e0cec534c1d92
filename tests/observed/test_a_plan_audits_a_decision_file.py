"""A plan that is bound to a decision file goes to measurements, findings, a report and a bundle that can be checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from auditor import audit, open_audit
from auditor.canonical import canonical_json, sha256_file
from auditor.conductor import prepare
from auditor.decision_files import chosen, open_decisions
from auditor.door.results import Audited
from auditor.evidence import REPEATABLE
from auditor.exceptions import InputError, PlanError, RunError
from auditor.language_models.stored import StoredModel
from auditor.mapping_files import write_mapping
from auditor.model_manifest import ImportRecord, ModelIdentity, ModelManifest
from auditor.plan import Plan
from auditor.records import Conclusion
from reports.blocks import ReportContent
from reports.bundle import Bundle, read_bundle, read_files
from reports.bundle_check import check_contents
from reports.content import build_annex, build_content
from reports.governance import Governance
from reports.publish import publish, write_manifest
from tests.observed.made_up import mapping, table

OBSERVED = ["observed_rates", "observed_equal_factors", "observed_prices", "observed_marginal", "observed_reasons"]
PACK = "us-fha"


def raw_plan(path: Path, **changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "schema": 2,
        "name": "on-file",
        "title": "Decisions on file",
        "run": {"model": f"decisions:{path}", "mapping": str(path.with_suffix(".toml"))},
        "use": {"business_use": "credit", "decision_role": "advisory", "policy_packs": [PACK]},
        "attributes": [
            {"field": "race", "groups": ["White", "Black", "Asian"], "reference": "White"},
            {"field": "sex", "groups": ["male", "female"], "reference": "male"},
        ],
        "tests": {"run": OBSERVED},
    }
    return {**raw, **changes}


def write_file(folder: Path, *, rows: int = 1500, seed: int = 1, bias: float = 1.5) -> Path:
    path = folder / "decisions.csv"
    path.write_text(table(rows, seed=seed, bias=bias).write_csv())
    path.with_suffix(".toml").write_text(write_mapping(mapping()))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_file(tmp_path_factory.mktemp("file"))


@pytest.fixture(scope="module")
def done(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return audit(Plan.parse(raw_plan(file)), folder=tmp_path_factory.mktemp("run"))


GOVERNANCE = Governance(
    audit_id="A-0001", title="Decisions on file", governed=False, status="complete", requested_by="somebody"
)


@pytest.fixture(scope="module")
def bundle(done: Audited, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    publish(done.evidence, GOVERNANCE, tmp_path_factory.mktemp("published"))
    return read_bundle(done.evidence)


def words_of(content: ReportContent) -> str:
    return repr(content)


def test_the_run_is_bound_to_the_file_and_asks_nobody(done: Audited, file: Path) -> None:
    run = done.run
    assert not run.asks
    assert run.model.source == f"decisions:{file}"
    assert run.model.sha256 == run.data.fingerprint
    assert run.data.applications == run.data.rows == 1500
    assert run.data.counts is not None
    assert run.data.counts.favourable + run.data.counts.adverse + sum(run.data.counts.no_outcome.values()) == 1500
    assert (done.cases, done.decisions) == ((), ())
    assert "prompt" not in run.design


def test_the_planted_gap_is_found_and_raised_as_a_finding_of_its_group(done: Audited) -> None:
    (gap,) = done.select(test="observed_equal_factors", metric="adjusted_difference", group="Black")
    assert gap.conclusion is Conclusion.DIFFERENCE_FOUND
    (black,) = [item for item in done.findings if "race Black" in item.title]
    assert black is done.findings[0]
    assert gap.id in black.measurements
    assert "different applicants" in black.condition
    assert "does not show that the attribute makes the difference" in black.cause


def test_a_second_run_gives_the_same_bytes(done: Audited, file: Path, tmp_path: Path) -> None:
    again = audit(Plan.parse(raw_plan(file)), folder=tmp_path)
    assert again.run_sha256 == done.run_sha256
    for name in REPEATABLE:
        assert (again.evidence / name).read_bytes() == (done.evidence / name).read_bytes()
    assert open_audit(tmp_path).measurements == done.measurements


def test_another_file_under_the_same_name_is_refused_in_one_line(tmp_path: Path) -> None:
    path = write_file(tmp_path, rows=300)
    audit(Plan.parse(raw_plan(path)), folder=tmp_path / "run")
    write_file(tmp_path, rows=300, seed=2)
    with pytest.raises(RunError, match="is not the file the run was frozen with") as error:
        open_audit(tmp_path / "run")
    assert "\n" not in str(error.value)


def test_the_report_is_published_and_its_bundle_can_be_checked(done: Audited, tmp_path: Path) -> None:
    published = publish(done.evidence, GOVERNANCE, tmp_path)
    checked = check_contents(published.evidence, read_files(published.evidence))
    assert checked.mismatches == ()
    assert any("findings and the controls were computed again" in line for line in checked.said)
    assert any(done.run.data.file_sha256 in line for line in checked.said)


def test_a_number_that_was_written_in_is_named_with_the_decision_file_at_hand(file: Path, tmp_path: Path) -> None:
    done = audit(Plan.parse(raw_plan(file, tests={"run": ["observed_rates"]})), folder=tmp_path)
    publish(done.evidence, GOVERNANCE, tmp_path / "out")
    whole = check_contents(done.evidence, read_files(done.evidence), decisions=file)
    assert whole.mismatches == ()
    assert any("measurements were computed again from decisions.csv" in line for line in whole.said)
    other = write_file(tmp_path, rows=1500, seed=9)
    (refused,) = check_contents(done.evidence, read_files(done.evidence), decisions=other).mismatches
    assert refused.expected == f"{done.run.data.file_sha256}, the file of the run"
    rows = json.loads((done.evidence / "measurements.json").read_bytes())
    described = next(row for row in rows if row["metric"] == "selection_rate")
    described["estimate"] += 0.01
    (done.evidence / "measurements.json").write_bytes(canonical_json(rows))
    write_manifest(done.evidence)
    mismatches = check_contents(done.evidence, read_files(done.evidence), decisions=file).mismatches
    numbers = [item for item in mismatches if not item.where.startswith("figures/")]
    assert [described["id"] in item.where for item in numbers] == [True]


def test_a_file_is_another_one_whatever_engine_a_run_names(file: Path, tmp_path: Path) -> None:
    done = audit(Plan.parse(raw_plan(file, tests={"run": ["observed_rates"]})), folder=tmp_path)
    run = json.loads((done.evidence / "run.json").read_bytes())
    run["code"]["sha256"] = "0" * 64
    (done.evidence / "run.json").write_bytes(canonical_json(run))
    write_manifest(done.evidence)
    assert check_contents(done.evidence, read_files(done.evidence), decisions=file).mismatches == ()
    other = write_file(tmp_path, rows=1500, seed=9)
    (refused,) = check_contents(done.evidence, read_files(done.evidence), decisions=other).mismatches
    assert refused.found == f"SHA-256 {sha256_file(other)}"
    run["data"]["file_sha256"] = sha256_file(other)
    (done.evidence / "run.json").write_bytes(canonical_json(run))
    write_manifest(done.evidence)
    (refused,) = check_contents(done.evidence, read_files(done.evidence), decisions=other).mismatches
    assert refused.where == "run.json: data.fingerprint"


def test_a_finding_that_was_written_in_is_named(file: Path, tmp_path: Path) -> None:
    done = audit(Plan.parse(raw_plan(file, tests={"run": ["observed_rates"]})), folder=tmp_path)
    publish(done.evidence, GOVERNANCE, tmp_path / "out")
    findings = json.loads((done.evidence / "findings.json").read_bytes())
    findings[0]["severity"] = "observation"
    (done.evidence / "findings.json").write_bytes(canonical_json(findings))
    write_manifest(done.evidence)
    checked = check_contents(done.evidence, read_files(done.evidence))
    assert [item.where for item in checked.mismatches if "findings.json" in item.where]


def test_the_report_speaks_of_a_file_and_never_of_prompts_or_one_changed_field(bundle: Bundle) -> None:
    report, annex = build_content(bundle, GOVERNANCE), build_annex(bundle, GOVERNANCE)
    said = words_of(report) + words_of(annex)
    for word in ("Nobody was asked", "Decisions already taken", "Smallest difference found with 80% power"):
        assert word in said
    # Log-probabilities are named once, where the report says what the other depths see.
    of_a_model = ("the model favoured", "When only race changed", "of the same applications")
    assert [word for word in of_a_model if word in said] == []


def test_a_test_that_needs_answers_or_weights_is_not_tested_and_a_run_of_such_tests_reads_not_tested(
    file: Path, tmp_path: Path
) -> None:
    plan = Plan.parse(raw_plan(file, tests={"run": ["counterfactual", "probes"]}))
    found = audit(plan, folder=tmp_path / "run")
    publish(found.evidence, GOVERNANCE, tmp_path / "out")
    assert check_contents(found.evidence, read_files(found.evidence)).mismatches == ()
    reasons = {item.test: item.missing_reason for item in found.measurements if item.metric == "not_tested"}
    assert reasons == {
        "counterfactual": "it needs answers to prompts, and a decision file answers none",
        "probes": "it needs the weights of a model, and a decision file has none",
    }
    assert found.findings == ()
    content = build_content(read_bundle(found.evidence), GOVERNANCE)
    assert content.verdict is not None
    assert content.verdict.conclusion is Conclusion.NOT_TESTED


def test_a_number_that_needs_answers_has_no_place_in_a_run_that_asked_nobody(file: Path, tmp_path: Path) -> None:
    done = audit(Plan.parse(raw_plan(file, tests={"run": ["observed_rates"]})), folder=tmp_path)
    publish(done.evidence, GOVERNANCE, tmp_path / "out")
    rows = json.loads((done.evidence / "measurements.json").read_bytes())
    rows.append({**rows[0], "id": "counterfactual/cf_net_effect", "test": "counterfactual", "metric": "cf_net_effect"})
    (done.evidence / "measurements.json").write_bytes(canonical_json(rows))
    write_manifest(done.evidence)
    checked = check_contents(done.evidence, read_files(done.evidence))
    assert any("nobody was asked" in item.expected for item in checked.mismatches)


def test_a_limit_takes_a_seeded_part_of_the_file(file: Path) -> None:
    plan = Plan.parse(raw_plan(file, cases={"limit": 400, "seed": 7}))
    whole = open_decisions(plan.run.model, plan.run.mapping).observed
    part, again = chosen(plan, whole), chosen(plan, whole)
    assert part.n == 400
    assert part.ids.to_list() == again.ids.to_list() == sorted(part.ids.to_list())
    other = Plan.parse(raw_plan(file, cases={"limit": 400, "seed": 8}))
    assert chosen(other, whole).ids.to_list() != part.ids.to_list()


def test_what_does_not_fit_the_file_is_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    def refusal(**changes: Any) -> str:
        with pytest.raises(InputError) as error:
            audit(Plan.parse(raw_plan(file, **changes)), folder=tmp_path)
        assert "\n" not in str(error.value)
        return str(error.value)

    colour = [{"field": "colour", "groups": ["a", "b"], "reference": "a"}]
    said = "'colour' is not a protected field of the decision file; expected one of: race, sex"
    assert said in refusal(attributes=colour)
    misspelt = [{"field": "race", "groups": ["white", "Black"], "reference": "white"}]
    assert "the reference 'white' is in no row" in refusal(attributes=misspelt)
    run = {"model": f"decisions:{file}", "mapping": str(file.with_suffix(".toml"))}
    assert "is given beside a decision file" in refusal(run={**run, "data": "demo:loanapp"})
    assert "no mapping says what its columns mean" in refusal(run={**run, "mapping": ""})
    assert "nowhere.csv: there is no such file" in refusal(run={**run, "model": "decisions:nowhere.csv"})
    for no_file in ("/dev/null", str(tmp_path)):
        assert f"{no_file}: is not an ordinary file" in refusal(run={**run, "model": f"decisions:{no_file}"})


def test_only_a_plan_of_schema_2_may_do_without_a_prompt_and_then_asks_no_model(file: Path) -> None:
    with pytest.raises(PlanError, match="prompt: is missing; only a plan of schema 2"):
        Plan.parse(raw_plan(file, schema=1))
    plan = Plan.parse(raw_plan(file))
    assert not plan.asks
    identity = ModelIdentity(format="transformers", files=(), name="")
    manifest = ModelManifest(identity=identity, imported=ImportRecord(source="dir:weights"))
    weights, data = StoredModel(sha256="", folder=file.parent, manifest=manifest), cast(Any, None)
    with pytest.raises(PlanError, match="prompt: is missing, and a language model is asked"):
        prepare(plan=plan, model=weights, data=data)
    assert Plan.parse({**plan.design(), "run": {}}).design_sha256 == plan.design_sha256
    prompt = {"template": "{race}", "answers": {"favourable": [" yes"], "adverse": [" no"]}}
    first, second = (Plan.parse(raw_plan(file, schema=number, prompt=prompt)) for number in (1, 2))
    assert first.design()["prompt"] == second.design()["prompt"]
    assert first.design_sha256 != second.design_sha256


def test_cover_and_conclusion_count_what_is_conclusive_what_cannot_be_said_and_what_was_not_tested(
    done: Audited, bundle: Bundle
) -> None:
    content = build_content(bundle, GOVERNANCE)
    compared = [item for item in done.measurements if item.reference and item.conclusion]
    unsure = [item for item in compared if item.conclusion is Conclusion.INCONCLUSIVE]
    counts = f"Of {len(compared)} comparisons {len(compared) - len(unsure)} are conclusive"
    assert content.verdict is not None
    assert any(words.startswith(counts) for words in content.verdict.others)
    assert f"and {len(unsure)} cannot say" in words_of(content)
    assert words_of(content).count(counts) == 2  # cover and conclusion
    left = [item for item in unsure if (item.test, item.metric) == ("observed_rates", "risk_difference")]
    assert left
    assert words_of(content).count("cannot say whether plain approval rates differ") == 2
