"""A file of a table holds the same words whoever takes it away; the page is in the reader's language."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from compliance.access.roles import Role
from compliance.models import default_team
from tests.compliance.teams import make_person

GERMAN = {"accept-language": "de"}


def body(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode("utf-8-sig")


@pytest.fixture
def reader(db: None, client: Client) -> Client:
    client.force_login(make_person("vera", default_team(), [Role.MODEL_OWNER]))
    return client


def test_the_page_is_german_and_its_file_is_not(reader: Client) -> None:
    page = reader.get("/people/", headers=GERMAN).content.decode()
    assert "Modellverantwortliche(r)" in page
    assert ">offen<" in page
    file = body(reader.get("/people/?as=csv&table=people", headers=GERMAN))
    assert file.splitlines()[0] == "account,team,roles,last_login,account_is"
    assert file.splitlines()[1].startswith("vera,")
    assert "Model owner" in file
    assert file.rstrip().endswith("open")


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_two_readers_take_the_same_bytes_away(reader: Client, kind: str) -> None:
    address = f"/people/?as={kind}&table=people"
    assert body(reader.get(address, headers=GERMAN)) == body(reader.get(address))


def test_heads_in_a_file_are_those_of_the_english_page(reader: Client) -> None:
    told = json.loads(body(reader.get("/people/?as=json&table=people", headers=GERMAN)))
    assert [column["head"] for column in told["columns"]] == [
        "Account",
        "Team",
        "Roles",
        "Last logged in",
        "Account is",
    ]


def test_the_page_after_a_file_is_german_again(reader: Client) -> None:
    body(reader.get("/people/?as=csv&table=people", headers=GERMAN))
    assert '<html lang="de">' in reader.get("/people/", headers=GERMAN).content.decode()
