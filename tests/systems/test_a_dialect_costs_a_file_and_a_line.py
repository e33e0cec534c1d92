"""Adding a dialect is a file with one of these, and its line in the table: nothing else knows dialects by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor.systems.asking import Request, Response
from auditor.systems.dialect import Dialect
from auditor.systems.dialects import DIALECTS
from tests.systems.answering import answering
from tests.systems.faults import Fault, always
from tests.systems.listed import endpoint, new_store


def body(request: Request, model: str) -> dict[str, Any]:
    return {"ask": request.prompt, "of": model}


def read(_: Request, answer: Mapping[str, Any]) -> Response:
    return Response(text=str(answer["say"]), model="own-1")


OWN = Dialect(
    name="own",
    path="/own",
    headers={},
    cannot=frozenset({"system", "temperature", "seed", "top", "form", "continuations"}),
    body=body,
    read=read,
)


def test_a_dialect_in_the_table_can_be_listed_asked_and_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIALECTS, "own", OWN)
    wire = Fault(wire="status", code=200, content={"say": "approve"})
    with (
        answering(faults=always(wire)) as server,
        new_store(tmp_path) as store,
        endpoint(server.url, store, dialect="own") as system,
    ):
        assert system.ask([Request(prompt="p", temperature=None)])[0].text == "approve"
        assert server.asked[0].body == {"ask": "p", "of": "underwriter"}
        assert {asked.path for asked in server.asked} == {"/v1/own"}
        found = system.probe()
    assert (found.model, found.deterministic) == ("own-1", True)
    assert len(found.lacking) == 4


def test_no_other_file_of_the_engine_names_a_dialect() -> None:
    folder = Path(auditor.__file__).parent
    own = {f"{name}.py" for name in DIALECTS}
    for file in folder.rglob("*.py"):
        if file.parent.name != "systems" or file.name in own | {"dialects.py"}:
            continue
        code = file.read_text(encoding="utf-8").split('"""', 2)[-1]
        assert [name for name in DIALECTS if f'"{name}"' in code] == [], file.name
