"""Each fault of a server is named, waited for or given up; whatever ends the asking, what was answered is kept."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.exceptions import Interrupted
from auditor.systems.asking import Finish, Request
from auditor.systems.breaker import Breaker, Fuse
from auditor.systems.exceptions import CapReached, Paused, Rejected
from auditor.systems.request_store import RequestStore
from auditor.systems.retries import Backoff, retry_after
from tests.systems.answering import answering, wait_until
from tests.systems.faults import Asked, Fault, always, first
from tests.systems.listed import endpoint, new_store
from tests.systems.wires import MODEL

PRICES = {"currency": "USD", "prompt": 1.0, "answer": 10.0, "request": 0.001}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    with new_store(tmp_path) as opened:
        yield opened


def questions(count: int) -> list[Request]:
    return [Request(prompt=f"Application {number}\nDecision:") for number in range(count)]


WIRES = [
    (Fault(wire="status", code=429), "429 Too Many Requests"),
    (Fault(wire="status", code=429, headers={"Retry-After": "1"}), "429 Too Many Requests"),
    (Fault(wire="status", code=503, headers={"Retry-After": "1"}), "503 Service Unavailable"),
    (Fault(wire="status", code=408), "408 Request Timeout"),
    (Fault(wire="status", code=409), "409 Conflict"),
    (Fault(wire="status", code=500), "500 Internal Server Error"),
    (Fault(wire="status", code=502, content=b"<html>Bad gateway</html>"), "502 Bad Gateway"),
    (Fault(wire="status", code=503), "503 Service Unavailable"),
    (Fault(wire="status", code=504), "504 Gateway Timeout"),
    (Fault(wire="status", code=529), "529"),
    (Fault(wire="reset"), "the connection broke|the answer broke off"),
    (Fault(wire="half"), "the answer broke off or is not valid HTTP"),
    (Fault(wire="long length"), "the answer broke off or is not valid HTTP"),
    (Fault(wire="short length"), "the answer is not valid JSON"),
    (Fault(wire="wrong json"), "the answer is not valid JSON"),
    (Fault(wire="status", code=200, content={"choices": []}), r"choices\[0\] is missing"),
    (Fault(wire="status", code=200, content=b"<html>Please log in</html>"), "the answer is not valid JSON"),
    (Fault(wire="status", code=200, content=[]), "JSON, but not an object"),
]


@pytest.mark.parametrize(("fault", "note"), WIRES, ids=lambda value: value.wire if isinstance(value, Fault) else "")
def test_a_passing_fault_is_named_and_the_request_sent_again(store: RequestStore, fault: Fault, note: str) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(min(seconds, 0.02))

    with answering(faults=first(2, fault)) as server, endpoint(server.url, store, waits=wait) as system:
        [answer] = system.ask(questions(1))
        assert (answer.model, answer.finish) == (MODEL, Finish.STOP)
        assert len(server.asked) == 3
    [(said, times)] = store.failures().items()
    assert times == 2
    assert re.search(note, said)
    totals = store.totals()
    assert (totals.requests, totals.answers, totals.unended) == (3, 1, 0)
    asked_for = fault.headers.get("Retry-After")
    assert len(waits) >= 2
    if asked_for:
        assert max(waits) == 1.0


def test_a_server_that_hangs_and_one_that_drips_are_given_up_in_time(store: RequestStore) -> None:
    wires = ("drip", "dripping headers", "continue")
    for fault in (Fault(wire="hang"), *(Fault(wire=wire, seconds=0.05) for wire in wires)):
        with answering(faults=first(1, fault)) as server:
            system = endpoint(server.url, store, seconds=0.4, waits=lambda _: None, model=fault.wire)
            started = time.monotonic()
            with system:
                assert system.ask(questions(1))[0].model == MODEL
            assert time.monotonic() - started < 15
    assert store.failures() == {"no whole answer within 0.4 s": 4}


def test_nobody_at_the_address_pauses_the_audit_in_one_line(store: RequestStore) -> None:
    nobody = endpoint("http://127.0.0.1:9/v1", store, waits=lambda _: None, tries=3)
    with nobody as system, pytest.raises(Paused) as caught:
        system.ask(questions(1))
    assert re.fullmatch(
        r"endpoint:x: paused, since one request was tried 3 times, the last time nobody can be reached \(.*\); "
        "what was answered is kept",
        str(caught.value),
    )


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_a_refusal_to_be_asked_stops_at_once_with_the_servers_own_sentence(store: RequestStore, code: int) -> None:
    content = {"error": {"message": "the model\n`underwriter` does not exist", "code": "x"}}
    with answering(faults=always(Fault(wire="status", code=code, content=content))) as server:
        with endpoint(server.url, store, concurrency=1) as system, pytest.raises(Rejected) as caught:
            system.ask(questions(5))
        assert len(server.asked) == 1
    assert re.fullmatch(
        rf"endpoint:x: answers {code} [A-Z][\w ]+: the model `underwriter` does not exist", str(caught.value)
    )


def test_a_redirect_stops_and_leads_nowhere(store: RequestStore) -> None:
    with answering(faults=always(Fault(wire="status", code=302, headers={"Location": "/v1/elsewhere"}))) as server:
        with endpoint(server.url, store) as system, pytest.raises(Rejected, match="redirects are not followed"):
            system.ask(questions(1))
        assert {asked.path for asked in server.asked} == {"/v1/chat/completions"}


def test_an_answer_larger_than_any_is_not_read(store: RequestStore) -> None:
    with answering(faults=always(Fault(wire="large", seconds=9 << 20))) as server:
        with endpoint(server.url, store) as system, pytest.raises(Rejected, match="larger than 8388608 bytes"):
            system.ask(questions(1))
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"code": "content_filter", "message": "filtered"},
        {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
    ],
)
def test_a_content_filter_told_as_an_error_is_a_refused_answer_and_kept(
    store: RequestStore, error: dict[str, object]
) -> None:
    with answering(faults=always(Fault(wire="status", code=400, content={"error": error}))) as server:
        with endpoint(server.url, store) as system:
            assert [answer.finish for answer in system.ask(questions(2))] == [Finish.FILTERED] * 2
            assert [answer.finish for answer in system.ask(questions(2))] == [Finish.FILTERED] * 2
        assert len(server.asked) == 2


def test_no_more_requests_are_under_way_than_allowed_and_all_that_are_allowed(store: RequestStore) -> None:
    with answering(pause=0.05) as server, endpoint(server.url, store, concurrency=4) as system:
        system.ask(questions(16))
        assert server.busiest == 4


def test_requests_a_second_are_bounded(store: RequestStore) -> None:
    with answering() as server, endpoint(server.url, store, requests_a_second=40.0) as system:
        started = time.monotonic()
        system.ask(questions(13))
        assert time.monotonic() - started >= 11 / 40


def test_one_question_asked_twice_is_sent_once_and_replicates_are_not_one(store: RequestStore) -> None:
    with answering() as server, endpoint(server.url, store) as system:
        one, same, other = (Request(prompt="p"), Request(prompt="p"), Request(prompt="p", replicate=1))
        found = system.ask([one, same, other, Request(prompt="p", occasion="probe")])
        assert [answer.text for answer in found] == [found[0].text] * 4
        assert len(server.asked) == 3
        assert system.ask([other, one]) == [found[2], found[0]]
        assert len(server.asked) == 3


def test_a_server_that_asks_for_an_hour_pauses_the_audit(store: RequestStore) -> None:
    late = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    for value in ("3600", late):
        with answering(faults=always(Fault(wire="status", code=429, headers={"Retry-After": value}))) as server:
            with endpoint(server.url, store, concurrency=1) as system, pytest.raises(Paused) as caught:
                system.ask(questions(3))
            assert len(server.asked) == 1
        assert re.search(r"paused, since it asks to be left alone for 3[56]\d\d s \(429", str(caught.value))


def test_a_server_that_wants_to_be_left_alone_is_by_all_threads(store: RequestStore) -> None:
    times: list[float] = []

    def busy(asked: Asked) -> Fault | None:
        times.append(time.monotonic())
        if asked.number == 0:
            return Fault(wire="status", code=429, headers={"Retry-After": "2"})
        if asked.number == 1:  # its thread is free again when the other has long been told to wait
            time.sleep(1.0)
        return None

    with answering(faults=busy) as server, endpoint(server.url, store, concurrency=2) as system:
        system.ask(questions(4))
    assert times[2] - times[0] >= 2.0
    assert len(times) == 5


def test_an_account_without_money_is_told_in_the_servers_own_sentence(store: RequestStore) -> None:
    wire = Fault(wire="status", code=429, content={"error": {"message": "You exceeded your current quota."}})
    serving = answering(faults=always(wire))
    said = r"tried 6 times, the last time 429 .*: You exceeded your current quota."
    with (
        serving as server,
        endpoint(server.url, store, waits=lambda _: None) as system,
        pytest.raises(Paused, match=said),
    ):
        system.ask(questions(1))
    assert store.failures() == {"429 Too Many Requests": 6}


def test_a_cap_on_requests_stops_with_everything_kept(store: RequestStore) -> None:
    with answering() as server, endpoint(server.url, store, most_requests=5) as system:
        with pytest.raises(CapReached, match="the 5 requests that were allowed have gone out; what was answered is"):
            system.ask(questions(9))
        assert len(server.asked) == 5
    totals = store.totals()
    assert (totals.requests, totals.answers) == (5, 5)


def test_a_cap_on_money_is_never_crossed_and_counts_what_answers_cost(store: RequestStore) -> None:
    with answering() as server:
        with endpoint(server.url, store, prices=PRICES, most_money=0.02, concurrency=4) as system:
            with pytest.raises(CapReached, match="could cost more than what is left of the money"):
                system.ask(questions(60))
            kept = store.totals()
            assert 0 < kept.money <= 20_000
            assert kept.answers == len(server.asked) > 5
        again = store.totals()
        with endpoint(server.url, store, prices=PRICES, most_money=0.02) as system, pytest.raises(CapReached):
            system.ask(questions(60))
        assert store.totals().money <= 20_000
        assert store.totals().answers >= again.answers


def test_the_cost_of_an_answer_is_that_of_its_tokens(store: RequestStore) -> None:
    with answering() as server, endpoint(server.url, store, prices=PRICES) as system:
        [answer] = system.ask(questions(1))
    assert answer.usage.prompt is not None
    assert answer.usage.answer is not None
    assert store.totals().money == answer.usage.prompt + 10 * answer.usage.answer + 1000


def test_many_failures_in_a_row_rest_the_asking_say_so_and_pause_the_audit(store: RequestStore) -> None:
    told: list[str] = []
    conduct = {"failures_before_rest": 3, "rest_seconds": 0.02, "rests": 2, "tries": 20, "concurrency": 2}
    with answering(faults=always(Fault(wire="status", code=500))) as server:
        with endpoint(server.url, store, told=told.append, **conduct) as system:
            system._asker._conduct = system._asker._conduct.__class__(
                **{**vars(system._asker._conduct), "backoff": Backoff(tries=20, first=0.001)}
            )
            with pytest.raises(
                Paused, match=r"paused after \d+ failures in a row, 2 rests between them; the last: 500"
            ):
                system.ask(questions(6))
        assert len(server.asked) <= 3 + 2 + 2 * 2
    assert len(told) == 2
    assert re.fullmatch(r"endpoint:x: \d failures in a row \(500 .*\); nobody asks for 0.02 s", told[0])


def test_a_system_that_comes_back_is_asked_on(store: RequestStore) -> None:
    told: list[str] = []
    conduct = {"failures_before_rest": 3, "rest_seconds": 0.05, "concurrency": 2}

    def ill(asked: Asked) -> Fault | None:
        return Fault(wire="status", code=502) if asked.number < 5 else None

    def wait(seconds: float) -> None:
        time.sleep(min(seconds, 0.06))

    with (
        answering(faults=ill) as server,
        endpoint(server.url, store, told=told.append, waits=wait, **conduct) as system,
    ):
        assert len(system.ask(questions(8))) == 8
    assert told[-1] == "endpoint:x: it answers again"
    assert store.totals().answers == 8


def test_what_is_asked_to_stop_finishes_what_is_under_way_and_keeps_it(store: RequestStore) -> None:
    stop = threading.Event()
    with answering(pause=0.05) as server:
        with endpoint(server.url, store, concurrency=3, should_stop=stop.is_set) as system:
            thread = threading.Timer(0.12, stop.set)
            thread.start()
            with pytest.raises(Interrupted, match="what was answered is kept"):
                system.ask(questions(60))
            thread.join()
        wait_until(lambda: server.open == 0)
        assert 0 < store.totals().answers == len(server.asked) < 60
    with answering() as other, endpoint(other.url, store) as system:
        del system


@given(seed=st.integers(0, 10**6), failed=st.integers(1, 40), key=st.text(max_size=8))
def test_waits_are_jittered_below_a_ceiling_and_the_same_for_one_seed(seed: int, failed: int, key: str) -> None:
    backoff = Backoff(seed=seed, first=0.5, longest=20.0)
    wait = backoff.wait(key, failed)
    assert 0 <= wait <= min(20.0, 0.5 * 2 ** (failed - 1))
    assert wait == Backoff(seed=seed, first=0.5, longest=20.0).wait(key, failed)


@given(text=st.text(max_size=20) | st.none())
def test_retry_after_is_a_wait_or_nothing(text: str | None) -> None:
    found = retry_after(text, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert found is None or 0 <= found < float("inf")


def test_a_breaker_lets_one_try_after_a_rest_and_closes_on_an_answer() -> None:
    now, told = [0.0], list[str]()
    breaker = Breaker(Fuse(failures=2, seconds=10, rests=1), tell=told.append, clock=lambda: now[0])
    assert breaker.bad("500") == ""
    breaker.good()
    assert [breaker.bad("500"), breaker.bad("500")] == ["", ""]
    assert breaker.may_ask() == 10.0
    now[0] = 10.0
    assert breaker.may_ask() is None
    assert breaker.may_ask() is not None  # one tries, the others wait for what comes of it
    breaker.good()
    assert breaker.may_ask() is None
    assert told == ["2 failures in a row (500); nobody asks for 10 s", "it answers again"]
    assert [breaker.bad("500"), breaker.bad("500")] == ["", ""]
    now[0] = 20.0
    assert breaker.may_ask() is None
    assert "1 rests between them" in breaker.bad("500")
