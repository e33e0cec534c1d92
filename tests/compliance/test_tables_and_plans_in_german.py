"""Whoever reads German is told so why a file is refused, and what they write from a table is kept as in English."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import translation

from auditor.exceptions import ModelError
from auditor.policies.packs import catalogue
from compliance.models import PlanDraft, default_team
from compliance.plans.depth import Depth
from compliance.refusals import UploadError, refusal_said
from compliance.registry.pack_page import state_words
from compliance.registry.registration import check_model_source
from tests.compliance.test_tables_become_plans import browser, registered

__all__ = ["browser"]
GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de"}


def test_a_plan_that_is_written_in_german_is_the_same_text(browser: Client) -> None:
    version = registered(browser)
    form = {"write": "", "depth": Depth.WEIGHTS, "business_use": "Loans", "use_case": "mortgage", "place": "US"}
    kept = []
    for headers in ({}, GERMAN):
        assert browser.post(f"/plans/from/{version.pk}/", form, **headers).status_code == 302
        draft = PlanDraft.objects.latest("pk")
        kept.append((draft.name, draft.origin, draft.text, draft.agreed, draft.changes))
    assert kept[0] == kept[1]
    assert '"Mortgages"' in kept[0][2]


def test_a_file_that_is_no_table_is_refused_in_the_language_of_the_page(browser: Client) -> None:
    def refused(**headers: Any) -> str:
        form = {"team": default_team().pk, "name": "Loans", "file": SimpleUploadedFile("loans.csv", b"")}
        answer = browser.post("/register/data/", form, **headers)
        assert answer.status_code == 400
        return answer.content.decode()

    assert "loans.csv: is empty; expected a header and at least one row" in refused()
    page = refused(**GERMAN)
    assert "loans.csv: ist leer; erwartet wird: eine Kopfzeile und mindestens eine Zeile" in page
    assert "expected" not in page


def test_a_refusal_is_translated_whole_or_left_as_it_was_written_and_marked(db: None) -> None:
    with translation.override("de"):
        with pytest.raises(ModelError) as known:
            check_model_source("endpoint:none", team_id=default_team().pk)
        strange = ModelError("m.toml", "is not listed", "what nobody translated")
        said = refusal_said(known.value), refusal_said(strange), str(UploadError("a.csv", "ist leer", "eine Zeile"))
    assert str(known.value) == (
        "model source 'endpoint:none': is not listed; expected a system of this team that two administrators listed"
    )
    assert said == (
        "Modellquelle 'endpoint:none': ist nicht aufgeführt; erwartet wird: ein System dieses Teams, das zwei "
        "Administratoren aufgeführt haben",
        '<span lang="en">m.toml: is not listed; expected what nobody translated</span>',
        "a.csv: ist leer; erwartet wird: eine Zeile",
    )


def test_every_state_of_a_law_has_its_german() -> None:
    with translation.override("de"):
        said = {state: state_words(state) for state in catalogue()["status_state_values"]}
    assert not [state for state, words in said.items() if words == catalogue()["status_state_values"][state]["label"]]
