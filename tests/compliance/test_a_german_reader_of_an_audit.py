"""A German reader of an audit: the page speaks German, the report within it stays as it was written, rows stay too."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.utils import translation

from compliance.dashboard.event_lines import event_words
from compliance.dashboard.evidence import open_evidence
from compliance.execution.runner import audit_folder
from compliance.models import Audit, Event
from tests.compliance.jobs import freeze, person, request

GERMAN = {"accept-language": "de"}


@pytest.mark.django_db
def test_a_stop_is_recorded_in_the_same_words_whatever_the_language(client: Client) -> None:
    client.force_login(person("ada", "view_audit", "run_audit", "cancel_audit", staff=False))
    told = []
    for number, language in ((1, {"accept-language": "en"}), (2, GERMAN)):
        freeze(request(key=f"key {number}"))
        assert client.post(f"/audits/A-{number:04d}/stop/", headers=language).status_code == 302
        event = Event.objects.select_related("payload").get(object=f"A-{number:04d}", action="audit.stop_requested")
        told.append(json.loads(event.payload.data_json))
    assert told[0] == told[1]
    page = client.get("/audits/A-0002/", headers=GERMAN).content.decode()
    assert "ada hat das Anhalten angefordert" in page
    assert "asked it to stop" not in page


def test_a_report_within_a_german_page_is_said_to_be_english(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/audits/A-0001/", headers=GERMAN).content.decode()
    assert '<html lang="de">' in page
    assert '<h2 id="controls-title">Hätte diese Prüfung es sehen können?</h2>' in page
    card = page.partition('<div lang="en">')[2]
    assert card
    assert "When only race changed from White to Black" in card


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/audits/A-0001/cases/?role=nobody", "ist unbekannt; erwartet wird eines von: actual"),
        ("/findings/?severity=mild", "ist unbekannt; erwartet wird eines von:"),
    ],
)
def test_what_cannot_be_asked_for_is_told_in_german(
    signed_in: Client, finished: Audit, address: str, said: str
) -> None:
    answer = signed_in.get(address, headers=GERMAN)
    assert answer.status_code == 404
    assert said in str(answer.context["exception"])


def test_evidence_that_was_changed_is_named_in_the_language_of_the_reader(signed_in: Client, finished: Audit) -> None:
    name = open_evidence(finished).folder / "controls.json"
    name.write_bytes(b"{}")
    assert audit_folder(finished) in name.parents
    german = signed_in.get("/audits/A-0001/", headers=GERMAN).content.decode()
    english = signed_in.get("/audits/A-0001/", headers={"accept-language": "en"}).content.decode()
    assert "controls.json: ist nicht die Datei aus dem Verzeichnis; erwartet wird SHA-256" in german
    assert "controls.json: is not the file the manifest lists; expected SHA-256" in english


def test_a_rating_is_told_with_both_severities_in_the_readers_language() -> None:
    told = {"from": "high", "severity": "low", "said": "Seen."}
    assert event_words("finding.rated", told) == "severity rated from high to low: Seen."
    with translation.override("de"):
        words = event_words("finding.rated", told)
    assert "hoch" in words
    assert "gering" in words
    assert "high" not in words
