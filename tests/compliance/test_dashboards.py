"""Home, model and case pages: tasks, what is due, trends, versions side by side, fields and their attributions."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from html import unescape
from pathlib import Path

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from auditor.comparison import compare_versions
from auditor.records import Conclusion, Severity
from compliance import actions
from compliance.access.roles import Role
from compliance.dashboard.audited_models import finished as finished_rows
from compliance.dashboard.audited_models import registered_models
from compliance.dashboard.home_page import live_findings, matrix
from compliance.dashboard.model_page import choose
from compliance.dashboard.prompts import marked, strength
from compliance.execution.runner import audit_folder
from compliance.governance.deadlines import remediation_days
from compliance.governance.revalidation import months_after, revalidation_months
from compliance.models import Audit, FindingRecord, Membership, default_team
from tests.compliance.factories import ACTOR, make_audit
from tests.compliance.finished import finish, simulate
from tests.compliance.governed import open_finding
from tests.compliance.teams import make_person
from tests.compliance.test_officers_site import text_of
from tests.compliance.test_tampering import owner
from tests.once import once

CASES = "/audits/A-0001/cases/"
PAIRS = f"{CASES}?arm=race=White|race=Black"


@pytest.fixture(scope="session")
def second_version() -> Path:
    """Evidence of the same plan on another version, which lowers the margin of one group less."""
    return once("second-version", partial(simulate, weights="other weights", bias=-0.1))


@pytest.fixture
def governed(db: None, simulated: Path, settings: LazySettings, tmp_path: Path) -> Iterator[Audit]:
    """A finished, governed audit in a data folder of its own."""
    settings.DATA_FOLDER = tmp_path / "data"
    yield finish(simulated, governed=True)
    shutil.rmtree(tmp_path / "data")


@pytest.fixture
def two(governed: Audit, second_version: Path) -> tuple[Audit, Audit]:
    """Finished, governed audits of two versions of one model."""
    return governed, finish(second_version, governed=True)


def age(audit: Audit, days: int) -> None:
    """Make an audit older."""
    Audit.objects.filter(pk=audit.pk).update(finished_at=timezone.now() - timedelta(days=days))


def test_an_empty_installation_says_what_would_be_here(signed_in: Client) -> None:
    page = text_of(signed_in.get("/").content)
    assert page.count("Nothing waits for you") == 2
    assert "It takes two finished, governed audits of one design" in page
    assert text_of(signed_in.get("/models/").content).count("No model here.") == 1


def test_home_counts_models_by_tier_and_last_conclusion(signed_in: Client, governed: Audit) -> None:
    rows = signed_in.get("/").context["tiers"]
    lit = [cell for row in rows for cell in row["cells"] if cell["count"]]
    assert [cell["count"] for cell in lit] == [1, 1]  # one cell, and the row's total
    for cell in lit:
        assert len(signed_in.get(cell["link"]).context["lines"]) == 1
    assert signed_in.get("/models/", {"tier": "4"}).context["lines"] == []
    assert signed_in.get("/models/", {"tier": "9", "conclusion": "x"}).status_code == 404


def test_the_conclusion_of_a_model_is_that_of_its_last_audit(two: tuple[Audit, Audit]) -> None:
    reader = User.objects.create_superuser("root")
    (audited,) = registered_models(reader, finished_rows(Audit.objects.all()))
    assert audited.basis is not None
    assert audited.basis.audit == "A-0002"
    leads = two[1].measurements.filter(role="primary").values_list("conclusion", flat=True)
    assert audited.basis.conclusion.value in set(leads)
    assert audited.basis.conclusion is not Conclusion.NOT_TESTED


@pytest.mark.parametrize(("late", "days"), [(False, 700), (True, 760)])
def test_a_model_is_due_when_its_tier_says(client: Client, governed: Audit, late: bool, days: int) -> None:
    assert revalidation_months()[2] == 24
    age(governed, days)
    client.force_login(make_person("ola", default_team(), [Role.COMPLIANCE_OFFICER]))
    context = client.get("/").context
    assert [line["audited"].basis.audit for line in context["overdue"]] == (["A-0001"] if late else [])
    words = [task.words for task in context["tasks"]]
    assert ("Repeat the validation" in words, "Plan the next validation" in words) == (late, not late)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [((2025, 1, 31), 1, (2025, 2, 28)), ((2024, 2, 29), 12, (2025, 2, 28)), ((2025, 12, 15), 24, (2027, 12, 15))],
)
def test_months_end_on_a_day_that_exists(start: tuple[int, int, int], months: int, end: tuple[int, int, int]) -> None:
    assert months_after(datetime(*start, tzinfo=UTC), months) == datetime(*end, tzinfo=UTC)


def test_findings_past_their_day_are_outlined_and_are_a_task(signed_in: Client, officer: User) -> None:
    record = open_finding()
    assert not any("k-late" in line for line in signed_in.get("/").content.decode().split("<td"))
    with time_machine.travel(timezone.now() + timedelta(days=remediation_days()["high"] + 1)):
        signed_in.force_login(officer)  # the session before is over by then
        answer = signed_in.get("/")
        assert "k-late" in answer.content.decode()
        # Nobody owns it, and this officer may not answer findings.
        assert "Answer F-0001" not in text_of(answer.content)
        FindingRecord.objects.filter(pk=record.pk).update(owner=officer)
        page = text_of(signed_in.get("/").content)
    assert "Answer F-0001" in page
    assert record.title in page


@pytest.mark.parametrize("level", [level for level in Severity if level.value in remediation_days()])
def test_a_finding_is_late_the_day_after_it_had_to_be_remedied(db: None, signed_in: Client, level: Severity) -> None:
    record = open_finding(severity=level)
    allowed = record.first_seen.date() + timedelta(days=remediation_days()[level.value])
    assert record.allowed_until == allowed
    for day, late in ((allowed, False), (allowed + timedelta(days=1), True)):
        assert record.overdue(day) is late
        assert FindingRecord.objects.overdue(day).exists() is late
        counted = live_findings(User.objects.get(username="officer"), today=day)
        rows = matrix(counted, now=timezone.now())
        assert any(cell["late"] for row in rows for cell in row["cells"]) is late


def test_a_run_that_stopped_waits_for_whoever_asked_for_it_and_may_run_audits(signed_in: Client, officer: User) -> None:
    audit = make_audit()
    actions.fail_audit(audit=audit, error="no space left", actor=ACTOR)
    assert signed_in.get("/").context["tasks"] == []
    Membership.objects.create(team=audit.team, user=officer, role=Role.COMPLIANCE_OFFICER)
    assert [task.link for task in signed_in.get("/").context["tasks"]] == ["/audits/A-0001/"]
    Audit.objects.filter(pk=audit.pk).update(requested_by_user=User.objects.create_user("somebody"))
    assert signed_in.get("/").context["tasks"] == []
    Audit.objects.filter(pk=audit.pk).update(requested_by_user=officer)
    assert len(signed_in.get("/").context["tasks"]) == 1


def test_a_running_audit_is_on_the_first_page(signed_in: Client, finished: Audit) -> None:
    make_audit(name="two")
    assert "A-0002 0 of 6 prompts" in text_of(signed_in.get("/").content)


def test_the_trend_holds_the_measurements_of_both_versions(signed_in: Client, two: tuple[Audit, Audit]) -> None:
    shown = signed_in.get("/").context["trend"]["trend"]
    assert [audit.number for audit, _, _ in shown.rows] == ["A-0001", "A-0002"]
    for audit, point, item in shown.rows:
        row = audit.measurements.get(key=item.id)
        assert (point.estimate, point.low, point.high) == (row.estimate, row.low, row.high)


def test_a_plan_that_cannot_be_read_takes_no_page_with_it(signed_in: Client, two: tuple[Audit, Audit]) -> None:
    with owner() as execute:
        execute("UPDATE compliance_planversion SET design_json = %s", [json.dumps({**two[1].plan.design, "later": 1})])
        home = signed_in.get("/")
        assert (home.status_code, home.context["trend"]) == (200, None)
        page = signed_in.get(f"/models/{two[1].model_id}/")
        assert page.status_code == 200
        assert "! The effects cannot be drawn." in text_of(page.content)
        assert "! The two cannot be compared." in text_of(page.content)
        assert "No trend yet." not in text_of(page.content)


def test_the_page_of_a_model_compares_its_versions_case_by_case(signed_in: Client, two: tuple[Audit, Audit]) -> None:
    context = signed_in.get(f"/models/{two[0].model_id}/").context
    comparison = context["comparison"]
    assert (comparison.earlier, comparison.later) == two
    found = {item.subject.get("group"): item for item in comparison.measurements}
    black = found["Black"]
    nets = [a.measurements.get(metric="cf_net_effect", subject__group="Black").estimate for a in two]
    assert black.estimate == pytest.approx(nets[1] - nets[0])
    assert black.conclusion is Conclusion.DIFFERENCE_FOUND
    assert {signed_in.get(link).status_code for link in links_in(context["compared"])} == {200}


def test_a_comparison_is_measured_once(
    signed_in: Client, two: tuple[Audit, Audit], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(
        "compliance.dashboard.model_page.compare_versions",
        lambda **asked: measured.append(1) or compare_versions(**asked),
    )
    from django.core.cache import cache

    cache.clear()
    first, again = (signed_in.get(f"/models/{two[1].model_id}/").context["comparison"] for _ in range(2))
    assert first == again
    assert measured == [1]


def test_what_is_asked_is_compared_earlier_first(two: tuple[Audit, Audit]) -> None:
    one, other = two
    assert choose([one, other], earlier="A-0002", later="A-0001") == (one, other)
    assert choose([one, other], earlier="", later="") == (one, other)
    # Two others in the place of those asked for would read as their comparison.
    assert choose([one, other], earlier="A-0001", later="A-0001") is None
    assert choose([one], earlier="A-0001", later="A-0002") is None


def test_changed_evidence_is_not_compared_and_the_page_says_so(signed_in: Client, two: tuple[Audit, Audit]) -> None:
    shutil.rmtree(audit_folder(two[0]) / "evidence")
    page = text_of(signed_in.get(f"/models/{two[0].model_id}/").content)
    assert "The two cannot be compared." in page


def test_a_model_is_not_there_for_who_may_not_read_its_audits(client: Client, finished: Audit) -> None:
    client.force_login(User.objects.create_user("clerk"))
    assert client.get(f"/models/{finished.model_id}/").status_code == 404
    assert client.get("/models/999/").status_code == 404


def test_maps_of_internals_stand_on_the_page_with_their_numbers(signed_in: Client, finished: Audit) -> None:
    internals = inside_of(signed_in.get("/audits/A-0001/").content.decode())
    figures = internals.split("<figure")[1:]
    assert len(figures) == internals.count("<svg") == 6
    # Its numbers stand under it, or are a line that leads to them.
    opened = [figure for figure in figures if "hx-get" in figure]
    assert 0 < len(opened) < len(figures)
    assert all('<th scope="row">' in figure for figure in figures if figure not in opened)
    tables = [signed_in.get(link).content for figure in opened for link in re.findall(r'hx-get="([^"]+)"', figure)]
    assert "did not hold" in "".join(map(text_of, tables))


def test_a_self_check_that_did_not_hold_is_not_folded(signed_in: Client, finished: Audit) -> None:
    internals = inside_of(signed_in.get("/audits/A-0001/").content.decode())
    checks = re.findall(r"<details( open)?><summary>Self-checks</summary>(.*?)</details>", internals, flags=re.DOTALL)
    assert [bool(unfolded) for unfolded, _ in checks].count(True) == 1
    for unfolded, table in checks:
        assert ("<td>no</td>" in table) is bool(unfolded)


def test_features_stand_with_their_words_wherever_they_are_reported(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/audits/A-0001/").content.decode()
    tables = re.findall(
        r"<details open><summary>What the features respond to</summary>(.*?)</details>", page, re.DOTALL
    )

    assert len(tables) == 2  # of the features, and of the test that put them in words
    for table in tables:
        assert "1000, layer 9 Active on “Black” 91.0% [88.0, 94.0] 97.0%" in text_of(table.encode())
    assert "overlap by 0.12" in text_of(page.encode())


def inside_of(page: str) -> str:
    """The room of the internals, alone."""
    return page.partition('id="internals"')[2].partition("<section")[0]


def links_in(part: str) -> set[str]:
    return {unescape(link) for link in re.findall(r'href="([^"]+)"', part)}


def test_of_pairs_one_is_open_beside_the_list(signed_in: Client, finished: Audit) -> None:
    first = signed_in.get(PAIRS).context
    assert first["open"] == first["found"].rows[0]
    wanted = first["found"].rows[3]
    context = signed_in.get(f"{PAIRS}&pair={wanted['id_changed']}").context
    assert context["open"]["id_changed"] == wanted["id_changed"]
    shown = [side["case"]["id"] for side in context["sides"]]
    assert shown == [wanted["id_reference"], wanted["id_changed"]]


def test_fields_are_marked_by_what_they_did_to_the_decision(signed_in: Client, finished: Audit) -> None:
    answer = signed_in.get(PAIRS)
    changed = answer.context["sides"][1]
    (race,) = [piece for piece in changed["pieces"] if piece["field"] == "race"]
    assert race["classes"] == "a3 changed"
    assert race["value"] == "\u22120.57"
    page = answer.content.decode()
    assert 'class="a3 changed" title="race"' in page
    assert signed_in.get(f"{PAIRS}&by=shapley").context["given"].test == "shapley"


def test_without_attributions_prompts_are_shown_all_the_same(
    signed_in: Client, tmp_path: Path, settings: LazySettings
) -> None:
    settings.DATA_FOLDER = tmp_path / "data"
    finish(simulate(tmp_path / "published", attributed=False))
    answer = signed_in.get(PAIRS)
    assert answer.context["given"] is None
    assert "Underlined: values that the plan filled in." in text_of(answer.content)


def test_changed_attributions_are_not_shown(signed_in: Client, finished: Audit) -> None:
    path = audit_folder(finished) / "evidence" / "attributions.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    assert signed_in.get(PAIRS).status_code == 404


@pytest.mark.parametrize(
    ("value", "classes"),
    [(0.0, ""), (0.004, ""), (-0.004, ""), (0.2, "b1"), (-0.34, "a2"), (0.67, "b3"), (-1.0, "a3"), (1.0, "b3")],
)
def test_strength_goes_by_thirds_of_the_largest(value: float, classes: str) -> None:
    assert strength(value, 1.0) == classes


def test_a_prompt_without_fields_is_one_piece_of_text() -> None:
    pieces = marked({"id": "x", "prompt": "Decision:", "spans": []}, frozenset())
    assert [piece["text"] for piece in pieces] == ["Decision:"]
