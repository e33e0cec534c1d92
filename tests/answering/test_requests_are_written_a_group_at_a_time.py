"""`requests.parquet` is written in row groups: what is in memory does not grow with the number of requests."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from auditor.answering import evidence
from auditor.answering.evidence import REQUESTS_SCHEMA, write_requests
from auditor.systems.request_store import KeptAnswer, RequestStore, Send

PEAK = """
import resource, sys
from pathlib import Path
from auditor.answering.evidence import write_requests
from tests.answering.test_requests_are_written_a_group_at_a_time import lines
write_requests(lines(int(sys.argv[1])), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def lines(count: int) -> Iterator[bytes]:
    """So many requests of about 5 kB that no compression makes small."""
    for number in range(count):
        seed = hashlib.shake_256(str(number).encode())
        row = {
            "key": f"{number:064d}",
            "request": seed.hexdigest(2000),
            "status": 200,
            "answer": seed.hexdigest(500),
            "answer_sha256": "0" * 64,
        }
        yield json.dumps(row).encode() + b"\n"


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 25])
def test_every_request_is_there_once_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(evidence, "GROUP", 8)
    write_requests(lines(count), tmp_path / "requests.parquet")
    found = pl.read_parquet(tmp_path / "requests.parquet")
    assert dict(found.schema) == REQUESTS_SCHEMA
    assert found.to_dicts() == [json.loads(line) for line in lines(count)]
    assert [path.name for path in tmp_path.iterdir()] == ["requests.parquet"]


def test_the_same_requests_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "GROUP", 8)
    for name in ("one", "two"):
        write_requests(lines(25), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_memory_is_flat(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        command = [sys.executable, "-c", PEAK, str(count), str(tmp_path / "requests.parquet")]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    few, many = peak(1_000), peak(10_000)
    # 9,000 requests more are 45 MB of text; held at once they take three times as much.
    assert many - few < 45


def test_the_store_gives_its_lines_in_order_and_names_who_answered(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "requests.sqlite") as store:
        for number in range(9):
            key = hashlib.sha256(str(number).encode()).hexdigest()
            url = f"https://{'ab'[number % 2]}.example/v1"
            send = store.begin(key)
            assert isinstance(send, Send)
            store.keep(send, KeptAnswer(key, json.dumps({"system": {"url": url}}).encode(), 200, b"{}"))
        keys = [json.loads(line)["key"] for line in store.evidence()]
        assert keys == sorted(keys)
        assert len(set(keys)) == 9
        assert store.addresses() == ("https://a.example/v1", "https://b.example/v1")
