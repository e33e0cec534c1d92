"""The request store: append-only, on the disk when it says so, caps that hold across processes and crashes."""

from __future__ import annotations

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.exceptions import StorageError
from auditor.systems.request_store import Full, KeptAnswer, RequestStore, Send, Totals


def answer(key: str, body: bytes = b"{}") -> KeptAnswer:
    return KeptAnswer(key, b'{"q":1}', 200, body)


def sent(store: RequestStore, key: str, **more: int) -> Send:
    begun = store.begin(key, **more)
    assert isinstance(begun, Send)
    return begun


def test_what_was_kept_is_there_for_whoever_opens_it_next(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as store:
        send = sent(store, "k", reserve=10)
        assert store.totals() == Totals(requests=1, answers=0, unended=1, money=10)
        store.keep(send, answer("k", b"\xff\x00"), cost=7)
        assert store.begin("k") == answer("k", b"\xff\x00")
    with RequestStore(tmp_path / "s") as store:
        assert store.kept(["k", "other"]) == {"k": answer("k", b"\xff\x00")}
        assert store.totals() == Totals(requests=1, answers=1, unended=0, money=7)


def test_a_second_answer_to_one_request_leaves_the_first(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as one, RequestStore(tmp_path / "s") as other:
        sends = sent(one, "k"), sent(other, "k")
        assert one.keep(sends[0], answer("k", b"1")) == answer("k", b"1")
        assert other.keep(sends[1], answer("k", b"2")) == answer("k", b"1")
        assert one.totals() == Totals(requests=2, answers=1, unended=0, money=0)


def test_rows_are_never_changed(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as store:
        store.keep(sent(store, "k"), answer("k"))
    database = sqlite3.connect(tmp_path / "s")
    for statement in (
        "UPDATE answers SET body = x'00'",
        "DELETE FROM answers",
        "UPDATE ledger SET money = 0",
        "DELETE FROM ledger",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            database.execute(statement)
    database.close()


def test_an_answer_that_is_not_the_one_that_was_kept_is_named(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as store:
        store.keep(sent(store, "k"), answer("k"))
    database = sqlite3.connect(tmp_path / "s")
    database.execute("DROP TRIGGER answers_UPDATE")
    database.execute("UPDATE answers SET body = x'00'")
    database.commit()
    database.close()
    with RequestStore(tmp_path / "s") as store, pytest.raises(StorageError, match="k is not the one that was kept"):
        store.kept(["k"])


@pytest.mark.parametrize("what", ["no database", "another version"])
def test_a_file_that_is_no_store_is_one_line(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s"
    if what == "no database":
        path.write_bytes(b"nothing of the kind" * 100)
    else:
        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version = 9")
        database.close()
    with pytest.raises(
        StorageError, match=r"^s: (cannot be opened|is a request store of version 9; expected 1)"
    ) as caught:
        RequestStore(path)
    assert "\n" not in str(caught.value)


def test_caps_count_what_crashed_and_what_may_have_been_billed(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as store:
        sent(store, "crashed", reserve=4)
    with RequestStore(tmp_path / "s") as store:
        store.fail(sent(store, "reset", reserve=3), "reset", billed=True)
        store.fail(sent(store, "busy", reserve=5), "429", billed=False)
        store.keep(sent(store, "k", reserve=6), answer("k"), cost=2)
        store.keep(sent(store, "m", reserve=6), answer("m"), cost=None)
        assert store.totals() == Totals(requests=5, answers=2, unended=1, money=4 + 3 + 2 + 6)
        assert store.failures() == {"429": 1, "reset": 1}
        with pytest.raises(Full, match="could cost more than what is left"):
            store.begin("n", reserve=2, most_money=16)
        with pytest.raises(Full, match="the 5 requests that were allowed have gone out"):
            store.begin("n", most_requests=5)
        assert isinstance(store.begin("n", reserve=1, most_money=16, most_requests=6), Send)
        assert store.begin("k", most_requests=1) == answer("k")  # what is there costs nothing


def test_threads_share_commits_and_nobody_is_lost(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as store, ThreadPoolExecutor(16) as threads:

        def one(number: int) -> None:
            key = f"k{number % 150}"
            begun = store.begin(key, reserve=1, most_requests=400)
            if isinstance(begun, Send):
                store.keep(begun, answer(key), cost=1)

        list(threads.map(one, range(300)))
        found = store.totals()
        assert (found.answers, found.unended) == (150, 0)
        assert 150 <= found.requests <= 300
        assert found.money == found.requests


def _process(path: Path, cap: int) -> None:
    with RequestStore(path) as store:
        for number in range(40):
            try:
                begun = store.begin(f"{multiprocessing.current_process().pid}-{number}", most_requests=cap)
            except Full:
                return
            assert isinstance(begun, Send)
            store.keep(begun, answer(begun.key))


def test_a_keyboard_interrupt_in_a_commit_leaves_the_store_as_it_was_and_open_for_the_next(tmp_path: Path) -> None:
    def interrupted(database: sqlite3.Connection) -> None:
        database.execute("INSERT INTO ledger VALUES (NULL, 'k', 'sent', NULL, '', 0, 1, 0, 0, 0.0)")
        raise KeyboardInterrupt

    with RequestStore(tmp_path / "store.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            store._write(interrupted, synced=True)
        assert isinstance(store.begin("k"), Send)
        assert store.totals() == Totals(requests=1, answers=0, unended=1, money=0)


def test_a_cap_holds_over_many_processes(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_process, args=(tmp_path / "s", 50)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with RequestStore(tmp_path / "s") as store:
        assert store.totals() == Totals(requests=50, answers=50, unended=0, money=0)


@settings(max_examples=20)
@given(order=st.permutations([f"k{number}" for number in range(6)]))
def test_the_same_answers_are_the_same_evidence_whatever_their_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[str]
) -> None:
    with RequestStore(tmp_path_factory.mktemp("evidence") / "s") as store:
        for key in order:
            store.fail(sent(store, key), "500", billed=False)
            store.keep(sent(store, key), answer(key, key.encode()))
        lines = b"".join(store.evidence())
    assert lines.count(b"\n") == 6
    with RequestStore(tmp_path_factory.mktemp("evidence") / "s") as store:
        for key in sorted(order):
            store.keep(sent(store, key), answer(key, key.encode()))
        assert b"".join(store.evidence()) == lines


def test_a_number_that_does_not_fit_is_refused_in_one_line_and_the_store_goes_on(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as store:
        send = sent(store, "k", reserve=5)
        with pytest.raises(StorageError, match="s: cannot be written"):
            store.keep(send, answer("k"), cost=10**30)
        assert store.keep(send, answer("k"), cost=7) == answer("k")
        assert store.totals() == Totals(requests=1, answers=1, unended=0, money=7)


def test_an_interruption_leaves_no_transaction_open_and_nothing_half_written(tmp_path: Path) -> None:
    def interrupted(_: sqlite3.Connection) -> None:
        raise KeyboardInterrupt

    with RequestStore(tmp_path / "s") as store:
        send = sent(store, "k")
        with pytest.raises(KeyboardInterrupt):
            store._write(interrupted, synced=False)
        store.keep(send, answer("k"))
        assert store.totals() == Totals(requests=1, answers=1, unended=0, money=0)


def test_nobody_else_on_the_machine_reads_what_was_asked(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as store:
        sent(store, "k")
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}
