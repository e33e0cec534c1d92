"""The evidence of a run that asked somebody: every request with its answer, and what was read of each, as tables.

Both follow from the answers alone and are in order of their keys, so the same answers give the same bytes. What was
sent besides (tries that failed, requests without an end) is no part of them: it differs from one run to the next.
A run on weights that had an endpoint describe what was found has requests, and no answers that decide.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from auditor.answering.rows import SystemAnswer
from auditor.environment import Sent
from auditor.ledger import Ledger
from auditor.systems.request_store import RequestStore

ANSWERS, REQUESTS = "answers.parquet", "requests.parquet"
ANSWERS_SCHEMA: dict[str, Any] = {
    "case_id": pl.String,
    "moment": pl.String,
    "request": pl.String,
    "outcome": pl.String,
    "reason": pl.String,
    "margin": pl.Float64,
    "mass": pl.Float64,
    "at_least": pl.Float64,
    "at_most": pl.Float64,
    "mass_at_least": pl.Float64,
    "mass_at_most": pl.Float64,
    "amount": pl.Float64,
    "reasons": pl.List(pl.String),
    "text": pl.String,
    "model": pl.String,
    "fingerprint": pl.String,
    "prompt_tokens": pl.Int64,
    "answer_tokens": pl.Int64,
}
REQUESTS_SCHEMA: dict[str, Any] = {
    "key": pl.String,
    "request": pl.String,
    "status": pl.Int64,
    "answer": pl.String,
    "answer_sha256": pl.String,
}
GROUP = 1024
"""Requests of a row group: so many are in memory at a time."""


@dataclass(frozen=True)
class Asking:
    """What a run asked and heard.

    Attributes
    ----------
    answers
        What was read, in order of cases; ``None`` where nothing was read as a decision.
    requests
        The store that holds each request with its answer.
    sent
        What was sent for it.
    """

    answers: tuple[SystemAnswer, ...] | None
    requests: Path
    sent: Sent

    def write(self, folder: Path) -> None:
        """Write the tables into a folder.

        Raises
        ------
        StorageError
            If the store cannot be read, or is damaged.
        """
        if self.answers is not None:
            rows = [answer.row() for answer in self.answers]
            pl.DataFrame(rows, schema=ANSWERS_SCHEMA, orient="row").write_parquet(folder / ANSWERS)
        with RequestStore(self.requests) as store:
            write_requests(store.evidence(), folder / REQUESTS)


def write_requests(lines: Iterable[bytes], path: Path) -> None:
    """Write requests with their answers as a table in row groups, so many at a time.

    Parameters
    ----------
    lines
        Of ``RequestStore.evidence``.
    path
        The table.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".requests-") as beside:
        parts: list[Path] = []
        # A table is written in one go; small ones beside it are read one after the other while it is.
        left = iter(lines)
        while lot := list(islice(left, GROUP)):
            parts.append(Path(beside) / f"{len(parts):06d}.parquet")
            _exchanges(lot).write_parquet(parts[-1])
        if not parts:
            _exchanges(()).write_parquet(path)
            return
        pl.scan_parquet(parts, schema=REQUESTS_SCHEMA).sink_parquet(path, row_group_size=GROUP, maintain_order=True)


def _exchanges(lines: Sequence[bytes]) -> pl.DataFrame:
    return pl.DataFrame([json.loads(line) for line in lines], schema=REQUESTS_SCHEMA, orient="row")


def asking_of(ledger: Ledger, answers: Sequence[SystemAnswer] | None) -> Asking:
    """What the request store of a run holds, beside what was read of it.

    Raises
    ------
    StorageError
        If the store cannot be read, or is damaged.
    """
    with RequestStore(ledger.requests()) as store:
        totals, failures, addresses = store.totals(), store.failures(), store.addresses()
    read = () if answers is None else answers
    prompt, said = ([getattr(answer, name) for answer in read] for name in ("prompt_tokens", "answer_tokens"))
    sent = Sent(
        requests=totals.requests,
        answers=totals.answers,
        unended=totals.unended,
        failures=failures,
        money=totals.money,
        prompt_tokens=sum(count or 0 for count in prompt),
        answer_tokens=sum(count or 0 for count in said),
        addresses=addresses,
    )
    ordered = tuple(sorted(read, key=lambda answer: (answer.case_id, answer.moment)))
    return Asking(answers=None if answers is None else ordered, requests=ledger.requests(), sent=sent)
