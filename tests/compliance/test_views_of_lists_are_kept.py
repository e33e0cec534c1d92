"""A view of a list is kept for one person: what they ask for, under a name, and never for or from somebody else."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.test import Client

from compliance import actions
from compliance.actions.saved_views import MOST
from compliance.exceptions import StateError
from compliance.models import Event, SavedView
from tests.compliance.factories import ACTOR, make_audit
from tests.compliance.governed import actor_of
from tests.compliance.teams import make_person

STOPPED = {
    "at": "/audits/",
    "query": "state=stopped&sort=oldest&column=plan&page=3&as=csv",
    "name": " My  stopped ones ",
}


def kept(user: User) -> list[tuple[str, str, str]]:
    return list(SavedView.objects.filter(user=user).values_list("page", "name", "query"))


def test_a_view_is_search_filters_order_and_columns_and_neither_page_nor_file(signed_in: Client, officer: User) -> None:
    answer = signed_in.post("/views/save/", STOPPED)
    assert answer["Location"] == "/audits/?state=stopped&sort=oldest&column=plan"
    assert kept(officer) == [("audits", "My stopped ones", "state=stopped&sort=oldest&column=plan")]
    page = signed_in.get(answer["Location"]).content.decode()
    assert "The view My stopped ones is saved." in page
    found = re.search(r'<a href="([^"]*)"\s*aria-current="true">My stopped ones</a>', page)
    assert found is not None
    assert html.unescape(found[1]) == answer["Location"]
    event = Event.objects.get(action="view.saved")
    assert (event.actor, event.team) == ("officer", None)


def test_saving_under_the_same_name_replaces_and_removing_leaves_the_list_as_it_is(
    signed_in: Client, officer: User
) -> None:
    signed_in.post("/views/save/", STOPPED)
    signed_in.post("/views/save/", {**STOPPED, "query": "state=done"})
    assert [query for _, _, query in kept(officer)] == ["state=done"]
    view = SavedView.objects.get()
    assert signed_in.post(f"/views/{view.pk}/remove/", {"at": "/audits/"})["Location"] == "/audits/"
    assert kept(officer) == []
    assert Event.objects.filter(action="view.removed", object=f"saved view {view.pk}").exists()


def test_what_somebody_else_keeps_is_not_there(signed_in: Client, officer: User) -> None:
    other = make_person("other")
    view = actions.save_view(page="audits", name="Theirs", query="state=done", actor=actor_of(other))
    assert "Theirs" not in signed_in.get("/audits/").content.decode()
    assert signed_in.post(f"/views/{view.pk}/remove/", {"at": "/audits/"}).status_code == 404
    with pytest.raises(PermissionDenied):
        actions.remove_view(view=view, actor=actor_of(officer))
    with pytest.raises(PermissionDenied):
        actions.save_view(page="audits", name="x", query="", actor=ACTOR)  # a command has no account
    assert kept(other) == [("audits", "Theirs", "state=done")]


@pytest.mark.parametrize(
    "at", ["https://elsewhere.example/", "//elsewhere.example/audits/", "/login/", "/nowhere/", ""]
)
def test_nobody_is_led_to_what_is_no_list(signed_in: Client, officer: User, at: str) -> None:
    assert signed_in.post("/views/save/", {**STOPPED, "at": at}).status_code == 404
    assert kept(officer) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"name": "  "}, "name: has 0 characters; expected 1 to 80"),
        ({"name": "x" * 81}, "name: has 81 characters; expected 1 to 80"),
        ({"query": "q=" + "x" * 2000}, "query: has 2,002 characters; expected at most 2,000"),
    ],
)
def test_what_cannot_be_kept_is_told_in_one_line_on_the_list(
    signed_in: Client, officer: User, changed: dict[str, str], line: str
) -> None:
    answer = signed_in.post("/views/save/", {**STOPPED, **changed}, follow=True)
    assert line in html.unescape(answer.content.decode())
    assert kept(officer) == []


def test_somebody_keeps_so_many_views_of_a_list(officer: User) -> None:
    for number in range(MOST):
        actions.save_view(page="audits", name=f"view {number}", query="", actor=actor_of(officer))
    with pytest.raises(StateError, match="there are 50 of this list already"):
        actions.save_view(page="audits", name="one more", query="", actor=actor_of(officer))
    actions.save_view(page="audits", name="view 7", query="state=done", actor=actor_of(officer))
    actions.save_view(page="findings", name="one more", query="", actor=actor_of(officer))


def test_a_view_is_shared_by_its_address_and_shows_what_the_reader_may_see(
    signed_in: Client, officer: User, client: Client
) -> None:
    make_audit()
    address = signed_in.post("/views/save/", {**STOPPED, "query": "sort=oldest"})["Location"]
    assert [line["audit"].number for line in signed_in.get(address).context["lines"]] == ["A-0001"]
    client.force_login(make_person("clerk"))
    assert client.get(address).status_code == 403
