"""A key is set on a system's page, kept sealed for that system's address, read by workers, and shown to nobody."""

from __future__ import annotations

import io
import logging
import stat
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from auditor.exceptions import ModelError, StorageError
from auditor.systems.line import Line
from auditor.systems.listing import read_listed
from auditor.systems.oauth import ClientCredentials
from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.governance.events import Actor
from compliance.models import Event, SystemKey, SystemListing, default_team
from compliance.registry import system_keys
from compliance.registry.key_ring import KeyRing, add_line, keep_newest, read_ring
from compliance.registry.system_keys import SealedKey, site_systems
from compliance.registry.systems import listed_systems
from tests.compliance.factories import ACTOR
from tests.compliance.teams import listing_text, make_person
from tests.compliance.test_systems_are_listed_by_two import admin, listed, propose

SECRET = "sk-live-51H8xYqLmNoPqRsTuV"
HERE = {"source": "endpoint:x", "url": "https://models.example/v1"}
TEXTS = st.text(min_size=1, max_size=60)


@pytest.fixture
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    settings.DATA_FOLDER = tmp_path
    settings.KEYS_FILE = tmp_path / "system-keys"
    return tmp_path


def keys_for(source: str) -> SealedKey | None:
    """Where the key comes from for whoever opens the system now."""
    return system_keys.keys_for(source, site_systems(team_id=default_team().pk).listed(source))


def two() -> tuple[Actor, Actor]:
    return admin("ann"), admin("bob")


def both() -> tuple[Actor, Actor]:
    """The two who are there already."""
    ann, bob = (User.objects.get(username=name) for name in ("ann", "bob"))
    return Actor(name="ann", role="site", user=ann), Actor(name="bob", role="site", user=bob)


def keyed(folder: Path) -> SystemListing:
    ann, bob = two()
    row = listed(ann, bob)
    actions.set_system_key(listing=row, secret=SECRET, actor=ann)
    return row


@given(secret=TEXTS, other=TEXTS)
def test_a_key_opens_for_its_own_destination_and_for_no_other(secret: str, other: str) -> None:
    ring = KeyRing({"a": b"1" * 32})
    sealed = ring.seal(secret, destination=HERE)
    assert ring.unseal(sealed, destination=HERE, where="x") == secret
    with pytest.raises(StateError, match="its key was set for another address, or changed"):
        ring.unseal(sealed, destination={**HERE, "url": other}, where="x")
    assert ring.seal(secret, destination=HERE) != sealed


@given(position=st.integers(0, 40), bit=st.integers(0, 7))
def test_one_changed_bit_does_not_open(position: int, bit: int) -> None:
    ring = KeyRing({"a": b"1" * 32})
    sealed = ring.seal("0123456789abc", destination=HERE)
    changed = bytearray(sealed.data)
    changed[position % len(changed)] ^= 1 << bit
    with pytest.raises(StateError) as refused:
        ring.unseal(type(sealed)(ring_key="a", data=bytes(changed)), destination=HERE, where="endpoint:x")
    assert str(refused.value) == ("endpoint:x: its key was set for another address, or changed; expected it set anew")


@pytest.mark.django_db
def test_the_engine_has_the_key_of_what_is_listed(folder: Path) -> None:
    ann, bob = two()
    row = listed(ann, bob)
    assert keys_for("endpoint:underwriter") is None
    actions.set_system_key(listing=row, secret=SECRET, actor=ann)
    source = keys_for("endpoint:underwriter")
    assert source is not None
    assert source.key().reveal() == SECRET
    line = Line(
        "endpoint:underwriter",
        read_listed(listed_systems("endpoint:underwriter", team_id=row.team_id), "underwriter"),
        keys=source,
        connections=1,
    )
    assert line.headers(header="Authorization", prefix="Bearer ") == {"Authorization": f"Bearer {SECRET}"}
    line.close()
    actions.erase_system_key(listing=row, actor=bob)
    with pytest.raises(ModelError, match="endpoint:underwriter: has no key; expected one that an administrator sets"):
        source.key()
    with pytest.raises(StateError, match="has no key"):
        actions.erase_system_key(listing=row, actor=bob)


@pytest.mark.django_db
def test_a_system_with_a_token_address_takes_its_secret_from_the_store(folder: Path) -> None:
    ann, bob = two()
    oauth = '[endpoint.underwriter.oauth]\ntoken_url = "http://127.0.0.1:9/token"\nclient_id = "plumbline"\n'
    row = listed(ann, bob, listing_text("underwriter") + oauth)
    source = keys_for("endpoint:underwriter")
    assert isinstance(source, SealedKey)  # and says itself that there is none yet
    actions.set_system_key(listing=row, secret=SECRET, actor=ann)
    line = Line(
        "endpoint:underwriter",
        read_listed(listed_systems("endpoint:underwriter", team_id=row.team_id), "underwriter"),
        keys=source,
        connections=1,
    )
    assert isinstance(line._credentials, ClientCredentials)
    line.close()


@pytest.mark.django_db
def test_the_key_is_on_no_page_in_no_event_no_log_no_file_and_no_row(
    folder: Path, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    ann, bob = two()
    row = propose(ann)
    seen = []
    with caplog.at_level(logging.DEBUG):
        client.force_login(ann.user)
        assert client.post(f"/systems/{row.pk}/key/", {"key": "too few"}).status_code == 409
        assert client.post(f"/systems/{row.pk}/key/", {"key": ""}).status_code == 400
        refused = client.post(f"/systems/{row.pk}/key/", {"key": f"{SECRET} with spaces"})
        assert refused.status_code == 409
        answer = client.post(f"/systems/{row.pk}/key/", {"key": f" {SECRET} "}, follow=True)
        assert "The key is set. It is kept sealed and shown to nobody." in answer.content.decode()
        client.force_login(bob.user)
        client.post(f"/systems/{row.pk}/approve/", {"reason": "read"})
        client.force_login(User.objects.create_superuser("root", password="a long password"))
        admin_pages = (f"/admin/compliance/systemlisting/{row.pk}/{page}/" for page in ("change", "history"))
        for page in ("/systems/", f"/systems/{row.pk}/", f"/systems/propose/?from={row.pk}", *admin_pages):
            seen.append(client.get(page, follow=True).content.decode())
        seen.append(refused.content.decode())
    assert keys_for(row.source).key().reveal() == SECRET  # type: ignore[union-attr]
    rows = [repr(list(model._default_manager.values())) for model in apps.get_app_config("compliance").get_models()]
    dumped = io.StringIO()
    call_command("dumpdata", "compliance", "sessions", stdout=dumped)
    files = [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    everything = [*seen, *rows, dumped.getvalue(), *files, caplog.text, repr(keys_for(row.source)), repr(read_ring())]
    assert len(everything) > 20
    assert [text for text in everything if SECRET in text] == []
    told = Event.objects.get(action="system.key_set").payload.data_json
    assert told == '{"replaced":false,"token_url":"","url":"http://127.0.0.1:9/v1"}'
    assert "/admin/compliance/systemkey/" not in "".join(seen)
    assert client.get("/admin/compliance/systemkey/").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_whoever_is_no_administrator_sets_and_erases_no_key(folder: Path, role: Role, client: Client) -> None:
    row = keyed(folder)
    user = make_person("other", default_team(), [role])
    other = Actor(name="other", role="site", user=user)
    for act in (
        lambda: actions.set_system_key(listing=row, secret="another-key", actor=other),
        lambda: actions.erase_system_key(listing=row, actor=other),
    ):
        with pytest.raises(PermissionDenied):
            act()
    client.force_login(user)
    assert client.post(f"/systems/{row.pk}/key/", {"key": "another-key"}).status_code in (403, 404)
    assert keys_for(row.source).key().reveal() == SECRET  # type: ignore[union-attr]


@pytest.mark.django_db
def test_another_version_keeps_the_key_for_the_same_address_alone(folder: Path) -> None:
    row, (ann, bob) = (
        keyed(folder),
        (Actor(name=n, role="site", user=User.objects.get(username=n)) for n in ("ann", "bob")),
    )
    cheaper = propose(bob, listing_text("underwriter", most_requests=9))
    actions.approve_system(listing=cheaper, reason="Read.", actor=ann)
    assert SystemKey.objects.get().listing == cheaper
    assert keys_for(row.source).key().reveal() == SECRET  # type: ignore[union-attr]
    moved = propose(bob, listing_text("underwriter", url="http://127.0.0.1:10/v1"))
    actions.approve_system(listing=moved, reason="Read.", actor=ann)
    assert not SystemKey.objects.exists()  # the old one is erased, and is not sent to the new address
    actions.set_system_key(listing=moved, secret=SECRET, actor=ann)
    actions.withdraw_system(listing=moved, reason="Over.", actor=ann)
    assert not SystemKey.objects.exists()
    with pytest.raises(StateError, match="version 3: is withdrawn; expected one that is proposed or listed"):
        actions.set_system_key(listing=moved, secret=SECRET, actor=ann)


@pytest.mark.django_db
def test_a_row_moved_to_another_system_does_not_open(folder: Path) -> None:
    row = keyed(folder)
    ann, bob = both()
    other = listed(ann, bob, listing_text("thief", url="https://thief.example/v1"))
    SystemKey.objects.filter(listing=row).update(listing=other)
    with pytest.raises(ModelError, match="endpoint:thief: its key was set for another address, or changed"):
        keys_for("endpoint:thief").key()  # type: ignore[union-attr]


@pytest.mark.django_db
def test_rotating_seals_every_key_anew_and_the_older_line_opens_nothing(folder: Path) -> None:
    row = keyed(folder)
    before, sealed = read_ring(), bytes(SystemKey.objects.get().sealed)
    said = io.StringIO()
    call_command("rotate_keys", stdout=said)
    assert "1 key sealed anew" in said.getvalue()
    after = read_ring()
    assert not set(before.keys) & set(after.keys)
    assert len(after.keys) == 1
    assert SystemKey.objects.get().ring_key == after.newest
    assert bytes(SystemKey.objects.get().sealed) != sealed
    assert keys_for(row.source).key().reveal() == SECRET  # type: ignore[union-attr]
    assert Event.objects.get(action="system.keys_rotated").payload.data_json == (
        f'{{"keys":1,"ring_key":"{after.newest}"}}'
    )


@pytest.mark.django_db
def test_a_rotation_that_was_stopped_loses_nothing(folder: Path) -> None:
    row = keyed(folder)
    add_line()  # and then nothing more happened
    assert len(read_ring().keys) == 2
    assert keys_for(row.source).key().reveal() == SECRET  # type: ignore[union-attr]
    actions.rotate_keys(actor=ACTOR)
    assert keys_for(row.source).key().reveal() == SECRET  # type: ignore[union-attr]
    assert len(read_ring().keys) == 1


@pytest.mark.django_db
def test_without_the_line_that_sealed_it_a_key_is_said_to_be_set_anew(folder: Path) -> None:
    row = keyed(folder)
    add_line()
    keep_newest()
    with pytest.raises(ModelError, match=r"underwriter: the file of keys lacks [0-9a-f]{12}; expected it, or the key"):
        keys_for(row.source).key()  # type: ignore[union-attr]
    with pytest.raises(StateError, match="the file of keys lacks"):
        actions.rotate_keys(actor=ACTOR)
    assert len(read_ring().keys) == 2  # nothing was taken away


def test_the_file_of_keys_is_its_owners_alone_and_says_nothing_where_it_is_damaged(folder: Path) -> None:
    first = read_ring()
    file = folder / "system-keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_ring().keys == first.keys
    assert [path.name for path in folder.iterdir()] == ["system-keys"]
    for content in ("hunter22hunter22", "", "aHVudGVyMjI=\n", "h\u00fcnter"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(StorageError, match="does not hold keys; expected lines of 32 bytes") as refused:
            read_ring()
        assert "hunter" not in str(refused.value)
    file.unlink()
    file.mkdir()
    with pytest.raises(StorageError, match="system-keys: cannot be opened: is a directory"):
        read_ring()


@pytest.mark.django_db
def test_what_is_kept_is_not_what_was_set(folder: Path) -> None:
    keyed(folder)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed FROM compliance_systemkey")
        sealed: Any = cursor.fetchone()[0]
    assert SECRET.encode() not in bytes(sealed)
    assert len(bytes(sealed)) == 12 + len(SECRET) + 16
