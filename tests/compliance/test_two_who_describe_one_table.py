"""Two people describe the columns of one table: the second is told, sees both texts, and saves theirs on top."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from auditor.recognition import MASK
from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import OvertakenError
from compliance.models import Registration, RegistrationState, default_team
from tests.compliance.governed import actor_of
from tests.compliance.messages import keep_messages
from tests.compliance.teams import make_person

pytestmark = pytest.mark.django_db
CSV = b"income;decision;branch\n" + b"".join(
    b"%d;%s;%s\n" % (1000 + at, (b"yes", b"no")[at % 2], (b"North", b"South", b"Hilltop")[at % 3]) for at in range(60)
)


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_messages(monkeypatch)
    settings.DATA_FOLDER = tmp_path


def browser(name: str) -> Client:
    client = Client()
    client.force_login(make_person(name, default_team(), [Role.COMPLIANCE_OFFICER]))
    return client


def uploaded(client: Client) -> tuple[Registration, str]:
    file = SimpleUploadedFile("loans.csv", CSV)
    at = client.post("/register/data/", {"team": default_team().pk, "name": "Loans", "file": file})["Location"]
    return Registration.objects.get(), at


def boxes(page: str) -> dict[str, str]:
    """What the page holds in its hidden boxes and its TOML."""
    found = dict(re.findall(r'type="hidden" name="(read|of)" value="([^"]*)"', page))
    for name in ("agreed", "mapping"):
        text = re.search(rf'<textarea[^>]*name="{name}"[^>]*>(.*?)</textarea>', page, re.DOTALL)
        assert text is not None
        found[name] = html.unescape(text[1]).lstrip("\n")
    return found


def test_the_second_is_told_sees_both_and_saves_on_top() -> None:
    first, second = browser("ada"), browser("ben")
    row, at = uploaded(first)
    theirs, mine = boxes(first.get(at).content.decode()), boxes(second.get(at).content.decode())
    theirs["mapping"] = theirs["mapping"].replace('name = "Loans"', 'name = "Loans of Ada"')
    mine["mapping"] = mine["mapping"].replace('name = "Loans"', 'name = "Loans of Ben"')
    assert theirs["mapping"] != mine["mapping"]
    assert first.post(at, {**theirs, "check": ""}).status_code == 200
    overtaken = second.post(at, {**mine, "check": ""})
    assert overtaken.status_code == 409
    page = html.unescape(overtaken.content.decode())
    assert "somebody else described its columns in the meantime" in page
    assert (page.count("Loans of Ada") >= 2, page.count("Loans of Ben") >= 3) == (True, True)
    row.refresh_from_db()
    assert "Loans of Ada" in row.mapping
    again = boxes(overtaken.content.decode())
    assert "Loans of Ben" in again["mapping"]
    assert second.post(at, {**again, "check": ""}).status_code == 200
    row.refresh_from_db()
    assert "Loans of Ben" in row.mapping
    assert first.post(at, {**theirs, "register": ""}).status_code == 409
    row.refresh_from_db()
    assert row.state == RegistrationState.MAPPING


def test_long_texts_are_shown_side_by_side_and_not_compared() -> None:
    first, second = browser("ada"), browser("ben")
    _, at = uploaded(first)
    theirs, mine = boxes(first.get(at).content.decode()), boxes(second.get(at).content.decode())
    theirs["mapping"] += "".join(f"#{at * at % 101}\n" for at in range(60_000))
    mine["mapping"] += "".join(f"#{at * 7 % 101}\n" for at in range(60_000))
    assert first.post(at, {**theirs, "check": ""}).status_code == 200
    overtaken = second.post(at, {**mine, "check": ""})
    page = overtaken.content.decode()
    assert (overtaken.status_code, "Yours, not saved" in page, "Line by line" in page) == (409, True, False)


def test_who_says_the_same_as_somebody_else_is_told_nothing() -> None:
    first, second = browser("ada"), browser("ben")
    _, at = uploaded(first)
    sent = boxes(first.get(at).content.decode())
    sent["mapping"] += "# read by both\n"
    assert first.post(at, {**sent, "check": ""}).status_code == 200
    assert second.post(at, {**sent, "check": ""}).status_code == 200


def test_what_is_sent_after_it_was_registered_is_shown_and_not_lost() -> None:
    first, second = browser("ada"), browser("ben")
    row, at = uploaded(first)
    sent = boxes(second.get(at).content.decode())
    Registration.objects.filter(pk=row.pk).update(state=RegistrationState.WAITING)
    late = second.post(at, {**sent, "mapping": sent["mapping"] + "# my words\n", "check": ""})
    assert late.status_code == 409
    assert "# my words" in late.content.decode()
    assert "What you said is not saved" in late.content.decode()


def test_boxes_of_a_table_that_was_replaced_describe_no_other_columns() -> None:
    first, second = browser("ada"), browser("ben")
    row, at = uploaded(first)
    sent = boxes(second.get(at).content.decode())
    other = SimpleUploadedFile("other.csv", CSV.replace(b"income;decision;branch", b"branch;decision;income"))
    assert first.post(f"{at}file/", {"file": other}).status_code == 302
    answer = second.post(at, {**sent, "r.0.label": "Yearly income", "r.0.role": "predictor", "check": ""})
    assert answer.status_code == 409
    row.refresh_from_db()
    assert "Yearly income" not in row.mapping


def test_the_action_refuses_what_was_read_before_and_writes_over_what_was_not_read() -> None:
    ada = browser("ada")
    row, _ = uploaded(ada)
    actor = actor_of(make_person("ben", default_team(), [Role.COMPLIANCE_OFFICER]))
    said: dict[str, Any] = {"registration": row, "ready": False, "actor": actor}
    actions.keep_mapping(mapping="name = 'a'", read=row.revision, **said)
    with pytest.raises(OvertakenError, match="expected your changes on top of theirs"):
        actions.keep_mapping(mapping="name = 'b'", read="0" * 64, **said)
    actions.keep_mapping(mapping="name = 'c'", **said)
    assert Registration.objects.get().mapping == "name = 'c'"


# What the page shows of columns.


def cells(page: str) -> dict[str, str]:
    rows = re.findall(r'<tr id="column-\d+".*?</tr>', page, re.DOTALL)
    return {re.search(r'<th scope="row">\s*(\S+)', row)[1]: row for row in rows}  # type: ignore[index]


def test_a_column_that_is_left_out_or_masked_by_hand_shows_no_value_and_no_rare_code() -> None:
    ada = browser("ada")
    _, at = uploaded(ada)
    page = ada.get(at).content.decode()
    assert "Hilltop" in cells(page)["branch"]
    index = re.search(r'id="column-(\d+)"', cells(page)["branch"])
    assert index is not None
    for role in ("", "id"):
        sent = boxes(ada.get(at).content.decode())
        shown = ada.post(at, {**sent, f"r.{index[1]}.role": role, "check": ""}).content.decode()
        assert MASK in cells(shown)["branch"], role
        assert "Hilltop" not in cells(shown)["branch"], role


@pytest.mark.parametrize(
    "field",
    [
        'name = "branch"\ncolumn = ["branch"]\nrole = "predictor"',
        'name = "branch"\ncolumn = "branch"\nrole = "protected"\nwords = 1',
        'name = {a = 1}\ncolumn = "branch"\nrole = "protected"\nwords = [{a = 1}]',
        'name = "decision"\ncolumn = "decision"\nrole = "outcome"\nfavourable = [{a = 1}, [1]]',
    ],
)
def test_whatever_somebody_types_the_page_of_the_table_opens(field: str) -> None:
    ada = browser("ada")
    _, at = uploaded(ada)
    sent = {"mapping": f'name = "Loans"\n\n[[fields]]\n{field}\n', "agreed": "", "check": ""}
    changed = {f"r.{at}.{box}": value for at in range(3) for box, value in (("role", "id"), ("side:yes", "favourable"))}
    assert ada.post(at, sent).status_code == 200
    assert ada.post(at, {**sent, **changed}).status_code in (200, 400)
    assert ada.get(at).status_code == 200


def test_the_delimiter_is_named_once() -> None:
    ada = browser("ada")
    _, at = uploaded(ada)
    page = html.unescape(ada.get(at).content.decode())
    assert len(re.findall(r"<li>[^<]*separated by", page)) == 1
