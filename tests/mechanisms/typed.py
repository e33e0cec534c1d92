"""Chunks of a test on internals in its own types, each kept as bytes on the way in and on the way out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from auditor.mechanisms._shared.compute import ComputeContext
from auditor.testing.chunks import PlanContext
from auditor.testing.rows import read_row
from tests.mechanisms.asking import through_a_ledger


def kept(kind: Any, row: Any) -> Any:
    """A typed row after a ledger kept it."""
    return read_row(kind, through_a_ledger(row), what="kept")


def payloads(method: Any, question: PlanContext) -> list[Any]:
    """What a method plans."""
    return [kept(_rows(method).Payload, piece.payload) for piece in method.plan_chunks(question)]


def result_of(method: Any, context: ComputeContext, payload: Any) -> Any:
    """What one chunk gives."""
    return kept(_rows(method).Result, method.compute(context, payload))


def results(method: Any, context: ComputeContext, question: PlanContext) -> list[Any]:
    """What all chunks that a method plans give."""
    return [result_of(method, context, payload) for payload in payloads(method, question)]


def _rows(method: Any) -> Any:
    return import_module(f"{method.__name__.rpartition('.')[0]}.result")
