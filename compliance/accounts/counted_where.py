"""Where wrong passwords and codes are counted: without Redis by each process for itself, and that is said."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Info, Tags, Warning, register
from django.db import connection

IN_PROCESS = "django.core.cache.backends.locmem.LocMemCache"
COUNTED = "wrong passwords and codes are counted by each process for itself, as no REDIS_URL is set"
EXPECTED = "expected REDIS_URL where more than one process serves the site, or lock-outs come later"
logger = logging.getLogger(__name__)


def counted_apart() -> str:
    """The line that says so; empty where all processes count together."""
    return f"{COUNTED}; {EXPECTED}" if settings.CACHES["default"]["BACKEND"] == IN_PROCESS else ""


def may_be_many() -> bool:
    """Whether several processes are likely: one file of SQLite is served by one, a database server by any number."""
    return connection.vendor != "sqlite"


@register(Tags.security, deploy=True)
def check_where_attempts_are_counted(**_: Any) -> list[CheckMessage]:
    """For ``check --deploy``: a warning with a database server, else a remark."""
    if not counted_apart():
        return []
    kind, number = (Warning, "W002") if may_be_many() else (Info, "I001")
    return [kind(COUNTED, hint=EXPECTED, id=f"compliance.{number}")]


def say_where_attempts_are_counted() -> None:
    """One line in the log of a server that starts, where it may be one of several."""
    if counted_apart() and may_be_many():
        logger.warning("%s", counted_apart())
