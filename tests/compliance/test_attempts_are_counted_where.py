"""Where no Redis is set, wrong passwords are counted by each process: the check and the log of a server say so."""

from __future__ import annotations

import logging

import pytest
from django.conf import LazySettings

from compliance.accounts import counted_where

REDIS = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://host/0"}}
OWN = {"default": {"BACKEND": counted_where.IN_PROCESS}}


@pytest.mark.parametrize(("many", "number"), [(True, "compliance.W002"), (False, "compliance.I001")])
def test_the_check_says_so_and_warns_where_processes_may_be_many(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, many: bool, number: str
) -> None:
    settings.CACHES = OWN
    monkeypatch.setattr(counted_where, "may_be_many", lambda: many)
    (said,) = counted_where.check_where_attempts_are_counted()
    assert said.id == number
    assert said.level == (logging.WARNING if many else logging.INFO)
    counted_where.say_where_attempts_are_counted()
    assert ("counted by each process for itself" in caplog.text) is many


def test_nothing_is_said_where_all_count_together(settings: LazySettings, caplog: pytest.LogCaptureFixture) -> None:
    settings.CACHES = REDIS
    assert counted_where.check_where_attempts_are_counted() == []
    counted_where.say_where_attempts_are_counted()
    assert caplog.text == ""
