"""A filter that a page does not know is refused in one line: neither everything nor an empty list stands for it."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils.html import escape

from compliance.models import Audit
from tests.compliance.governed import open_finding

CASES = "/audits/A-0001/cases/"

UNKNOWN = {
    f"{CASES}?arm=nonsense": "arm: 'nonsense' is unknown; expected one of: ",
    f"{CASES}?arm=race=White|race=Martian": "arm: 'race=Martian' is unknown; expected one of: ",
    f"{CASES}?role=none": "role: 'none' is unknown; expected one of: actual, counterfactual, placebo, reask",
    f"{CASES}?outcome='--": 'outcome: "\'--" is unknown; expected one of: ',
    f"{CASES}?arm=race=White|race=Black&flipped=up": "flipped: 'up' is unknown; expected one of: any, against, towards",
    f"{CASES}?arm=race=White|race=Black&pair=none": "pair: 'none' is unknown; expected one of: ",
    "/findings/?severity=awful": "severity: 'awful' is unknown; expected one of: ",
    "/findings/?state=shut": "state: 'shut' is unknown; expected one of: live, open, acknowledged",
    "/findings/?owner=nobody-else": "owner: 'nobody-else' is unknown; expected one of: nobody",
    "/findings/?overdue=no": "overdue: 'no' is unknown; expected one of: yes",
    "/findings/?sort=colour": "sort: 'colour' is unknown; expected one of: severity, due, last, first, number",
    "/findings/?age=31": "age: '31' is unknown; expected one of: 30, 90, 180, older",
    "/models/?tier=7": "tier: '7' is unknown; expected one of: 1, 2, 3, 4",
    "/models/?conclusion=FINE": "conclusion: 'FINE' is unknown; expected one of: ",
}


@pytest.mark.parametrize("address", UNKNOWN)
def test_an_unknown_choice_is_one_line(signed_in: Client, finished: Audit, address: str) -> None:
    answer = signed_in.get(address)
    assert answer.status_code == 404
    assert escape(UNKNOWN[address]) in answer.content.decode()


def test_the_cases_of_several_arms_are_those_of_all_of_them(signed_in: Client, finished: Audit) -> None:
    both = signed_in.get(f"{CASES}?arm=race=White&role=").context["found"].total
    more = signed_in.get(f"{CASES}?arm=race=White|race=Black|race=Hispanic").context["found"].total
    assert more > both > 0


def test_no_code_and_no_arm_is_shown_as_it_is_written_in_files(signed_in: Client, finished: Audit) -> None:
    pairs = f"{CASES}?arm=race=White|race=Black"
    for address in ("/", "/models/", "/findings/", "/audits/", f"/models/{finished.model_id}/", CASES, pairs):
        page = signed_in.get(address).content.decode()
        shown = re.sub(r"<[^>]*>", " ", page)
        assert re.search(r"\b(DIFFERENCE_FOUND|EQUIVALENT_WITHIN_MARGIN|INCONCLUSIVE|NO_EVIDENCE)\b", shown) is None, (
            address
        )
        assert "race=" not in shown, address
    # On the page of an audit the code stands once, small behind its words.
    whole = re.sub(r"<[^>]*>", " ", signed_in.get("/audits/A-0001/").content.decode())
    assert whole.count("DIFFERENCE_FOUND") == 1


def test_a_long_word_is_cut_and_none_is_markup(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/findings/", {"severity": "<b>" + "x" * 5000}).content.decode()
    assert "<b>x" not in page
    assert "x" * 58 not in page


@pytest.mark.parametrize("asked", ["earlier=A-0001&later=A-0001", "later=A-0001"])
def test_versions_that_do_not_fit_are_not_replaced_by_others(signed_in: Client, finished: Audit, asked: str) -> None:
    answer = signed_in.get(f"/models/{finished.model_id}/?{asked}")
    assert answer.status_code == 200
    assert "expected two finished audits of one design on the same data" in answer.content.decode()
    assert answer.context["comparison"] is None


def test_an_audit_that_is_not_of_this_model_is_unknown(signed_in: Client, finished: Audit) -> None:
    assert signed_in.get(f"/models/{finished.model_id}/?earlier=A-0099").status_code == 404


def test_home_does_not_say_that_nothing_waits_beside_open_findings(signed_in: Client, finished: Audit) -> None:
    open_finding()
    page = signed_in.get("/").content.decode()
    assert "Nothing waits for you" not in page
    assert "No task of yours is due" in page
