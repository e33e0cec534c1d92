"""Every address of the site meets odd ids, odd queries and odd bodies: an answer below 500, whoever asks.

The addresses come from the resolver, so a new page is asked as well. ``PLUMBLINE_TEST_ADDRESSES=200`` asks each more
often, ``PLUMBLINE_TEST_SEED`` repeats what a run printed.
"""

from __future__ import annotations

import os
import random
import re
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import get_resolver, reverse

from compliance.models import PlanDraft, default_team
from compliance.plans.shelf import ready_made
from tests.compliance.teams import rows_of
from tests.compliance.test_access_of_every_address import LINES, addresses

COUNT = int(os.environ.get("PLUMBLINE_TEST_ADDRESSES", "1"))
SEED = int(os.environ.get("PLUMBLINE_TEST_SEED", str(secrets.randbelow(10**6))))
DEEP = 100_000

IDS = (
    "9" * 24, "-1", "0", "00", "1e9", "٣", "²", "%00", "a%00b", "%ff%fe", "💩", "../../etc/passwd", "x" * 5_000, "null",
    "'", '"><script>', "%0d%0aSet-Cookie:a=b", "A-" + "9" * 24, "A-0000", "A-٣٣٣٣",
    "00000000-0000-0000-0000-000000000000",
    "_5F_5", "1_2F3", "{}", "True",
)  # fmt: skip
VALUES = (
    *IDS, "", "1", "9" * 5_000, "-9" * 12, "1.5", "nan", "1e400", "2026-02-30", "9999-12-31", "[", "{" * 500, "true",
    "on", "data:text/html,x", "\r\n", "\x00", "\ud83d\udca9", "\u202e", "A-0001",
)  # fmt: skip
ASKED = (
    "page", "p", "q", "o", "e", "all", "_facets", "_popup", "_to_field", "_changelist_filters", "state",
    "state__exact", "created_at__year", "created_at__gte", "created_at__isnull", "id__exact", "pk__in",
    "team__id__exact", "audit__team", "governed__exact", "plans", "models", "data", "model", "queue",
    "priority", "token", "from", "offset", "again", "next", "group", "field", "sort", "severity", "test",
    "only", "kind", "app_label", "model_name", "field_name", "term", "tab",
)  # fmt: skip
SENT = (
    *ASKED, "action", "_selected_action", "index", "select_across", "_save", "_continue", "login", "password",
    "username", "name", "source", "team", "mapping", "register", "file_name", "size", "text", "agreed",
    "revision", "form", "check", "origin", "reason", "plan", "user", "role", "audit", "reader", "expires_at",
    "expires_at_0", "expires_at_1", "oldpassword", "password1", "password2", "again", "owner", "purpose",
    "decision_role", "risk_tier", "access",
)  # fmt: skip
TEXTS = (
    "a = " + "[" * DEEP + "]" * DEEP,
    "a = " + "{a=" * 2_000 + "1" + "}" * 2_000,
    ".".join("k" * 100_000) + " = 1",
    "[" + ".".join("k" * 100_000) + "]",
    "a = " + "9" * 100_000,
    "a = 0x" + "f" * 100_000,
    "a = 1e" + "9" * 1_000,
    "a = 99999-99-99T99:99:99Z",
    'a = "\\uD800"',
    "\x00",
    "a = nan\nb = inf",
    "[[fields]]\n" * 5_000,
    "schema = 1\nname = []\n[run]\nmodel = {}\n[cases]\nlimit = 1e999\n",
    "[prompt]\ntemplate = " + '"' + "{" * 10_000 + '"',
    '[[attributes]]\nfield = "x"\ngroups = [[[[[]]]]]\n',
)
BODIES = (
    ("application/json", b"[" * DEEP),
    ("application/json", b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    ("application/x-www-form-urlencoded", b"\xff\xfe=\xff&text=\xff&mapping=\xfe"),
    ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(1_100))),
    ("application/x-www-form-urlencoded; charset=utf-16", b"a=b"),
    ("application/x-www-form-urlencoded; charset=nonsense", b"a=b"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n"),
    ("multipart/form-data", b"--x"),
    ("multipart/form-data; boundary=\xc3\xa9", b"--x"),
    ("text/plain", b"\x00" * 100),
    ("", b""),
)  # fmt: skip


def path_of(route: str, rows: dict[str, Any], draw: random.Random) -> str:
    """An address of a route: what stands for a row is one that is there, or something odd."""
    good = LINES[route].path.format(**rows)
    if "<" not in route or draw.random() < 0.3:
        return good
    if "(?P" in route:
        return "/" + re.sub(r"\(\?P<[^)]*\)", lambda _: draw.choice(IDS), route).strip("^$").replace("^", "").rstrip(
            "$"
        )
    return "/" + re.sub(r"<[^>]*>", lambda _: _escaped(draw.choice(IDS)), route)


def _escaped(text: str) -> str:
    return text if "%" in text else quote(text, safe="./")


def query(draw: random.Random) -> str:
    names = [draw.choice(ASKED) for _ in range(draw.choice((1, 1, 2, 5)))]
    pairs = [f"{name}{draw.choice(('', '', '[]', '__in', '__year'))}={_sent(draw.choice(VALUES))}" for name in names]
    return "&".join(pairs * draw.choice((1, 1, 2)))


def _sent(text: str) -> str:
    return text if "%" in text else quote(text.encode("utf-8", "surrogatepass"), safe="")


def form(draw: random.Random) -> bytes:
    names = draw.sample(SENT, draw.choice((1, 3, 10, len(SENT))))
    return "&".join(f"{name}={_sent(draw.choice(VALUES))}" for name in names).encode()


def requests(rows: dict[str, Any], draw: random.Random) -> Iterator[tuple[str, str, str, bytes]]:
    """Method, address, kind and content of what is sent."""
    for route in sorted(set(addresses(get_resolver()))):
        for _ in range(COUNT):
            yield "GET", path_of(route, rows, draw), "", b""
            yield "GET", f"{path_of(route, rows, draw)}?{query(draw)}", "", b""
            yield "POST", path_of(route, rows, draw), "application/x-www-form-urlencoded", form(draw)
        kind, content = draw.choice(BODIES)
        yield (
            draw.choice(("POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")),
            path_of(route, rows, draw),
            kind,
            content,
        )


@pytest.fixture
def browsers(db: None, settings: LazySettings, tmp_path: Any) -> dict[str, Client]:
    settings.DATA_FOLDER = tmp_path / "data"
    settings.DATA_FOLDER.mkdir()
    settings.ACCOUNT_RATE_LIMITS = {}
    found = {who: Client(raise_request_exception=False) for who in ("root", "nobody")}
    found["root"].force_login(User.objects.create_superuser("root", password="a long password"))
    return found


def ask(client: Client, method: str, address: str, kind: str, content: bytes) -> str:
    """What is wrong with the answer; nothing of what was done stays."""
    with transaction.atomic():
        try:
            answer = client.generic(method, address, content, content_type=kind or "application/octet-stream")
            if hasattr(answer, "streaming_content"):
                list(answer.streaming_content)
            status = answer.status_code
        except Exception as error:  # of the client, or of an answer that is written while it is read
            return f"{method} {address[:200]} {kind} {content[:200]!r}: {type(error).__name__}: {str(error)[:200]}"
        finally:
            transaction.set_rollback(True)
    return f"{method} {address[:200]} {kind} {content[:300]!r}: {status}" if status >= 500 else ""


def test_odd_requests_of_every_address_are_answered(browsers: dict[str, Client]) -> None:
    draw = random.Random(SEED)
    rows = rows_of(default_team(), name="own")
    wrong = []
    for request in requests(rows, draw):
        who = "root" if draw.random() < 0.9 else "nobody"
        wrong.append(ask(browsers[who], *request))
    assert len(wrong) > 600
    assert [line for line in wrong if line] == [], f"PLUMBLINE_TEST_SEED={SEED}"


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_odd_texts_are_refused_where_plans_and_mappings_are_written(browsers: dict[str, Client], number: int) -> None:
    text, client = TEXTS[number], browsers["root"]
    own = rows_of(default_team(), name="own")
    client.post(reverse("plan_new"), {"team": default_team().pk, "origin": f"ready:{next(iter(ready_made()))}"})
    draft = PlanDraft.objects.order_by("-pk")[0]
    own["registration"].__class__.objects.filter(pk=own["registration"].pk).update(
        kind="data", state="mapping", file="data/none.csv", source="none.csv"
    )
    where = {
        f"/plans/drafts/{draft.pk}/": {"text": text, "agreed": text, "revision": "1", "check": ""},
        f"/plans/drafts/{draft.pk}/check/": {"text": text, "agreed": draft.text, "form": "1", "revision": "1"},
        f"/register/{own['registration'].public_id}/": {"mapping": text, "register": ""},
    }
    for address, sent in where.items():
        content = "&".join(f"{name}={quote(value.encode(), safe='')}" for name, value in sent.items()).encode()
        assert ask(client, "POST", address, "application/x-www-form-urlencoded", content) == ""
