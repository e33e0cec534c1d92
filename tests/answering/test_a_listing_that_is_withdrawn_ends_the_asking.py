"""Who is taken from the list of systems is asked nothing more, also in the middle of a chunk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.answering import scoring
from auditor.exceptions import Interrupted
from auditor.systems.exceptions import SystemStopped
from auditor.systems.listing import ListedEndpoint
from auditor.systems.request_store import RequestStore
from tests.answering.asked import audited
from tests.systems.answering import answering, wait_until
from tests.systems.faults import Asked, Fault

SLOWLY = "concurrency = 1\nrequests_a_second = 20"
LATE = 60


@pytest.fixture
def _looked_up_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LISTING_SECONDS", 0.2)


def after_some_requests(server_asked: list[object], change: Callable[[], object]) -> threading.Thread:
    """Do it once the server was asked so often."""

    def wait() -> None:
        end = time.monotonic() + 60
        while len(server_asked) < LATE and time.monotonic() < end:
            time.sleep(0.01)
        change()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.usefixtures("_looked_up_often")
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda file: file.write_text(""),
            r"^endpoint:x: is not listed any more \(no administrator has listed it\); what was answered is kept$",
        ),
        (
            lambda file: file.write_text(file.read_text().replace('"underwriter"', '"another"')),
            "^endpoint:x: is listed otherwise than when this was begun; what was answered is kept$",
        ),
    ],
)
def test_a_chunk_under_way_ends_and_goes_on_where_it_ended_once_it_is_listed_again(
    tmp_path: Path, change: Callable[[Path], object], line: str
) -> None:
    run: dict[str, Any] = {"tests__run": ["counterfactual"], "cases__limit": 10, "noise__reask": 2}
    with answering() as server:
        thread = after_some_requests(server.asked, lambda: change(tmp_path / "systems.toml"))  # type: ignore[arg-type]
        with pytest.raises(SystemStopped, match=line):
            audited(tmp_path, server.url, more=SLOWLY, **run)
        thread.join()
        # At 20 a second, and looked up every 0.2 seconds: a chunk that went to its end would have asked on.
        assert LATE <= len(server.asked) <= LATE + 20
        found = audited(tmp_path, server.url, more="concurrency = 1\nmost_requests = 500", **run)
        contents = [str(asked.body) for asked in server.asked if "Income" in str(asked.body)]
    assert found.run.reading is not None
    assert len(contents) == found.run.reading.requests


@pytest.mark.usefixtures("_looked_up_often")
@pytest.mark.parametrize("fault", [Fault(wire="hang"), Fault(wire="drip", seconds=0.5)])
def test_requests_under_way_are_broken_off_at_once(tmp_path: Path, fault: Fault) -> None:
    ended: list[float] = []

    def later(asked: Asked) -> Fault | None:
        return fault if "Income" in str(asked.body) else None

    with answering(faults=later) as server:

        def withdraw() -> None:
            wait_until(lambda: sum("Income" in str(asked.body) for asked in server.asked) == 4, 60.0)
            time.sleep(0.3)
            (tmp_path / "systems.toml").write_text("")
            ended.append(time.monotonic())

        thread = threading.Thread(target=withdraw)
        thread.start()
        with pytest.raises(SystemStopped, match=r"^endpoint:x: is not listed any more"):
            audited(tmp_path, server.url, more="concurrency = 4\nseconds = 600", tests__run=["counterfactual"])
        taken = time.monotonic() - ended[0]
        thread.join()
        asked = sum("Income" in str(asked.body) for asked in server.asked)
    assert taken < 60  # of 600 that a request may take
    assert asked == 4
    with RequestStore(tmp_path / "run" / "ledger" / "requests.sqlite") as store:
        assert store.totals().unended == 0
        assert store.failures() == {"broken off: the system is not listed any more, or otherwise": 4}


def test_a_stop_of_the_run_finishes_what_is_under_way(tmp_path: Path) -> None:
    with answering(pause=0.3) as server:

        def stop() -> None:
            wait_until(lambda: sum("Income" in str(asked.body) for asked in server.asked) >= 4, 60.0)
            (tmp_path / "run" / "ledger" / "stop").touch()

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(Interrupted):
            audited(tmp_path, server.url, more="concurrency = 4", tests__run=["counterfactual"])
        thread.join()
    with RequestStore(tmp_path / "run" / "ledger" / "requests.sqlite") as store:
        totals = store.totals()
        assert totals.answers == totals.requests >= 4
        assert store.failures() == {}


def test_another_cap_is_the_same_asking_and_another_address_is_not() -> None:
    endpoint = ListedEndpoint(dialect="completions", url="https://a.example", model="m")
    assert endpoint.model_copy(update={"most_requests": 7, "seconds": 3.0, "rests": 0}).asks_as(endpoint)
    for change in ({"url": "https://b.example"}, {"model": "n"}, {"key_file": "k"}, {"extra": {"n": 1}}):
        assert not endpoint.model_copy(update=change).asks_as(endpoint)
