"""The pages there are: who sees them, and that they change nothing."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.core.cache import caches
from django.db import connection
from django.test import Client

from compliance.access.roles import Role
from compliance.models import Audit, Membership, default_team
from tests.compliance.factories import make_audit
from tests.compliance.teams import UNLISTED

REGISTERS = [model._meta.model_name for model in apps.get_app_config("compliance").get_models()
             if model._meta.model_name not in UNLISTED]  # fmt: skip

# What may be changed there, by action; test_access_administration.py tries it.
CHANGEABLE = {"languagemodel", "membership", "release", "team"}


@pytest.fixture
def reader(db: None) -> User:
    """Somebody who may look at everything, and by mistake was given every other permission too."""
    user = User.objects.create_user("reader", password="a long password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="compliance"))
    Membership.objects.create(team=default_team(), user=user, role=Role.INTERNAL_AUDIT)
    return user


@pytest.mark.parametrize("register", REGISTERS)
def test_nobody_reads_a_register_without_logging_in(db: None, client: Client, register: str) -> None:
    answer = client.get(f"/admin/compliance/{register}/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("register", REGISTERS)
def test_staff_without_permission_are_refused(client: Client, register: str, db: None) -> None:
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(f"/admin/compliance/{register}/").status_code == 403


@pytest.mark.parametrize("register", REGISTERS)
def test_readers_look_and_nobody_edits(client: Client, register: str, reader: User) -> None:
    make_audit()
    client.force_login(reader)
    page = f"/admin/compliance/{register}/"
    assert client.get(page, {"q": "1"}).status_code == 200
    if register in CHANGEABLE:
        return
    assert client.get(page + "add/").status_code == 403
    row = apps.get_model("compliance", register).objects.first()
    if row is not None:
        assert client.get(f"{page}{row.pk}/change/").status_code == 200
        assert client.post(f"{page}{row.pk}/change/", {}).status_code == 403
        assert client.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_frozen_run_is_shown_and_not_offered_for_editing(client: Client, reader: User) -> None:
    audit = make_audit()
    client.force_login(reader)
    page = client.get(f"/admin/compliance/audit/{audit.pk}/change/").content.decode()
    assert audit.run_sha256 in page
    assert "<textarea" not in page
    assert Audit.objects.get().run_sha256 == audit.run_sha256


def test_every_page_forbids_foreign_and_inline_code(db: None, client: Client) -> None:
    policy = client.get("/admin/login/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_health_is_good_while_database_and_redis_answer(
    db: None, client: Client, redis_url: str, settings: LazySettings
) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_url}}
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"database": True, "cache": True})
    caches["default"].close()


def test_health_is_bad_when_redis_is_gone(db: None, client: Client, settings: LazySettings) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9/0"}
    }
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"database": True, "cache": False})


def test_a_site_whose_database_waits_for_its_tables_is_well_but_not_ready(db: None, client: Client) -> None:
    assert client.get("/readyz").json() == {"database": True, "tables": True, "cache": True}
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'compliance'")
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"database": True, "tables": False, "cache": True})
