"""The list of cases has its columns chosen, and says the outcomes of cases in words of their own."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from compliance.models import Audit

SINGLES = "/audits/A-0001/cases/"
PAIRS = f"{SINGLES}?arm=race=White|race=Black"


def heads(page: str, title: str) -> list[str]:
    table = re.search(rf'aria-label="{title}[^"]*".*?<thead>(.*?)</thead>', page, re.DOTALL)
    assert table is not None, page[:500]
    return [re.sub(r"<[^>]+>", "", head).strip() for head in re.findall(r"<th[^>]*>(.*?)</th>", table[1], re.DOTALL)]


@pytest.mark.parametrize(
    ("at", "column", "shown"),
    [(SINGLES, "outcome", ["Case", "Outcome"]), (PAIRS, "shift", ["Application", "Shift, logits"])],
)
def test_the_columns_that_are_chosen_are_shown_and_kept_over_pages(
    signed_in: Client, finished: Audit, at: str, column: str, shown: list[str]
) -> None:
    joined = "&" if "?" in at else "?"
    page = signed_in.get(f"{at}{joined}column={column}").content.decode()
    assert heads(page, "Cases") == shown
    assert re.search(rf'name="column"\s+value="{column}"\s+checked', page)
    links = [html.unescape(link) for link in re.findall(r'href="(\?[^"]*page=2[^"]*)"', page)]
    assert all(f"column={column}" in link for link in links)
    assert len(heads(signed_in.get(at).content.decode(), "Cases")) > 2


def test_a_column_that_is_not_there_is_refused(signed_in: Client, finished: Audit) -> None:
    assert signed_in.get(f"{SINGLES}?column=prompt").status_code == 404


def test_no_two_outcomes_are_called_alike(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get(SINGLES).content.decode()
    select = re.search(r'<select id="outcome".*?</select>', page, re.DOTALL)
    assert select is not None
    words = [" ".join(found.split()) for found in re.findall(r"<option[^>]*>(.*?)</option>", select[0], re.DOTALL)]
    assert len(words) == len(set(words)) == 6
