"""Adding a thing costs what docs/extending.md says: the files that have to be touched are counted.

That a section which is added is shown by the PDF and by the site's page, `compliance/test_sections_on_pages.py` holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pypdf import PdfReader
from scipy.stats import norm

from auditor import catalogue
from auditor.conductor import Conclusions, conclude, prepare, run_one_chunk
from auditor.exceptions import PlanError, RunError
from auditor.language_models.store import ModelStore
from auditor.ledger import FolderLedger
from auditor.plan import Plan
from auditor.records import Role
from auditor.testing.checks import check_test
from auditor.testing.chunks import ChunkSpec
from auditor.testing.context import Context
from auditor.testing.on_internals import OnInternals
from auditor.testing.rows import Row
from reports import wording
from tests.acceptance.planted import planted_model
from tests.engine.small import biased, raw_plan, simulated, small_data, small_plan
from tests.language_models.tiny import save_tiny, tiny_model
from tests.mechanisms.asking import asked, through_a_ledger
from tests.mechanisms.test_every_test_keeps_its_contract import on_answers
from tests.mechanisms.test_sae_sparse_features import context_with

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "plumbline-sample-test"
MODULE, INSIDE = "plumbline_sample_test.py", "plumbline_sample_inside.py"
TESTS = ["counterfactual", "median_shift"]
ANSWERED = small_plan(
    prompt__answers={"favourable": ["Y"], "adverse": ["N"], "mass_floor": 0.0}, tests__run=["last_token"]
)
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "underwriter", "build", "*.egg-info")


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def touched(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample package, installed as a user would, into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    # A copy, because building leaves files beside the source.
    source = shutil.copytree(SAMPLE, tmp_path_factory.mktemp("sample") / "package", ignore=NOT_SOURCE)
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target"]
    subprocess.run([sys.executable, *command, str(folder), str(source)], check=True, capture_output=True)
    return folder


@pytest.fixture
def plugged(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(installed)
    catalogue._installed.cache_clear()
    yield
    for name in (MODULE, INSIDE):
        sys.modules.pop(Path(name).stem, None)
    catalogue._installed.cache_clear()


def concluded(folder: Path, *, size: int) -> Conclusions:
    margin = biased(shift={"Black": -0.5}, noise=0.2, seed=3)
    return conclude(simulated(folder, small_plan(tests__run=TESTS), small_data(size), margin))


def test_a_test_in_a_package_of_its_own_changes_no_file_of_the_house(plugged: None, tmp_path: Path) -> None:
    found = concluded(tmp_path, size=180).measurements
    own = [item for item in found if item.test == "median_shift"]
    assert [item.subject for item in own] == [
        {"field": "race", "group": "Black"},
        {"field": "sex", "group": "female"},
    ]
    assert [(item.role, item.conclusion) for item in own] == [(Role.SUPPORTING, None)] * 2
    black, female = own
    assert black.low is not None
    assert black.high is not None
    assert black.low <= -0.5 <= black.high < 0
    assert female.low is not None
    assert female.high is not None
    assert female.low < 0 < female.high
    assert (wording.test_label(black.test), wording.metric_label(black)) == (
        "Median shift",
        "Median score change",
    )
    files = {name for name in hashes(SAMPLE) if "egg-info" not in name}
    assert files == {"README.md", "pyproject.toml", MODULE, INSIDE}


def test_it_keeps_the_contract_that_ours_are_held_to(plugged: None) -> None:
    check_test(catalogue.find_tests(TESTS, where="small.toml")[-1], on_answers("counterfactual"))


def looked_inside(model: Any, *, depth: float = 0.5, plan: Plan = ANSWERED) -> tuple[OnInternals, Context]:
    """The sample test on internals, and a run whose chunks of it are done: planned, kept as bytes, computed, kept."""
    (test,) = catalogue.find_tests(["last_token"], where="small.toml")
    assert catalogue.looks_inside(test)
    settings, data = test.Settings(applications=24, depth=depth), small_data(24)
    context = context_with(model, settings, plan)
    pieces = test.plan_chunks(asked(settings, plan=plan, data=data))
    results = [through_a_ledger(test.compute(context, through_a_ledger(piece.payload))) for piece in pieces]
    return test, replace(on_answers("counterfactual"), plan=plan, results={"last_token": results})


@pytest.mark.parametrize(("depth", "share"), [(0.0, 0.0), (0.5, 1.0)])
def test_a_test_on_internals_in_a_package_of_its_own_keeps_the_contract_and_finds_what_was_planted(
    plugged: None, depth: float, share: float
) -> None:
    # The first block of this model adds up letters; before it the last token knows nothing of them, behind it all.
    test, context = looked_inside(planted_model("B", against=40.0), depth=depth)
    check_test(test, context)
    black = next(row.measurement for row in test.measure(context) if row.measurement.subject["group"] == "Black")
    assert black.counts["gap"] < -1
    assert black.estimate == pytest.approx(share * black.counts["gap"], abs=1e-3)
    assert [check.held for check in black.checks] == [True]
    assert (wording.test_label(black.test), wording.metric_label(black)) == (
        "Last token",
        "Margin moved by the last token's residual stream",
    )


def test_answers_that_no_token_tells_apart_leave_a_reason_and_no_number(plugged: None) -> None:
    alike = small_plan(
        prompt__answers={"favourable": ["Yes"], "adverse": ["Yet"], "mass_floor": 0.0}, tests__run=["last_token"]
    )
    test, context = looked_inside(tiny_model(), plan=alike)
    check_test(test, context)
    rows = [row.measurement for row in test.measure(context)]
    assert [row.estimate for row in rows] == [None, None]
    assert all(row.missing_reason for row in rows)


def test_a_plan_that_names_it_runs_it_like_any_other(plugged: None, tmp_path: Path) -> None:
    save_tiny(tmp_path / "model", model=planted_model("B", against=40.0))
    store, ledger = ModelStore(tmp_path / "store"), FolderLedger(tmp_path / "run")
    plan = ANSWERED.model_copy(update={"settings": {"last_token": {"applications": 8}}})
    model = store.import_model(f"dir:{tmp_path / 'model'}")
    prepared = prepare(plan=plan, model=model, data=small_data(24))
    ledger.freeze(prepared.run, prepared.chunks)
    for chunk in prepared.chunks:
        run_one_chunk(ledger, chunk.index, store=store)
    own = [item for item in conclude(ledger).measurements if item.test == "last_token"]
    assert [(item.subject["group"], item.n) for item in own] == [("Black", 8), ("female", 8)]
    assert own[0].estimate == pytest.approx(own[0].counts["gap"], abs=1e-3)
    # From few applications a mean has no interval.
    assert own[0].low is None


def test_a_result_of_another_version_of_it_is_refused_by_name(plugged: None) -> None:
    test, context = looked_inside(planted_model("B", against=40.0))
    (race, sex) = context.results["last_token"]
    other = replace(context, results={"last_token": [{**race, "block": 1}, sex]})
    with pytest.raises(RunError, match=r"result of last_token: moved\.block: Extra inputs are not permitted"):
        list(test.measure(other))


def test_the_module_of_a_test_on_internals_is_held_against_the_contract_as_its_author_has_it(plugged: None) -> None:
    _, context = looked_inside(planted_model("B", against=40.0))
    check_test(import_module(Path(INSIDE).stem), context)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("Payload", None, "last_token: it looks inside a model and has no Payload"),
        ("Result", dict[str, float], "last_token: its Result is not an auditor.testing.rows.Row, nor a union of rows"),
    ],
)
def test_a_module_without_the_types_of_its_rows_is_named_and_not_measured(
    plugged: None, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, line: str
) -> None:
    module = import_module(Path(INSIDE).stem)
    if value is None:
        monkeypatch.delattr(module, name)
    else:
        monkeypatch.setattr(module, name, value)
    with pytest.raises(AssertionError) as refused:
        check_test(module, on_answers("counterfactual"))
    assert str(refused.value) == line


WRONG = {"case_id": "a1", "test": "last_token", "field": "race", "worth": 1.0}


class Kept(Row):
    """A result that names what the evidence keeps, in a form that it does not have."""

    attributions: tuple[dict[str, Any], ...] = (WRONG,)


@pytest.mark.parametrize(
    ("computed", "line"),
    [
        ({"part": "moved"}, "result of last_token: moved.field: Field required"),
        (Row(), "result of last_token: the whole: Unable to extract tag"),
        (Kept(), "result of last_token: attributions.0.value: Field required"),
    ],
)
def test_what_is_no_result_is_refused_when_it_is_computed_and_not_after_every_chunk(
    plugged: None, monkeypatch: pytest.MonkeyPatch, computed: Any, line: str
) -> None:
    module = import_module(Path(INSIDE).stem)
    (test,) = catalogue.find_tests(["last_token"], where="small.toml")
    assert catalogue.looks_inside(test)
    monkeypatch.setattr(module, "compute", lambda context, payload: computed)
    if isinstance(computed, Kept):
        monkeypatch.setattr(module, "Result", Kept)
    payload = module.Payload(field="race", groups=("Black",), reference="White", words=())
    with pytest.raises(RunError, match=f"^{line}"):
        test.compute(cast("Any", None), payload)


def test_a_name_that_two_packages_offer_is_refused_and_not_the_first_one_taken(
    plugged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = (Path(MODULE).stem, "another_package")
    entries = [EntryPoint(name="median_shift", value=value, group=catalogue.ENTRY_POINT) for value in modules]
    monkeypatch.setattr(catalogue, "entry_points", lambda group: entries)
    with pytest.raises(
        PlanError, match="'median_shift' is offered by plumbline_sample_test and by another_package; ex"
    ):
        catalogue.find_tests(["median_shift"], where="small.toml")


def test_a_chunk_that_is_planned_with_something_else_than_a_payload_is_refused_when_it_is_planned(
    plugged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(Path(INSIDE).stem)
    (test,) = catalogue.find_tests(["last_token"], where="small.toml")
    assert catalogue.looks_inside(test)
    pieces = [ChunkSpec(prompts=1, tokens=1, payload=cast("Any", {"field": "race"}))]
    monkeypatch.setattr(module, "plan_chunks", lambda asked: pieces)
    with pytest.raises(RunError, match=r"^payload of last_token: groups: Field required"):
        list(test.plan_chunks(cast("Any", None)))


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (
            "no_such_module",
            r"'median_shift' \(no_such_module\) cannot be loaded \(ModuleNotFoundError: No module",
        ),
        (Path(INSIDE).stem, r"'median_shift' \(plumbline_sample_inside\) is called 'last_token' on its card; expected"),
    ],
)
def test_an_entry_point_that_leads_nowhere_or_to_another_name_is_refused_in_one_line(
    plugged: None, monkeypatch: pytest.MonkeyPatch, module: str, line: str
) -> None:
    entry = EntryPoint(name="median_shift", value=module, group=catalogue.ENTRY_POINT)
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [entry])
    with pytest.raises(PlanError, match=f"^small.toml: tests.run: the installed test {line}"):
        catalogue.find_tests(["median_shift"], where="small.toml")


def test_its_card_is_read_where_there_is_no_torch(installed: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); import {Path(INSIDE).stem} as test; test.CARD"
    command = [sys.executable, "-c", f"import tests.no_torch\n{code}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_its_interval_keeps_its_level_and_is_as_narrow_as_the_normal_one_says(plugged: None, tmp_path: Path) -> None:
    concluded(tmp_path, size=48)
    sample = sys.modules["plumbline_sample_test"]
    generator = np.random.default_rng(1)
    draws = np.sort(generator.normal(size=(4000, 101)), axis=1)
    bounds = [sample._bounds(row, 0.95) for row in draws]
    held = np.mean([low <= 0 <= high for low, high in bounds])
    assert 0.95 - 2 * np.sqrt(0.95 * 0.05 / 4000) < held < 0.97
    # The standard error of a normal median is that of the mean times √(π/2).
    wide = 2 * norm.ppf(0.975) * np.sqrt(np.pi / 2 / 101)
    assert np.mean([high - low for low, high in bounds]) == pytest.approx(wide, rel=0.06)


def test_with_few_applications_it_gives_the_reason_and_no_number(plugged: None, tmp_path: Path) -> None:
    own = [item for item in concluded(tmp_path, size=20).measurements if item.test == "median_shift"]
    assert [item.estimate for item in own] == [item.low for item in own] == [None, None]
    assert [item.missing_reason for item in own] == [
        f"{item.n} applications stand in both arms; a median needs 24" for item in own
    ]
    assert all(0 < item.n < 24 for item in own)


def test_a_test_of_another_version_is_refused_in_one_line(plugged: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = catalogue.find_tests(TESTS, where="small.toml")[-1]
    monkeypatch.delattr(sample, "measure")
    line = (
        r"small.toml: tests.run: the installed test 'median_shift' \(plumbline_sample_test\) has no measure; expected"
    )
    with pytest.raises(PlanError, match=line):
        catalogue.find_tests(TESTS, where="small.toml")


def test_without_the_package_its_name_is_no_test() -> None:
    with pytest.raises(PlanError, match="unknown test 'median_shift'; expected one of: amount_gaps"):
        catalogue.find_tests(TESTS, where="small.toml")


@pytest.mark.slow
def test_a_test_and_a_pack_of_the_house_cost_a_file_each_and_a_line_in_the_catalogue(tmp_path: Path) -> None:
    engine = shutil.copytree(ROOT / "auditor", tmp_path / "auditor", ignore=NOT_SOURCE)
    before = hashes(engine)
    shutil.copy(SAMPLE / MODULE, engine / "behaviour" / "median_shift.py")
    listed = (engine / "catalogue.py").read_text()
    for there in ("from auditor.behaviour import (\n    ", "OUTPUTS = ("):
        assert listed.count(there) == 1
        listed = listed.replace(there, f"{there}median_shift, ")
    (engine / "catalogue.py").write_text(listed)
    shipped = engine / "policies" / "shipped"
    pack = json.loads((shipped / "us-fha.json").read_text()) | {"id": "xx-sample", "version": "2026.11"}
    (shipped / "xx-sample.json").write_text(json.dumps(pack))
    plan = raw_plan(tests__run=TESTS, use__policy_packs=["us-ecoa-regb", "xx-sample"])
    code = (
        "import json, sys; from auditor.plan import plan_from; from auditor.catalogue import find_tests\n"
        "from auditor.policies.packs import load_packs; import auditor\n"
        "plan = plan_from(json.load(sys.stdin), where='mine')\n"
        "tests = [test.CARD.name for test in find_tests(plan.tests.run, where='mine')]\n"
        "packs = [pack.id for pack in load_packs(plan.use.policy_packs, where='mine')]\n"
        "print(json.dumps([auditor.__file__, tests, packs]))"
    )
    # Nothing is written while it runs: what is counted is what was touched to add the two.
    command = [sys.executable, "-B", "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, input=json.dumps(plan), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [str(engine / "__init__.py"), TESTS, ["us-ecoa-regb", "xx-sample"]]
    assert touched(before, hashes(engine)) == {
        "behaviour/median_shift.py",
        "catalogue.py",
        "policies/shipped/xx-sample.json",
    }


SECTION = '''"""The section that is added."""

from reports.blocks import Text


def bells(story):
    """One function, given the story, that returns blocks."""
    return [Text(f"Every second bell rings, n = {len(story.measurements)}.")]
'''
BOTH = """
import json, sys
from pathlib import Path
from reports import sections
from reports.bundle import bundle_from, read_files
from reports.content import build_content
from reports.html import Links, blocks_html
from reports.pdf import render_pdf
from reports.story import Story
from tests.reports.conftest import GOVERNANCE, PACKS
from tests.reports.simulate import write_evidence
folder = Path(sys.argv[1])
write_evidence(folder, packs=PACKS, mute=False)
bundle = bundle_from(read_files(folder), files=(), where="here")
(folder / "report.pdf").write_bytes(render_pdf(build_content(bundle, GOVERNANCE), result=b"{}"))
links = Links(cases=lambda query: query, numbers=lambda name: name)
story = Story(bundle, GOVERNANCE, {})
page = "".join(blocks_html(kind.blocks(story), links) for kind in sections.sections_in("controls"))
print(json.dumps([sections.__file__, page]))
"""


@pytest.mark.slow
def test_a_section_costs_a_function_and_a_line_and_both_page_and_pdf_show_it(tmp_path: Path) -> None:
    reports = shutil.copytree(ROOT / "reports", tmp_path / "reports", ignore=NOT_SOURCE)
    before = hashes(reports)
    (reports / "bells.py").write_text(SECTION)
    table = (reports / "sections.py").read_text()
    for there, line in (
        ("from reports.blocks import ANNEX", "from reports.bells import bells\n"),
        ("    # What a validator goes", '    SectionKind("bells", "Bells", bells, room="controls"),\n'),
    ):
        assert table.count(there) == 1
        table = table.replace(there, f"{line}{there}")
    (reports / "sections.py").write_text(table)
    folder = tmp_path / "evidence"
    command = [sys.executable, "-B", "-W", "ignore", "-c", BOTH, str(folder)]
    # The copy stands first on the path, the engine and what simulates an audit behind it.
    searched = os.environ | {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(command, cwd=tmp_path, env=searched, capture_output=True, text=True, check=True)
    where, page = json.loads(done.stdout.splitlines()[-1])
    assert where == str(reports / "sections.py")
    printed = " ".join(" ".join(page.extract_text() for page in PdfReader(folder / "report.pdf").pages).split())
    (said,) = re.findall(r"Every second bell rings, n = \d+\.", page)
    assert said in printed
    assert touched(before, hashes(reports)) == {"bells.py", "sections.py"}


@pytest.mark.slow
def test_a_model_family_costs_a_row_and_an_entry_in_the_zoo(tmp_path: Path) -> None:
    engine, zoo = "auditor/language_models/families.py", "tests/language_models/zoo.py"
    shutil.copytree(ROOT / "auditor", tmp_path / "auditor", ignore=NOT_SOURCE)
    (tmp_path / "tests" / "language_models").mkdir(parents=True)
    for name in ("tests/__init__.py", "tests/language_models/__init__.py", "tests/language_models/tiny.py", zoo):
        shutil.copy(ROOT / name, tmp_path / name)
    # A family that transformers has and the table has not: Llama's layout with two norms more.
    code = (
        "import json, auditor; from auditor.language_models.decoder_check import check_decoder, read_decoder\n"
        "from tests.language_models.zoo import STRUCTURED, zoo_model; import transformers as hf\n"
        "from tests.language_models.tiny import GROUPED\n"
        "model = zoo_model('bitnet') if 'bitnet' in STRUCTURED else hf.BitNetForCausalLM(hf.BitNetConfig(**GROUPED))\n"
        "view = type(read_decoder(model.eval())).__name__\n"
        "print(json.dumps([auditor.__file__, view, check_decoder(model).held]))"
    )
    command = [sys.executable, "-B", "-W", "ignore", "-c", code]

    def seen() -> list[object]:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return list(json.loads(done.stdout.strip().splitlines()[-1]))

    own = str(tmp_path / "auditor" / "__init__.py")
    assert seen() == [own, "ResidualView", False]
    before = hashes(tmp_path)
    for name, there, added in (
        (engine, "FAMILIES = {\n", '    "bitnet": LLAMA,\n'),
        (
            zoo,
            "ROWS: dict[str, tuple[str, str, dict[str, Any]]] = {\n",
            '    "bitnet": ("BitNetForCausalLM", "BitNetConfig", GROUPED),\n',
        ),
    ):
        text = (tmp_path / name).read_text()
        assert text.count(there) == 1
        (tmp_path / name).write_text(text.replace(there, there + added))
    assert seen() == [own, "Decoder", True]
    assert touched(before, hashes(tmp_path)) == {engine, zoo}
