"""The officers' pages: who may read them, what they say, and that it is what was recorded."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditor.canonical import sha256_bytes
from compliance.dashboard.cases import filter_of, find_cases
from compliance.dashboard.evidence import chart_from, open_evidence
from compliance.dashboard.home_page import Counted, matrix
from compliance.exceptions import EvidenceError
from compliance.execution.runner import audit_folder
from compliance.models import Audit, FindingRow, MeasurementRow
from reports.lint import forbidden_phrases
from tests.compliance.factories import make_audit
from tests.compliance.governed import open_finding
from tests.reports.conftest import PACKS

COUNTS = Path(__file__).parents[1] / "query_counts.json"
PAGES = {
    "home": "/",
    "first steps": "/first-steps/",
    "models": "/models/?tier=2",
    "model": "/models/{model}/",
    "audits": "/audits/",
    "findings": "/findings/?severity=high&age=30",
    "audit": "/audits/A-0001/",
    "section": "/audits/A-0001/sections/limitations/",
    "cases": "/audits/A-0001/cases/",
    "pairs": "/audits/A-0001/cases/?arm=race=White|race=Black&flipped=any",
    "case": "/audits/A-0001/cases/{case}/",
    "download": "/audits/A-0001/report.pdf",
}
OVER_ALL = ("home", "first steps", "models", "audits", "findings")


def address(name: str, audit: Audit) -> str:
    if name != "case":
        return PAGES[name].format(model=audit.model_id)
    evidence = open_evidence(audit)
    return PAGES[name].format(case=find_cases(evidence, filter_of("role:counterfactual")).rows[0]["id"])


def text_of(content: bytes) -> str:
    without = re.sub(r"<(title|desc|style)[^>]*>.*?</\1>", " ", content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without)).split())


@pytest.mark.parametrize("name", PAGES)
def test_nobody_reads_a_page_without_logging_in(client: Client, finished: Audit, name: str) -> None:
    answer = client.get(address(name, finished))
    assert (answer.status_code, urlsplit(answer["Location"]).path) == (302, "/login/")


@pytest.mark.parametrize("name", PAGES)
def test_without_permission_no_audit_is_there(client: Client, finished: Audit, name: str) -> None:
    client.force_login(User.objects.create_user("clerk"))
    assert client.get(address(name, finished)).status_code == (403 if name in OVER_ALL else 404)


@pytest.mark.parametrize("name", PAGES)
def test_officers_read_every_page_in_so_many_queries(signed_in: Client, finished: Audit, name: str) -> None:
    where = address(name, finished)
    with CaptureQueriesContext(connection) as queries:
        answer = signed_in.get(where)
    assert answer.status_code == 200
    assert b"".join(answer)
    answer.close()
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert {name: len(queries)} == {name: json.loads(COUNTS.read_text(encoding="utf-8"))[name]}


@pytest.mark.parametrize("name", [name for name in PAGES if name != "download"])
def test_pages_use_no_word_that_a_report_may_not(signed_in: Client, finished: Audit, name: str) -> None:
    text = text_of(signed_in.get(address(name, finished)).content)
    assert not [str(hit) for hit in forbidden_phrases(text, PACKS)]


def test_pages_are_read_only(signed_in: Client, finished: Audit) -> None:
    assert {signed_in.post(address(name, finished)).status_code for name in PAGES} == {405}


def test_more_audits_cost_no_more_queries(signed_in: Client, finished: Audit) -> None:
    make_audit(name="two")
    make_audit(name="three")
    with CaptureQueriesContext(connection) as queries:
        page = signed_in.get("/audits/").content.decode()
    assert len(queries) == json.loads(COUNTS.read_text(encoding="utf-8"))["audits"]
    assert page.index("A-0003") < page.index("A-0002") < page.index("A-0001")


def test_the_page_says_the_sentence_of_the_report(signed_in: Client, finished: Audit) -> None:
    import io

    from pypdf import PdfReader

    answer = signed_in.get("/audits/A-0001/")
    sentence = answer.context["verdict"].sentence
    assert sentence in text_of(answer.content)
    pages = PdfReader(io.BytesIO((audit_folder(finished) / "report.pdf").read_bytes())).pages
    assert sentence in " ".join(" ".join(page.extract_text() for page in pages).split())


def test_every_measurement_links_to_cases(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/audits/A-0001/numbers/every/").content.decode()
    rows = page.partition("<tbody>")[2].split("<tr>")[1:]
    assert len(rows) == MeasurementRow.objects.filter(audit=finished).count() > 20
    found = [re.findall(r'href="(/audits/A-0001/cases/[^"]*)"', row) for row in rows]
    assert {len(links) for links in found} == {1}
    links = {html.unescape(link) for (link,) in found}
    assert [link for link in sorted(links) if signed_in.get(link).status_code != 200] == []


def test_flips_listed_are_the_flips_counted(signed_in: Client, finished: Audit) -> None:
    rows = MeasurementRow.objects.filter(audit=finished, metric="cf_net_effect")
    assert sum(row.counts["b"] for row in rows) > 0
    for row in rows:
        arms = f"{row.subject['field']}={row.reference}|{row.subject['field']}={row.subject['group']}"
        for flipped, key in (("against", "b"), ("towards", "c")):
            found = signed_in.get("/audits/A-0001/cases/", {"arm": arms, "flipped": flipped}).context["found"]
            assert found.total == row.counts[key]


def test_cases_are_listed_in_pages(signed_in: Client, finished: Audit) -> None:
    first = signed_in.get("/audits/A-0001/cases/").context["found"]
    last = signed_in.get("/audits/A-0001/cases/", {"page": "999999"}).context["found"]
    assert (first.first, first.last, first.total) == (1, 25, finished.prompts)
    assert last.page == last.pages
    assert last.last == finished.prompts


@pytest.mark.parametrize("asked", ["page=x", "page=-1", "page=²", "arm=|", "role=", "outcome="])
def test_an_address_that_means_nothing_is_answered_calmly(signed_in: Client, finished: Audit, asked: str) -> None:
    assert signed_in.get(f"/audits/A-0001/cases/?{asked}").status_code == 200


def test_a_prompt_is_shown_as_text_with_the_changed_field_marked(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get(address("case", finished)).content.decode()
    assert "&lt;b&gt;&amp; more&lt;/b&gt;" in page
    assert page.count('changed" title="') == 2  # in both prompts
    assert page.count("As filed") == 1


@pytest.mark.parametrize("where", ["A-0002/", "A-00001/", "A-1/", "A-0001/cases/none/", "A-0001/manifest.json"])
def test_what_is_not_there_is_not_found(signed_in: Client, finished: Audit, where: str) -> None:
    assert signed_in.get(f"/audits/{where}").status_code == 404


@pytest.mark.parametrize("name", ["report.pdf", "annex.pdf", "result.json", "evidence.zip"])
def test_downloads_are_the_bytes_that_were_recorded(signed_in: Client, finished: Audit, name: str) -> None:
    answer = signed_in.get(f"/audits/A-0001/{name}")
    assert answer["Content-Disposition"] == f'attachment; filename="A-0001-{name}"'
    assert sha256_bytes(b"".join(answer)) == finished.files[name]
    answer.close()


def test_a_file_that_was_changed_is_not_handed_out(signed_in: Client, finished: Audit) -> None:
    (audit_folder(finished) / "result.json").write_text("{}")
    assert signed_in.get("/audits/A-0001/result.json").status_code == 404
    assert "not on this server as it was recorded" in text_of(signed_in.get("/audits/A-0001/").content)


def test_a_changed_chart_is_not_shown_and_the_page_says_so(signed_in: Client, finished: Audit) -> None:
    chart = audit_folder(finished) / "evidence" / "figures" / "effects.svg"
    chart.write_text(chart.read_text().replace("</svg>", "<script>1</script></svg>"))
    page = signed_in.get("/audits/A-0001/").content.decode()
    assert "figures/effects.svg: is not the file the manifest lists" in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    "inside",
    [
        "<script>1</script>",
        '<g onclick="1"/>',
        '<g style="fill:red"/>',
        '<a href="/"/>',
        '<path xmlns:x="http://www.w3.org/1999/xlink" x:href="#a"/>',
        "<foreignObject/>",
        "<!-- x -->",
        '<h:b xmlns:h="http://www.w3.org/1999/xhtml"/>',
        "<g>",
    ],
)
def test_a_figure_that_is_no_chart_of_ours_is_refused(inside: str) -> None:
    with pytest.raises(EvidenceError, match="expected a chart drawn by an audit"):
        chart_from("bad", f'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1">{inside}</svg>')


def test_an_unfinished_run_shows_no_result(signed_in: Client) -> None:
    make_audit()
    page = text_of(signed_in.get("/audits/A-0001/").content)
    assert "0 of 6 prompts scored" in page
    assert "Results stay hidden" in page
    assert signed_in.get("/audits/A-0001/cases/").status_code == 404


def test_counts_of_findings_lead_to_as_many_findings(signed_in: Client, finished: Audit) -> None:
    open_finding()
    rows = signed_in.get("/").context["matrix"]
    assert sum(cell["count"] for row in rows for cell in row["cells"]) == 2  # one cell, and the row's total
    for row in rows:
        for cell in row["cells"]:
            assert signed_in.get(cell["link"]).context["listed"].paginator.count == cell["count"]


def test_findings_of_an_ungoverned_run_are_drafts_on_its_page_alone(signed_in: Client, finished: Audit) -> None:
    assert FindingRow.objects.filter(audit=finished).exists()
    assert "Drafts An ungoverned run opens no finding" in text_of(signed_in.get("/audits/A-0001/").content)
    assert signed_in.get("/").context["found"] == 0
    assert signed_in.get("/findings/").context["lines"] == []


@pytest.mark.parametrize(("days", "column"), [(0, 0), (30, 0), (31, 1), (90, 1), (91, 2), (180, 2), (181, 3), (999, 3)])
def test_findings_age_from_column_to_column(days: int, column: int) -> None:
    now = timezone.now()
    high = matrix([Counted("high", now - timedelta(days=days, hours=1), late=False)], now=now)[1]
    assert [cell["count"] for cell in high["cells"][:4]] == [int(index == column) for index in range(4)]
    assert high["cells"][4]["count"] == 1


def test_people_log_in_and_log_out_by_form(client: Client, officer: User) -> None:
    answer = client.post("/login/", {"login": "officer", "password": "a long password"})
    assert answer["Location"] == "/"
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302
