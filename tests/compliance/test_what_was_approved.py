"""An approval is of what was approved: another word about a model, or another version, ends it, with an event."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from compliance import actions
from compliance.exceptions import StateError
from compliance.governance.attestation import problems
from compliance.governance.events import Actor
from compliance.models import Approval, Event, LanguageModel
from tests.records import NO_FILES

pytestmark = pytest.mark.django_db
WRITER, SECOND = (Actor(name=name, role="command line") for name in ("ada", "second"))


@pytest.fixture
def model() -> LanguageModel:
    """A language model of one version, approved by a second person."""
    row = actions.register_model(source="U", sha256="1" * 64, manifest=NO_FILES, actor=WRITER).language_model
    actions.decide_on_language_model(language_model=row, approval=Approval.APPROVED, actor=SECOND)
    assert row.approved
    return row


def described(**description: object) -> Callable[[LanguageModel], object]:
    return lambda model: actions.describe_language_model(language_model=model, description=description, actor=WRITER)


def another_version(model: LanguageModel) -> object:
    return actions.register_model(source="U", sha256="2" * 64, manifest=NO_FILES, actor=WRITER, language_model=model)


CHANGES = {
    "name": (described(name="V"), "its name changed"),
    "owner": (described(owner="Eve"), "its owner changed"),
    "purpose": (described(purpose="Pricing"), "its purpose changed"),
    "role": (described(decision_role="determinative"), "its decision role changed"),
    "tier": (described(risk_tier=4), "its risk tier changed"),
    "access": (described(access="outputs"), "its access level changed"),
    "two": (described(purpose="Pricing", risk_tier=1), "its purpose and risk tier changed"),
    "version": (another_version, f"version {'2' * 12} was registered"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_the_approval_with_an_event_and_the_reason(
    model: LanguageModel, settings: LazySettings, tmp_path: Path, change: str
) -> None:
    act, why = CHANGES[change]
    act(model)
    row = LanguageModel.objects.get()
    words = f"its approval ended when {why}; it has to be approved again"
    assert (row.approval, row.approved_sha256, row.approval_words) == ("proposed", "", f"Proposed: {words}")
    event = Event.objects.order_by("seq").last()
    assert event is not None
    assert (event.action, event.actor, event.object) == ("language_model.approval_ended", "ada", row.event_object)
    assert words in event.payload.data_json
    assert list(problems(folder=tmp_path)) == []
    actions.decide_on_language_model(language_model=row, approval=Approval.APPROVED, actor=SECOND)
    row.refresh_from_db()
    assert row.approval_words == "Approved for its purpose"


def test_saying_the_same_again_or_registering_the_same_files_leaves_it_approved(model: LanguageModel) -> None:
    described(purpose="", owner="")(model)
    actions.register_model(source="U", sha256="1" * 64, manifest=NO_FILES, actor=WRITER, language_model=model)
    assert LanguageModel.objects.get().approved


def test_what_is_retired_or_proposed_loses_nothing_by_a_change(model: LanguageModel) -> None:
    actions.decide_on_language_model(language_model=model, approval=Approval.RETIRED, actor=SECOND)
    described(purpose="Pricing")(model)
    another_version(model)
    assert LanguageModel.objects.get().approval == "retired"
    assert not Event.objects.filter(action="language_model.approval_ended").exists()


def test_what_is_approved_is_what_the_register_holds_and_not_what_somebody_read_before(model: LanguageModel) -> None:
    described(purpose="Pricing")(model)
    stale = LanguageModel.objects.get()
    described(purpose="Collections")(LanguageModel.objects.get())
    actions.decide_on_language_model(language_model=stale, approval=Approval.APPROVED, actor=SECOND)
    row = LanguageModel.objects.get()
    assert row.approved
    assert row.approved_sha256 == row.fingerprint()
    assert '"purpose":"Collections"' in Event.objects.order_by("seq").last().payload.data_json  # type: ignore[union-attr]


def test_who_read_it_before_it_was_approved_ends_the_approval_all_the_same(model: LanguageModel) -> None:
    described(purpose="Pricing")(model)
    stale = LanguageModel.objects.get()
    actions.decide_on_language_model(language_model=LanguageModel.objects.get(), approval="approved", actor=SECOND)
    assert stale.approval == "proposed"
    another_version(stale)
    assert LanguageModel.objects.get().approval == "proposed"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE compliance_languagemodel SET purpose = 'Pricing'",
        "UPDATE compliance_languagemodel SET risk_tier = 4",
        f"UPDATE compliance_languagemodel SET approved_sha256 = '{'0' * 64}'",
    ],
)
def test_a_change_past_the_actions_is_shown_and_named(model: LanguageModel, tmp_path: Path, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    row = LanguageModel.objects.get()
    assert not row.approved
    assert row.approval_words == "Not approved: it is not what was approved, and no event tells of the change"
    assert [line for line in problems(folder=tmp_path) if "event" in line]


def test_an_approval_of_before_it_was_kept_of_what_does_not_stand(model: LanguageModel) -> None:
    LanguageModel.objects.update(approved_sha256="")
    assert LanguageModel.objects.get().approval_words.startswith("Not approved: it was approved before it was kept of")


def test_the_administration_says_where_it_stands_and_why(model: LanguageModel, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    page = f"/admin/compliance/languagemodel/{model.pk}/change/"
    assert "Approved for its purpose" in client.get(page).content.decode()
    form = {"name": "U", "owner": "", "purpose": "Pricing", "decision_role": "advisory", "risk_tier": 2}
    client.post(page, {**form, "access": "internals"})
    for address in (page, "/admin/compliance/languagemodel/"):
        assert "its approval ended when its purpose changed" in client.get(address).content.decode()
    with pytest.raises(StateError, match="described or registered it"):
        actions.decide_on_language_model(
            language_model=model, approval=Approval.APPROVED, actor=Actor(name="root", role="administration")
        )
