"""A decision service is asked step by step, each step once, and its answer read by paths as strictly as any text."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.exceptions import ModelError
from auditor.readouts.choice import Choice
from auditor.readouts.reading import ReadAs
from auditor.systems.abilities import Readout
from auditor.systems.exceptions import CannotAsk, Paused, Rejected
from auditor.systems.listing import FILE
from auditor.systems.request_store import RequestStore
from auditor.systems.service import Service, ServiceAnswer, ServiceRequest
from auditor.systems.service_listing import ListedService, read_service
from auditor.systems.service_paths import parse_path
from auditor.systems.service_templates import fill, fill_path, names
from tests.systems.deciding import Answer, Deciding, deciding
from tests.systems.listed import new_store

TABLE = """
[service.bank]
url = "{url}"
seconds = 5.0
longest_wait = 5.0
tries = 3

[[service.bank.steps]]
path = "/applications"
body = {{applicant = {{income = "{{income}}", note = "income of {{income}} {{{{euro}}}}"}}, purpose = "{{purpose}}"}}
take = {{id = "$.application.id"}}

[[service.bank.steps]]
method = "GET"
path = "/applications/{{id}}"
until = {{path = "$.status", is = ["DONE"]}}
every = 0.01
at_most = 5
failed_if = {{path = "$.status", is = ["ERROR"]}}
refused_if = {{path = "$.status", is = ["REJECTED_BY_GUARD"]}}

[service.bank.read]
choice = "$.decision"
favourable = ["APPROVED"]
adverse = ["DECLINED"]
refused = ["NOT_OFFERED"]
amount = "$.limit"
unit = "EUR"
reasons = "$.reasons"
codes = {{R01 = "income too low"}}
"""
DEEP = b"[" * 900 + b"]" * 900
EXAMPLE = {"income": 4000, "purpose": "car"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    with new_store(tmp_path) as opened:
        yield opened


def listed(folder: Path, url: str, text: str = TABLE) -> ListedService:
    (folder / FILE).write_text(text.format(url=url))
    return read_service(folder / FILE, "bank")


def bank(folder: Path, server: Deciding, store: RequestStore, *, patient: bool = True) -> Service:
    made = Service("bank", listed(folder, server.url), store=store, example=EXAMPLE)
    if not patient:
        made._asker._wait = lambda _: None
    return made


def decided(folder: Path, store: RequestStore, answer: Answer, *, method: str = "GET") -> ServiceAnswer:
    """What is made of one application where the service always answers this to requests of one kind."""
    serving = deciding(trouble=lambda asked, *_: answer if asked == method else None)
    with serving as server, bank(folder, server, store, patient=False) as system:
        return system.ask([application(4000)])[0]


def application(income: int, purpose: str = "car", **more: Any) -> ServiceRequest:
    return ServiceRequest(fields={"income": income, "purpose": purpose}, **more)


def test_applications_are_handed_in_once_and_polled_until_they_are_decided(tmp_path: Path, store: RequestStore) -> None:
    with deciding() as server, bank(tmp_path, server, store) as system:
        found = system.ask([application(4000), application(2000), application(2500, "boat")])
        again = system.ask([application(4000), application(2000), application(2500, "boat")])
        assert found == again
        assert sorted(server.counts.values()) == [1, 1, 1, 3, 3, 3]
        handed_in = sorted(server.applications.values(), key=lambda body: -body["applicant"]["income"])
    assert handed_in[0] == {"applicant": {"income": 4000, "note": "income of 4000 {euro}"}, "purpose": "car"}
    choices = [(answer.choice.read, answer.choice.value) for answer in found if answer.choice]
    assert choices == [(ReadAs.VALUE, Choice.FAVOURABLE), (ReadAs.VALUE, Choice.ADVERSE), (ReadAs.REFUSED, None)]
    amounts = [answer.amount.value for answer in found if answer.amount]
    assert amounts == [Decimal(16000), Decimal(0), None]
    assert [answer.reasons.value for answer in found if answer.reasons] == [(), ("R01",), None]
    assert store.failures() == {"not ready yet": 6}


def test_replicates_are_applications_of_their_own(tmp_path: Path, store: RequestStore) -> None:
    with deciding() as server, bank(tmp_path, server, store) as system:
        system.ask([application(4000, replicate=index) for index in range(3)])
        assert len(server.applications) == 3


def test_what_was_handed_in_before_a_stop_is_not_handed_in_again(tmp_path: Path, store: RequestStore) -> None:
    def down(method: str, _path: str, _times: int) -> Answer | None:
        return (500, {}) if method == "GET" else None

    requests = [application(income) for income in range(2000, 5000, 500)]
    with deciding(trouble=down) as server:
        with bank(tmp_path, server, store) as system:
            system._asker._wait = lambda _: None
            with pytest.raises(Paused, match=r"^service:bank: paused, since one request was tried 3 times"):
                system.ask(requests)
        server.trouble = lambda *_: None
        with bank(tmp_path, server, store) as system:
            assert len(system.ask(requests)) == 6
        assert len(server.applications) == 6


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ((200, {"status": "ERROR"}), r"the service says it failed \(\$.status\)"),
        ((200, {"status": "PENDING"}), "not ready after 5 questions"),
        ((503, {"detail": "later"}), "503 Service Unavailable"),
        ((200, ["DONE"]), "JSON, but not an object"),
    ],
)
def test_a_service_that_fails_by_its_answer_is_named(
    tmp_path: Path, store: RequestStore, answer: Answer, trouble: str
) -> None:
    with pytest.raises(Paused, match=trouble):
        decided(tmp_path, store, answer)


def test_an_answer_without_what_is_to_be_taken_is_a_failure(tmp_path: Path, store: RequestStore) -> None:
    with pytest.raises(Paused, match=r"nothing to take at \$.application.id"):
        decided(tmp_path, store, (201, {"application": {}}), method="POST")


def test_a_guard_that_refuses_is_an_outcome(tmp_path: Path, store: RequestStore) -> None:
    guard = (200, {"status": "REJECTED_BY_GUARD", "decision": "APPROVED", "limit": 5})
    answer = decided(tmp_path, store, guard)
    for reading in (answer.choice, answer.amount, answer.reasons):
        assert reading is not None
        assert reading.read is ReadAs.REFUSED


@pytest.mark.parametrize("odd", ["APPROVED or DECLINED", "NOT APPROVED", "", None, ["APPROVED"], {"x": "APPROVED"}, 1])
def test_a_decision_in_other_words_is_unreadable(tmp_path: Path, store: RequestStore, odd: Any) -> None:
    content = (200, {"status": "DONE", "decision": odd, "limit": "4,000", "reasons": ["R77"]})
    answer = decided(tmp_path, store, content)
    for reading in (answer.choice, answer.amount, answer.reasons):
        assert reading is not None
        assert reading.read is ReadAs.UNREADABLE
        assert reading.reason


def test_abilities_are_measured_with_the_example(tmp_path: Path, store: RequestStore) -> None:
    with deciding() as server, bank(tmp_path, server, store) as system:
        found = system.probe()
        assert len(server.applications) == 5
    assert found.readouts == {Readout.CHOICE, Readout.AMOUNT, Readout.REASONS}
    assert found.deterministic is True
    assert found.lacking["log_odds"]


def test_a_field_the_applications_lack_is_one_line(tmp_path: Path, store: RequestStore) -> None:
    listed(tmp_path, "http://127.0.0.1:9/api")
    with pytest.raises(ModelError, match=r"asks for \{purpose\}, which is not a field; expected income"):
        read_service(tmp_path / FILE, "bank", fields=frozenset({"income"}))
    with deciding() as server, bank(tmp_path, server, store) as system, pytest.raises(CannotAsk, match="'purpose'"):
        system.ask([ServiceRequest(fields={"income": 1})])


@pytest.mark.parametrize("value", [".", ".."])
def test_a_value_that_would_take_a_step_away_is_one_line(tmp_path: Path, store: RequestStore, value: str) -> None:
    text = TABLE.replace('path = "/applications"', 'path = "/applications/{{purpose}}"')
    with deciding() as server:
        service = Service("bank", listed(tmp_path, server.url, text), store=store, example=EXAMPLE)
        with service, pytest.raises(CannotAsk, match="is not a path to one place"):
            service.ask([application(5_000, value)])
        assert not server.counts


@pytest.mark.parametrize(
    ("old", "new", "trouble"),
    [
        ('choice = "$.decision"', 'choice = "decision"', "read.choice: expected a path such as"),
        ('choice = "$.decision"', 'choice = "$..decision"', "read.choice: expected a path such as"),
        ('choice = "$.decision"', "", "a list"),
        ('adverse = ["DECLINED"]', 'adverse = ["approved"]', "read: expected labels that differ"),
        ('unit = "EUR"', "", "read: expected the unit of the amount"),
        ('path = "/applications"', 'path = "https://elsewhere"', "steps.0.path: expected a path that begins with /"),
        ('purpose = "{{purpose}}"', 'purpose = "{{purpose"', "steps.0: expected {name} or a doubled brace"),
        ('method = "GET"', 'method = "DELETE"', "steps.1.method: Input should be"),
        ('method = "GET"', 'method = "GET"\nbody = {{}}', "steps.1: expected no body of a GET"),
        ("every = 0.01", "often = 3", "steps.1.often: Extra inputs"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_key(tmp_path: Path, old: str, new: str, trouble: str) -> None:
    assert old in TABLE
    if trouble == "a list":  # a choice that is not read needs no labels: an amount alone is enough
        assert listed(tmp_path, "http://127.0.0.1:9", TABLE.replace(old, new)).read.choice is None
        return
    with pytest.raises(ModelError) as caught:
        listed(tmp_path, "http://127.0.0.1:9", TABLE.replace(old, new, 1))
    assert str(caught.value).startswith(f"{FILE}: service.bank")
    assert trouble in str(caught.value)
    assert "\n" not in str(caught.value)


@given(value=st.text() | st.sampled_from([".", ".."]))
def test_a_value_in_a_path_adds_no_step_query_or_host(value: str) -> None:
    if value in (".", ".."):
        with pytest.raises(ValueError, match="not a path to one place"):
            fill_path("/applications/{id}/x", {"id": value})
        return
    filled = fill_path("/applications/{id}/x", {"id": value})
    assert filled.count("/") == 3
    assert not set(filled) & set("?#\\@: \n")


@given(value=st.text() | st.integers() | st.booleans() | st.none())
def test_a_value_in_a_body_is_data_and_keeps_its_kind(value: Any) -> None:
    template = {"a": "{x}", "b": ["x: {x}", 3, {"c": "{x}"}], "d": "{{x}}"}
    assert set(names(template)) == {"x"}
    filled = fill(template, {"x": value})
    assert filled["a"] == value == filled["b"][2]["c"]
    assert type(filled["a"]) is type(value)
    assert (filled["d"], filled["b"][1]) == ("{x}", 3)


def test_a_path_finds_one_place_or_nothing() -> None:
    value = {"a": [{"b c": 1}, 2]}
    assert parse_path("$.a[0]['b c']").find(value) == 1
    assert parse_path("$").find(value) == value
    for text in ("$.a[7]", "$.a.b", "$.x", "$.a[0].b[1]"):
        assert parse_path(text).find(value) is None
    for text in ("a", "$a", "$.", "$[*]", "$.a[-1]", "$..b", "$.a b"):
        with pytest.raises(ValueError, match="expected a path such as"):
            parse_path(text)


@pytest.mark.parametrize(
    ("answer", "method", "trouble"),
    [
        ((201, {"application": {"id": ""}}), "POST", r"nothing to take at \$.application.id"),
        ((201, {"application": {"id": " "}}), "POST", r"nothing to take at \$.application.id"),
        ((201, {"application": {"id": ["a/1"]}}), "POST", r"nothing to take at \$.application.id"),
        ((201, {"application": [{"id": "a/1"}]}), "POST", r"nothing to take at \$.application.id"),
        (
            (200, b'{"status": "DONE", "x": ' + b"[" * 900 + b"]" * 900 + b', "error": "deep"}'),
            "GET",
            "no decision: deep",
        ),
        (
            (200, {"status": "DONE", "error": {"message": "no rules loaded"}}),
            "GET",
            "an error and no decision: no rules",
        ),
        (
            (200, b'{"status": "DONE", "decision": "APPROVED", "decision": "DECLINED"}'),
            "GET",
            "decision stands twice",
        ),
        (
            (200, b'{"status": "DONE", "x": [{"y": 1, "y": 2}], "decision": "APPROVED"}'),
            "GET",
            r"x\[0\].y stands twice",
        ),
    ],
)
def test_what_is_no_answer_of_the_service_is_named_and_concludes_nothing(
    tmp_path: Path, store: RequestStore, answer: Answer, method: str, trouble: str
) -> None:
    with pytest.raises(Paused, match=trouble):
        decided(tmp_path, store, answer, method=method)
    assert store.totals().answers == (1 if method == "GET" else 0)


def test_a_service_that_says_both_that_it_refused_and_that_it_failed_says_neither(
    tmp_path: Path, store: RequestStore
) -> None:
    table = TABLE.replace('failed_if = {{path = "$.status", is = ["ERROR"]}}', 'failed_if = {{path = "$.down"}}')
    both = (200, {"status": "REJECTED_BY_GUARD", "down": True})
    with deciding(trouble=lambda method, *_: both if method == "GET" else None) as server:
        system = Service("bank", listed(tmp_path, server.url, table), store=store, example=EXAMPLE)
        system._asker._wait = lambda _: None
        with system, pytest.raises(Paused, match="both that it refused and that it failed"):
            system.ask([application(4000)])


def test_two_applications_that_are_given_one_place_to_wait_at_are_not_given_one_decision(
    tmp_path: Path, store: RequestStore
) -> None:
    same = (201, {"application": {"id": "a/1"}})
    with deciding(trouble=lambda method, *_: same if method == "POST" else None) as server:
        server.applications["a/1"] = {"applicant": {"income": 4000}, "purpose": "car"}
        with bank(tmp_path, server, store) as system:
            assert system.ask([application(4000)])[0].choice
            assert system.ask([application(4000)])[0].choice  # the same application is the same
            with pytest.raises(Rejected, match=r"gave two applications one place to ask at \(step 2\)"):
                system.ask([application(2000)])
            with pytest.raises(Rejected, match="one place to ask at"):
                system.ask([application(2500), application(2600)])
    assert len([key for key in server.counts if key.startswith("GET")]) == 1


def test_identical_applications_may_wait_at_one_place(tmp_path: Path, store: RequestStore) -> None:
    with deciding() as server, bank(tmp_path, server, store) as system:
        first, second = system.ask([application(4000), application(4000)])
        assert first == second
        assert len(server.applications) == 1
