"""A line of text opens a listed system, or is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.exceptions import ModelError
from auditor.systems.asking import Request
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.listing import FILE
from auditor.systems.opening import open_listed
from auditor.systems.service import Service, ServiceRequest
from tests.systems.answering import answering
from tests.systems.deciding import deciding
from tests.systems.listed import new_store
from tests.systems.test_a_service_is_asked_step_by_step import EXAMPLE, TABLE

ENDPOINT = '[endpoint.x]\ndialect = "completions"\nurl = "{url}"\nmodel = "m"\n'


def test_an_endpoint_and_a_service_are_opened_and_asked(tmp_path: Path) -> None:
    file = tmp_path / FILE
    with answering() as server, deciding() as service, new_store(tmp_path) as store:
        file.write_text(ENDPOINT.format(url=server.url) + TABLE.format(url=service.url))
        system = open_listed("endpoint:x", file=file, store=store)
        assert isinstance(system, EndpointSystem)
        assert system.ask([Request(prompt="Decision:")])[0].text
        system.close()
        other = open_listed("service:bank", file=file, store=store, example=EXAMPLE)
        assert isinstance(other, Service)
        assert other.ask([ServiceRequest(fields=EXAMPLE)])[0].choice
        other.close()
        assert store.totals().answers == 1 + 2


@pytest.mark.parametrize(
    ("source", "trouble"),
    [
        ("endpoint:", "is not a system that answers; expected endpoint:NAME or service:NAME"),
        ("demo:underwriter", "is not a system that answers"),
        ("endpoint:y", "no administrator has listed it"),
        ("service:x", "no administrator has listed it"),
    ],
)
def test_what_is_not_listed_is_refused_in_one_line(tmp_path: Path, source: str, trouble: str) -> None:
    (tmp_path / FILE).write_text(ENDPOINT.format(url="http://127.0.0.1:9/v1"))
    with new_store(tmp_path) as store, pytest.raises(ModelError, match=trouble):
        open_listed(source, file=tmp_path / FILE, store=store, example=EXAMPLE)
