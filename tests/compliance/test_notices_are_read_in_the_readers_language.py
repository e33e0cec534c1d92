"""Notices are kept in English, as events are; a page says them in the language of whoever reads it."""

from __future__ import annotations

import ast
from datetime import date
from pathlib import Path

import pytest
from django.test import Client
from django.utils import translation

from compliance import notices
from compliance.access.roles import Role
from compliance.execution.notifying import notify
from compliance.models import Notice, default_team
from compliance.notices.words import day_written, said_now
from tests.compliance.governed import open_finding
from tests.compliance.teams import make_person

SOURCE = Path(notices.__file__).parent / "kinds.py"


def sentences() -> list[str]:
    """Every text that the module of kinds marks, as it is kept: with a number and a day."""
    calls = (node for node in ast.walk(ast.parse(SOURCE.read_text("utf-8"))) if isinstance(node, ast.Call))
    marked = (call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "gettext_noop")
    texts = {str(text.value) for text in marked if isinstance(text, ast.Constant)}
    return sorted(text.format(number="F-0012", day="5 Dec 2026") for text in texts)


@pytest.mark.parametrize("words", sentences())
def test_every_sentence_has_its_german_and_keeps_its_number_and_day(words: str) -> None:
    with translation.override("de"):
        german = said_now(words)
    assert german != words
    assert ("F-0012" in german) == ("F-0012" in words)
    assert ("5. Dez 2026" in german) == ("5 Dec 2026" in words)


@pytest.mark.parametrize("words", sentences())
def test_an_english_page_says_what_is_kept(words: str) -> None:
    with translation.override("en-gb"):
        assert said_now(words) == words


@pytest.mark.parametrize(("language", "day"), [("en-gb", "5 Dec 2026"), ("de", "5. Dez 2026")])
def test_a_day_that_was_kept_with_two_digits_is_said_as_pages_say_days(language: str, day: str) -> None:
    with translation.override(language):
        assert day in said_now("The acceptance of F-0012 ends on 05 Dec 2026")
        assert "05" not in said_now("The acceptance of F-0012 ends on 05 Dec 2026")


def test_days_are_kept_as_pages_say_them() -> None:
    assert day_written(date(2026, 12, 5)) == "5 Dec 2026"
    assert day_written(date(2026, 11, 21)) == "21 Nov 2026"


@pytest.mark.parametrize("words", ["Said by a later version of A-0001", "{number} was closed", "On 99 Xyz 2026"])
def test_what_nobody_translated_is_said_as_it_is_kept(words: str) -> None:
    with translation.override("de"):
        assert said_now(words) == words


@pytest.mark.django_db
def test_the_row_is_english_and_the_page_german(client: Client) -> None:
    team = default_team()
    owner = make_person("owner", team, [Role.MODEL_OWNER])
    record = open_finding(team)
    with translation.override("de"):  # whoever lets notices be made may read German
        notify()
    kept = Notice.objects.get(user=owner, kind="finding_opened")
    assert kept.words == f"{record.number} was opened"
    client.force_login(owner)
    page = client.get("/notices/", headers={"accept-language": "de"}).content.decode()
    assert f"{record.number} wurde eröffnet" in page
    assert "was opened" not in page
