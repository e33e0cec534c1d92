"""Asking the test server by a dialect alone, without transport or conduct."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from auditor.systems.asking import Request, Response
from auditor.systems.dialects import DIALECTS
from auditor.systems.wire import read_json
from tests.systems.answering import Answering
from tests.systems.faults import Fault, always


def raw(server: Answering, dialect: str, request: Request, **extra: Any) -> bytes:
    spoken = DIALECTS[dialect]
    body = spoken.write(request, model="underwriter", extra=extra)
    with httpx2.Client(trust_env=False) as client:
        answer = client.post(server.url + spoken.path, content=json.dumps(body))
    assert answer.status_code == 200
    return answer.content


def ask(server: Answering, dialect: str, request: Request, *, fault: Fault | None = None, **extra: Any) -> Response:
    server.faults = always(fault or Fault())
    return DIALECTS[dialect].read(request, read_json(raw(server, dialect, request, **extra)))
