"""Every table of a page is there as CSV, XLSX and JSON, with all its rows, for whoever may read the page."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import openpyxl
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import given
from hypothesis import strategies as st

from compliance.dashboard.cases import filter_of, find_cases
from compliance.dashboard.evidence import open_evidence
from compliance.models import Audit, Event, MeasurementRow, default_team
from compliance.tables.described import Column, Table
from compliance.tables.files import csv_lines, guarded, json_lines, xlsx_parts
from reports import sections
from tests.compliance.factories import make_audit
from tests.compliance.teams import WORKING, make_person, rows_of

PAIRS = "/audits/A-0001/cases/?arm=race=White|race=Black"


@dataclass
class Found(HTMLParser):
    """The tables of a page with how many rows each has, and the addresses of files that follow it."""

    tables: list[tuple[int, list[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.inside, self.lists_registers = False, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "div":
            # The administration's ways to its registers are set as a table.
            self.lists_registers = (given.get("class") or "").startswith("app-")
        elif tag == "table" and not self.lists_registers:
            self.tables.append((0, []))
        elif tag == "tbody":
            self.inside = not self.lists_registers
        elif tag == "tr" and self.inside:
            rows, files = self.tables[-1]
            self.tables[-1] = (rows + 1, files)
        elif tag == "a" and "as=" in (given.get("href") or ""):
            self.tables[-1][1].append(unescape(given["href"] or ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "tbody"


def content_of(answer: Any) -> bytes:
    return b"".join(answer) if answer.streaming else answer.content


def rows_in(client: Client, address: str) -> list[dict[str, Any]]:
    """The rows of a file, whichever it is; texts but in JSON."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    content, (kind,) = content_of(answer), parse_qs(urlsplit(address).query)["as"]
    assert f".{kind}" in answer["Content-Disposition"]
    if kind == "json":
        rows: list[dict[str, Any]] = json.loads(content)["rows"]
        return rows
    if kind == "csv":
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    book = openpyxl.load_workbook(io.BytesIO(content))
    head, *lines = book.worksheets[0].iter_rows(values_only=True)
    return [dict(zip(map(str, head), line, strict=True)) for line in lines]


def without_a_file(client: Client, address: str) -> list[str]:
    """What is wrong with the tables of a page: one that has no files, or files that do not hold its rows."""
    answer = client.get(address)
    page = Found()
    page.feed(content_of(answer).decode())
    wrong = []
    for number, (rows, files) in enumerate(page.tables, start=1):
        if sorted(parse_qs(urlsplit(at).query)["as"][0] for at in files) != ["csv", "json", "xlsx"]:
            wrong.append(f"{address}: table {number}: has files {files}")
            continue
        counts = {len(rows_in(client, at)) for at in files}
        if len(counts) != 1 or min(counts) < rows:
            wrong.append(f"{address}: table {number}: {rows} rows on the page, {counts} in its files")
    return wrong


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from addresses(pattern, route)


def filled(route: str, rows: dict[str, Any]) -> list[str]:
    """The address of a row of every kind that a route may mean."""
    kinds = [name for name in rows if f"/{name}/" in route] or [
        name for name in rows if name in ("languagemodelversion", "systemlisting", "plandraft", "planversion")
    ]
    given = {
        "audit:number": rows["audit"].number,
        "uuid:public_id": rows["registration"].public_id,
        "str:name": "every",
    }
    found = []
    for name in kinds:
        at = re.sub(r"<[a-z]+:(pk|number|object_id|other)>", str(rows[name].pk), _with(route, given))
        found.append(f"/{at}")
    return sorted(set(found))


def _with(route: str, given: dict[str, Any]) -> str:
    for name, value in given.items():
        route = route.replace(f"<{name}>", str(value))
    return route


def is_page(client: Client, at: str) -> bool:
    if re.search(r"[<^(]", at):
        return False
    answer = client.get(at)
    return answer.status_code == 200 and answer["Content-Type"].startswith("text/html")


@pytest.fixture
def everything(client: Client, db: None) -> tuple[Client, dict[str, Any]]:
    rows = rows_of(default_team(), name="own")
    client.force_login(make_person("officer", default_team(), WORKING, is_staff=True))
    return client, rows


def test_no_page_has_a_table_without_its_files(everything: tuple[Client, dict[str, Any]]) -> None:
    client, rows = everything
    pages = [at for route in addresses(get_resolver()) for at in filled(route, rows) if is_page(client, at)]
    assert len(pages) > 80
    # Tables of a document are its text.
    pages = [at for at in pages if not at.startswith("/help/")]
    assert [wrong for at in pages for wrong in without_a_file(client, at)] == []


def test_no_page_of_a_finished_audit_has_a_table_without_its_files(signed_in: Client, finished: Audit) -> None:
    evidence = open_evidence(finished)
    case = find_cases(evidence, filter_of("role:counterfactual")).rows[0]["id"]
    numbers = Found()
    numbers.feed(signed_in.get("/audits/A-0001/").content.decode())
    assert len(numbers.tables) > 10
    at = [
        "/audits/A-0001/",
        "/audits/A-0001/numbers/every/",
        "/audits/A-0001/cases/",
        PAIRS,
        f"/audits/A-0001/cases/{case}/",
        *(f"/audits/A-0001/sections/{kind.id}/" for kind in sections.sections_in(sections.OPENED)),
    ]
    assert [wrong for one in at for wrong in without_a_file(signed_in, one)] == []


def test_a_file_holds_all_rows_that_the_filters_let_through_and_no_other(signed_in: Client, finished: Audit) -> None:
    evidence = open_evidence(finished)
    found = find_cases(evidence, filter_of("arm:race=White|race=Black;flipped:against"))
    assert found.total > 0
    rows = rows_in(signed_in, f"{PAIRS}&flipped=against&page=7&table=pairs&as=json")
    assert len(rows) == found.total
    assert {row["flip"] for row in rows} == {"against"}
    assert len(rows_in(signed_in, "/audits/A-0001/cases/?as=json")) == find_cases(evidence, filter_of("")).total > 25


def test_a_long_list_is_in_its_file_beyond_the_page(signed_in: Client, db: None) -> None:
    for number in range(28):
        make_audit(name=f"audit {number}")
    rows = rows_in(signed_in, "/audits/?page=2&as=json")
    assert [row["audit"] for row in rows] == [f"A-{number:04d}" for number in range(28, 0, -1)]


def test_measurements_are_in_files_as_the_result_has_them(signed_in: Client, finished: Audit) -> None:
    rows = rows_in(signed_in, "/audits/A-0001/numbers/every/?as=json")
    kept = {row.key: row for row in MeasurementRow.objects.filter(audit=finished)}
    assert {row["id"] for row in rows} == set(kept)
    for row in rows:
        assert (row["estimate"], row["low"], row["n"]) == (
            kept[row["id"]].estimate, kept[row["id"]].low, kept[row["id"]].n,
        )  # fmt: skip


def test_the_three_kinds_hold_the_same(signed_in: Client, finished: Audit) -> None:
    at = "/audits/A-0001/numbers/every/?as="
    as_json = rows_in(signed_in, f"{at}json")
    as_csv, as_xlsx = (rows_in(signed_in, f"{at}{kind}") for kind in ("csv", "xlsx"))
    assert [row["estimate"] for row in as_json] == [
        float(row["estimate"]) if row["estimate"] else None for row in as_csv
    ]
    assert [row["estimate"] for row in as_json] == pytest.approx([row["estimate"] for row in as_xlsx], rel=1e-12)
    assert list(as_json[0]) == list(as_csv[0]) == list(as_xlsx[0])


def test_whoever_may_not_read_the_page_has_no_file_of_it(client: Client, finished: Audit) -> None:
    for at, code in (("/audits/?as=csv", 403), ("/audits/A-0001/cases/?as=csv", 404), ("/systems/?as=csv", 403)):
        client.logout()
        assert client.get(at).status_code == 302
        client.force_login(User.objects.get_or_create(username="clerk")[0])
        assert client.get(at).status_code == code
    client.force_login(make_person("staff", is_staff=True))
    assert client.get("/admin/compliance/event/?as=csv").status_code == 403


def test_a_file_of_cases_is_an_event_as_reading_them_is(signed_in: Client, finished: Audit) -> None:
    signed_in.get("/audits/A-0001/cases/?outcome=adverse&as=csv")
    event = Event.objects.filter(action="evidence.viewed").first()
    assert event is not None
    assert json.loads(event.payload.data_json)["what"] == "cases/?outcome=adverse&as=csv"


@pytest.mark.parametrize(
    ("at", "line"),
    [
        ("/audits/?as=pdf", "as: 'pdf' is unknown; expected one of: csv, xlsx, json"),
        ("/audits/?as=csv&table=model", "table: 'model' is unknown; expected one of: audits"),
        ("/?as=csv", "table: '' is unknown; expected one of: tasks"),
    ],
)
def test_a_file_that_is_not_there_is_refused_in_one_line(signed_in: Client, db: None, at: str, line: str) -> None:
    answer = signed_in.get(at)
    assert answer.status_code == 404
    assert line in unescape(answer.content.decode())


def test_lists_of_the_administration_keep_their_search(everything: tuple[Client, dict[str, Any]]) -> None:
    client, rows = everything
    team = rows["team"]
    found = rows_in(client, "/admin/compliance/event/?q=lister+own&as=json")
    assert found
    assert {row["actor"] for row in found} == {"lister own"}
    assert len(found) == Event.objects.filter(team=team, actor="lister own").count()
    every = rows_in(client, "/admin/compliance/event/?as=json")
    assert len(every) == client.get("/admin/compliance/event/").context["cl"].result_count > len(found)


DANGEROUS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠A1",
    " =1",
    "\u200b=1",
    "'=1",
    "﹢1",
]


def table_with(*texts: str) -> Table:
    return Table(
        name="texts", title="Texts", rows=texts, columns=(Column("text", "Text", lambda text: text),
        Column("=head", "Head", lambda text: -1.5)),
    )  # fmt: skip


@pytest.mark.parametrize("text", DANGEROUS)
def test_what_a_spreadsheet_would_compute_is_a_text(text: str) -> None:
    table = table_with(text)
    (_, line) = csv.reader(io.StringIO(b"".join(csv_lines(table)).decode("utf-8-sig"), newline=""))
    assert line == [f"'{text}", "-1.5"]
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(xlsx_parts(table)))).worksheets[0]
    assert (sheet["A2"].data_type, sheet["B2"].value, sheet["B1"].value) == ("s", -1.5, "'=head")
    assert str(sheet["A2"].value).startswith("'")
    assert json.loads(b"".join(json_lines(table)))["rows"] == [{"text": text, "=head": -1.5}]


@given(st.text())
def test_a_guarded_text_begins_with_no_sign_of_a_formula(text: str) -> None:
    said = guarded(text)
    assert said in (text, f"'{text}")
    assert not said.lstrip().startswith(tuple("=+-@＝＋－＠"))
    assert said[:1] not in "\t\r\n" or not said


@pytest.mark.parametrize("text", ["", "−2.9 pp", "a=b", "Black", "2026-11-29", "3 - 4", "é@x"])
def test_other_texts_stand_as_they_are(text: str) -> None:
    assert guarded(text) == text


def test_a_long_table_is_written_while_it_is_read() -> None:
    taken = 0

    def rows() -> Iterator[int]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield number

    table = Table(
        name="n", title="n", rows=(), every=rows, columns=(Column("n", "n", lambda row: row),)
    )  # fmt: skip
    for write in (csv_lines, json_lines):
        taken = 0
        parts = write(table)
        for _ in range(3):
            next(parts)
        assert 0 < taken < 2_000
        parts.close()  # type: ignore[attr-defined]


def test_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two columns share a name"):
        Table(name="t", title="t", rows=(), columns=(Column("a", "A", str), Column("a", "B", str)))
