"""A form that arrives after the session has ended is kept for its account, and stands in its page after the login."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

import compliance
from compliance import actions
from compliance.access.roles import Role
from compliance.accounts.filling import filled
from compliance.accounts.kept_forms import SECRET
from compliance.actions.kept_forms import KEPT_FOR, MOST_BYTES, MOST_FORMS
from compliance.exceptions import StateError
from compliance.governance.events import Actor
from compliance.models import Event, FindingRecord, KeptForm, default_team
from tests.compliance.governed import open_finding
from tests.compliance.teams import make_person

SECRET_WORD = "a long password"
MINUTE = 60


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have gone by, to be set."""
    now, real = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real() + now[0])
    return now


@pytest.fixture
def record(db: None, settings: LazySettings, tmp_path: Any) -> FindingRecord:
    settings.KEYS_FILE = tmp_path / "keys"
    return open_finding(default_team())


@pytest.fixture
def owner(client: Client, record: FindingRecord) -> User:
    user = make_person("olive", default_team(), [Role.MODEL_OWNER])
    assert log_in(client, "olive")["Location"] == "/"
    client.get(page_of(record))
    return user


def log_in(client: Client, name: str, then: str = "") -> Any:
    return client.post("/login/", {"login": name, "password": SECRET_WORD, **({"next": then} if then else {})})


def page_of(record: FindingRecord) -> str:
    return f"/findings/{record.number}/"


def answered(record: FindingRecord) -> dict[str, str]:
    return {"response": "We saw <it> & know why.", "remediation": "Prompt 7 goes.", "revision": str(record.revision)}


def send(client: Client, record: FindingRecord, said: dict[str, Any]) -> Any:
    where = f"http://testserver{page_of(record)}"
    return client.post(f"{page_of(record)}answer/", said, headers={"Referer": where})


class Boxes(HTMLParser):
    """What stands in the boxes of a page, by the address of their form and their name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[tuple[str, str], str] = {}
        self.form, self.area = "", ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = given.get("action", "")
        elif tag == "input":
            self.found[self.form, given.get("name", "")] = given.get("value", "")
        elif tag == "textarea":
            self.area = given.get("name", "")
            self.found[self.form, self.area] = ""

    def handle_endtag(self, tag: str) -> None:
        self.area = "" if tag == "textarea" else self.area

    def handle_data(self, data: str) -> None:
        if self.area:
            self.found[self.form, self.area] += data


def test_what_is_sent_after_the_session_ended_stands_in_the_form_after_the_login_and_nothing_was_done(
    client: Client, record: FindingRecord, owner: User, clock: list[float]
) -> None:
    before = Event.objects.count()
    clock[0] = 31 * MINUTE
    asked = send(client, record, answered(record))
    assert asked.status_code == 302
    assert asked["Location"].startswith("/login/?next=/findings/")
    assert "Nothing was carried out" in client.get(asked["Location"]).content.decode()
    key = KeptForm.objects.get().pk
    again = log_in(client, "olive", f"{page_of(record)}?kept={key}")
    assert again["Location"] == f"{page_of(record)}?kept={key}"
    page = client.get(again["Location"]).content.decode()
    assert "Your session had ended when you sent this" in page
    boxes = Boxes(page).found
    form = f"{page_of(record)}answer/"
    assert boxes[form, "response"].strip() == answered(record)["response"]
    assert boxes[form, "remediation"].strip() == "Prompt 7 goes."
    record.refresh_from_db()
    assert (record.response, Event.objects.count()) == ("", before)
    # The click that is needed, with what stands in the form: then it is done, and nothing is kept any more.
    said = {name: value.removeprefix("\n") for (where, name), value in boxes.items() if where == form}
    assert client.post(form, said)["Location"] == page_of(record)
    record.refresh_from_db()
    assert record.response == answered(record)["response"]
    assert not KeptForm.objects.exists()
    assert "had ended" not in client.get(page_of(record)).content.decode()


def test_it_is_kept_where_the_session_is_gone_altogether(client: Client, record: FindingRecord, owner: User) -> None:
    Session.objects.all().delete()
    assert send(client, record, answered(record)).status_code == 302
    assert KeptForm.objects.get().user == owner


def test_after_logging_out_the_next_person_at_a_browser_puts_nothing_into_the_forms_of_the_last(
    client: Client, record: FindingRecord, owner: User
) -> None:
    client.post("/logout/")
    assert send(client, record, answered(record)).status_code == 302
    assert not KeptForm.objects.exists()


def test_a_browser_whose_session_was_ended_from_elsewhere_puts_nothing_into_the_forms_of_its_account(
    client: Client, record: FindingRecord, owner: User
) -> None:
    here = Client()
    log_in(here, "olive")
    here.post("/account/sessions/end-others/")
    assert send(client, record, answered(record)).status_code == 302
    assert not KeptForm.objects.exists()


def test_the_page_before_leads_to_no_other_site(client: Client, record: FindingRecord, owner: User) -> None:
    Session.objects.all().delete()
    where = {"Referer": f"http://testserver//evil.example{page_of(record)}"}
    client.post(f"{page_of(record)}answer/", answered(record), headers=where)
    assert KeptForm.objects.get().page == f"/evil.example{page_of(record)}"


def test_nobody_else_sees_what_was_kept(client: Client, record: FindingRecord, owner: User, clock: list[float]) -> None:
    clock[0] = 31 * MINUTE
    send(client, record, answered(record))
    row = KeptForm.objects.get()
    assert b"Prompt 7" not in bytes(row.sealed)
    make_person("oscar", default_team(), [Role.MODEL_OWNER])
    other = Client()
    log_in(other, "oscar")
    page = other.get(f"{page_of(record)}?kept={row.pk}").content.decode()
    assert "Prompt 7" not in page
    assert "belongs to another account" in page
    other.post(f"/kept/{row.pk}/discard/")
    assert KeptForm.objects.get() == row


def test_a_browser_that_nobody_knows_keeps_nothing(record: FindingRecord) -> None:
    assert send(Client(), record, answered(record)).status_code == 302
    assert not KeptForm.objects.exists()


def test_files_are_named_to_be_chosen_again_and_not_kept(
    client: Client, record: FindingRecord, owner: User, clock: list[float]
) -> None:
    clock[0] = 31 * MINUTE
    said = {"text": "See the file.", "purpose": "comment", "file": SimpleUploadedFile("proof.txt", b"secret bytes")}
    client.post(f"{page_of(record)}notes/", said, headers={"Referer": f"http://testserver{page_of(record)}"})
    (written,) = actions.written_by(owner, page=page_of(record))
    assert (written.files, written.fields["text"]) == (["proof.txt"], ["See the file."])
    log_in(client, "olive")
    assert "Choose again: proof.txt." in client.get(page_of(record)).content.decode()


def test_passwords_and_keys_are_never_kept(
    client: Client, record: FindingRecord, owner: User, clock: list[float]
) -> None:
    clock[0] = 31 * MINUTE
    for address in ("/password/", "/login/code/", "/account/second-factor/confirm/"):
        client.post(address, {"oldpassword": SECRET_WORD, "password1": "x", "code": "123456"})
    assert not KeptForm.objects.exists()
    client.post("/systems/7/key/", {"key": "sk-the-key", "reason": "asked"})
    client.post("/admin/auth/user/add/", {"username": "new", "password1": "hidden", "password2": "hidden"})
    kept = [written for row in KeptForm.objects.all() for written in actions.written_by(owner, pk=row.pk)]
    assert sorted(name for written in kept for name in written.fields) == ["reason", "username"]


def test_every_box_for_a_secret_has_a_name_that_is_left_out() -> None:
    folder = Path(compliance.__file__).parent
    boxes = [
        (name, said)
        for path in folder.rglob("*.py")
        for name, said in re.findall(
            r"^    (\w+) = forms\.CharField\((.*?\n)(?=\S|    \S)", path.read_text(), re.M | re.S
        )
    ]
    found = {name for name, said in boxes if "PasswordInput" in said}
    assert found == {"again", "key", "password"}
    assert all(SECRET.search(name) for name in found | {"code", "oldpassword", "password1", "password2"})


@pytest.mark.django_db(transaction=True)
def test_it_is_kept_for_a_day_and_no_more_than_a_bound_on_either_database(
    database: str, settings: LazySettings, tmp_path: Any
) -> None:
    settings.KEYS_FILE = tmp_path / "keys"
    user = make_person("olive")

    def keep(page: str, text: str = "x") -> KeptForm:
        return actions.keep_form(user=user, page=page, target=page, fields={"text": [text]}, files=[], sent=False)

    keep("/plans/1/", "first")
    keep("/plans/1/", "second")
    (written,) = actions.written_by(user, page="/plans/1/")
    assert written.fields == {"text": ["second"]}
    with time_machine.travel(timezone.now() + KEPT_FOR + timedelta(seconds=1)):
        assert actions.written_by(user, page="/plans/1/") == []
        keep("/plans/2/")
        assert [row.page for row in KeptForm.objects.all()] == ["/plans/2/"]
        for number in range(MOST_FORMS + 3):
            keep(f"/findings/{number}/")
        assert KeptForm.objects.count() == MOST_FORMS
        assert not KeptForm.objects.filter(page="/plans/2/").exists()
        with pytest.raises(StateError, match="more than 1 MiB were written"):
            keep("/plans/3/", "x" * MOST_BYTES)


def test_a_long_form_saves_itself_and_stands_there_again(client: Client, record: FindingRecord, owner: User) -> None:
    page = page_of(record)
    typed = {**answered(record), "kept-page": page, "kept-target": f"{page}answer/"}
    told = client.post("/kept/", typed).json()
    assert set(told) == {"kept", "at"}
    shown = client.get(page).content.decode()
    assert "You wrote something here at" in shown
    assert Boxes(shown).found[f"{page}answer/", "remediation"].strip() == "Prompt 7 goes."
    assert client.post(f"/kept/{told['kept']}/discard/", {"page": page})["Location"] == page
    assert "You wrote something" not in client.get(page).content.decode()


def test_what_was_typed_into_one_of_several_forms_of_an_address_stands_in_that_one(db: None) -> None:
    html = "".join(
        f'<main><form method="post" action="/f/move/"><input type="hidden" name="to" value="{to}">'
        f'<textarea name="said"></textarea></form></main>'
        for to in ("open", "closed")
    )
    fields = {"to": ["closed"], "said": ["because\n</textarea>"]}
    page, stands = filled(html, page="/f/", target="/f/move/#closed", fields=fields, key=7, note="NOTE")
    assert stands
    first, second = page.split('value="closed"><textarea')
    assert "because" not in first
    assert "because\n&lt;/textarea&gt;</textarea>" in second
    assert page.startswith("<main>NOTE")


def test_boxes_of_every_kind_are_filled_and_secrets_and_tokens_are_not() -> None:
    html = (
        '<p>é\r\n</p><main><form method="post"><input name="csrfmiddlewaretoken" value="t"><input name="a" value="1">'
        '<input type="checkbox" name="b" value="x" checked><input type="checkbox" name="b" value="y">'
        '<select name="c"><option value="1" selected>one</option><option value="2">two</option></select>'
        '<input type="password" name="d"></form></main>'
    )
    fields = {"csrfmiddlewaretoken": ["old"], "a": ['"2"'], "b": ["y"], "c": ["2"], "d": ["p"]}
    page, _ = filled(html, page="/x/", target="/x/", fields=fields, key=1, note="")
    assert '<input name="csrfmiddlewaretoken" value="t">' in page
    assert 'name="a" value="&quot;2&quot;"' in page
    assert '<input type="checkbox" name="b" value="x">' in page
    assert '<input type="checkbox" name="b" value="y" checked>' in page
    assert '<option value="1">one' in page
    assert '<option value="2" selected>two' in page
    assert '<input type="password" name="d">' in page


def test_what_no_form_takes_any_more_is_shown_as_text(client: Client, record: FindingRecord, owner: User) -> None:
    page = page_of(record)
    client.post("/kept/", {"said": "My reasons.", "kept-page": page, "kept-target": f"{page}nowhere/"})
    shown = unescape(client.get(page).content.decode())
    assert "The form is not on this page any more" in shown
    assert "My reasons." in shown


def test_a_form_of_a_page_opened_before_another_login_is_shown_again_and_one_from_elsewhere_is_refused(
    record: FindingRecord,
) -> None:
    make_person("olive", default_team(), [Role.MODEL_OWNER])
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(username="olive"))
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(page_of(record)).content.decode())
    assert found is not None
    browser.cookies.pop("csrftoken")  # another login begins another secret
    browser.get(page_of(record))
    said = {**answered(record), "csrfmiddlewaretoken": found[1]}
    where = f"http://testserver{page_of(record)}"
    answer = browser.post(f"{page_of(record)}answer/", said, headers={"Referer": where, "Origin": "http://testserver"})
    assert answer.status_code == 302
    assert "Prompt 7 goes." in browser.get(answer["Location"]).content.decode()
    KeptForm.objects.all().delete()
    strange = browser.post(f"{page_of(record)}answer/", said, headers={"Origin": "http://elsewhere.example"})
    assert strange.status_code == 403
    assert not KeptForm.objects.exists()
    record.refresh_from_db()
    assert record.response == ""


def test_the_address_of_an_answer_leads_to_the_page_above_it(
    client: Client, record: FindingRecord, owner: User, clock: list[float]
) -> None:
    clock[0] = 31 * MINUTE
    where = f"{page_of(record)}answer/"  # the page that a refused form was shown on
    asked = client.post(where, answered(record), headers={"Referer": f"http://testserver{where}"})
    key = KeptForm.objects.get().pk
    assert asked["Location"].endswith(f"answer/%3Fkept%3D{key}")
    log_in(client, "olive")
    again = client.get(f"{where}?kept={key}")
    assert again["Location"] == f"{page_of(record)}?kept={key}"
    assert "Prompt 7 goes." in client.get(again["Location"]).content.decode()


def test_while_it_is_typed_without_a_session_the_script_is_told_so(db: None) -> None:
    assert Client().post("/kept/", {"kept-page": "/", "kept-target": "/"}).status_code == 401


def test_what_is_kept_leads_nowhere_else(client: Client, record: FindingRecord, owner: User) -> None:
    for page in ("https://elsewhere.example/", "//elsewhere.example/", ""):
        assert client.post("/kept/", {"kept-page": page, "kept-target": "/"}).status_code == 400
        assert client.post("/kept/1/discard/", {"page": page})["Location"] == "/"


def test_what_a_script_sends_of_a_draft_when_the_session_is_over_stands_in_the_draft_again(
    client: Client, record: FindingRecord, clock: list[float]
) -> None:
    writer = make_person("wanda", default_team(), [Role.COMPLIANCE_OFFICER])
    actor = Actor(name="wanda", role="site", user=writer)
    row = actions.begin_draft(team=default_team(), name="New", origin="nothing", text="# old\n", actor=actor)
    log_in(client, "wanda")
    page = row.get_absolute_url()
    client.get(page)
    clock[0] = 31 * MINUTE
    typed = {"form": "1", "revision": "1", "agreed": "# old\n", "text": 'title = "Typed late"'}
    answer = client.post(
        f"{page}check/", typed, headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}
    )
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/login/?next={page}")
    log_in(client, "wanda")
    shown = client.get(page).content.decode()
    assert "did not send it" in shown
    assert Boxes(shown).found[page, "text"].strip() == typed["text"]
    row.refresh_from_db()
    assert row.text == "# old\n"
    # Saving it lets go of it.
    assert client.post(page, {**typed, "save": ""}).status_code == 302
    assert not KeptForm.objects.exists()
