"""Events keep days as 2026-12-05; a history says them as every other page says days, in the reader's language."""

from __future__ import annotations

import pytest
from django.utils import translation

from compliance.dashboard.event_lines import event_words
from compliance.dates import iso_day_said

TOLD = {
    "finding.answered": {"due": {"from": "", "to": "2026-12-05"}},
    "finding.risk_accepted": {"until": "2026-12-05", "said": "Small."},
    "finding.acceptance_expired": {"accepted_until": "2026-12-05"},
    "finding.acceptance_revoked": {"accepted_until": "2026-12-05", "said": "Grew."},
}


@pytest.mark.parametrize("action", TOLD)
@pytest.mark.parametrize(("language", "day"), [("en-gb", "5 Dec 2026"), ("de", "5. Dez 2026")])
def test_a_day_in_a_history_reads_as_on_the_page(action: str, language: str, day: str) -> None:
    with translation.override(language):
        words = event_words(action, TOLD[action])
    assert day in words
    assert "2026-12-05" not in words


def test_a_due_date_that_was_taken_away_is_none() -> None:
    assert event_words("finding.answered", {"due": {"from": "2026-12-05", "to": ""}}) == "due date: none"


@pytest.mark.parametrize("text", ["", "soon", "2026-13-41", "2026-12-05 or later"])
def test_what_is_no_day_is_said_as_it_is_kept(text: str) -> None:
    assert iso_day_said(text) == text
