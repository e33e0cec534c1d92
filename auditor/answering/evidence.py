"""The evidence of a run that asked a system: every request with its answer, and what was read of each, as tables.

Both follow from the answers alone and are in order of their keys, so the same answers give the same bytes. What was
sent besides (tries that failed, requests without an end) is no part of them: it differs from one run to the next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Asking:
    """What a run asked and heard: what was read, in order of cases, the exchanges by key, and what was sent for it."""

    answers: tuple[SystemAnswer, ...]
    exchanges: tuple[Mapping[str, Any], ...]
    sent: Sent

    def tables(self) -> dict[str, pl.DataFrame]:
        """By file name."""
        rows = [answer.row() for answer in self.answers]
        return {
            ANSWERS: pl.DataFrame(rows, schema=ANSWERS_SCHEMA, orient="row"),
            REQUESTS: pl.DataFrame(list(self.exchanges), schema=REQUESTS_SCHEMA, orient="row"),
        }


def asking_of(ledger: Ledger, answers: Sequence[SystemAnswer]) -> Asking:
    """What the request store of a run holds, beside what was read of it.

    Raises
    ------
    StorageError
        If the store cannot be read, or is damaged.
    """
    with RequestStore(ledger.requests()) as store:
        exchanges = tuple(json.loads(line) for line in store.evidence())
        totals, failures = store.totals(), store.failures()
    prompt, said = ([getattr(answer, name) for answer in answers] for name in ("prompt_tokens", "answer_tokens"))
    sent = Sent(
        requests=totals.requests,
        answers=totals.answers,
        unended=totals.unended,
        failures=failures,
        money=totals.money,
        prompt_tokens=sum(count or 0 for count in prompt),
        answer_tokens=sum(count or 0 for count in said),
    )
    ordered = sorted(answers, key=lambda answer: (answer.case_id, answer.moment))
    return Asking(answers=tuple(ordered), exchanges=exchanges, sent=sent)
