"""What the operating system or the engine says stands in no German sentence in English without being marked as it."""

from __future__ import annotations

import errno
import os

import pytest
from django.test import Client
from django.utils import translation

from compliance.access.roles import Role
from compliance.dashboard.evidence import open_evidence
from compliance.exceptions import EvidenceError
from compliance.execution.runner import audit_folder
from compliance.models import Audit, default_team
from compliance.refusals import SYSTEM_SAYS, reason_said
from tests.compliance.teams import make_person

USUAL = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENOSPC, errno.EIO, errno.EROFS,
         errno.EMFILE, errno.ESTALE, errno.EDQUOT)  # fmt: skip


@pytest.mark.parametrize("number", USUAL)
def test_a_usual_reason_is_said_in_german(number: int) -> None:
    error = OSError(number, os.strerror(number))
    assert reason_said(error) in SYSTEM_SAYS
    with translation.override("de"):
        german = reason_said(error)
    assert german not in SYSTEM_SAYS
    assert os.strerror(number).lower() not in german.lower()


def test_a_reason_that_nobody_translated_is_said_by_its_number() -> None:
    error = OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    assert reason_said(error) == "too many levels of symbolic links"
    with translation.override("de"):
        assert reason_said(error) == f"Fehler {errno.ELOOP} des Betriebssystems"


def test_evidence_that_is_gone_is_told_in_german_alone(finished: Audit) -> None:
    (audit_folder(finished) / "evidence.zip").unlink()
    with translation.override("de"), pytest.raises(EvidenceError, match="Datei oder Ordner fehlt"):
        open_evidence(finished)


@pytest.mark.django_db
def test_what_the_engine_says_of_a_system_is_marked_as_english(client: Client) -> None:
    team = default_team()
    client.force_login(make_person("ada", team, [Role.ADMINISTRATOR]))
    sent = {"team": team.pk, "text": "[endpoint.x]\ndialect = 3\n", "reason": "x"}
    client.cookies["plumbline_language"] = "de"
    german = client.post("/systems/propose/", sent)
    assert german.status_code == 400
    assert '<span class="error"><span lang="en">' in german.content.decode()
    client.cookies["plumbline_language"] = "en-gb"
    english = client.post("/systems/propose/", sent).content.decode()
    assert '<span class="error">' in english
    assert '<span lang="en">' not in english
