"""An audit's numbers are narrowed to a test, a group and a conclusion, on the page and in its files."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from django.test import Client

from compliance.dashboard import number_filter
from compliance.models import Audit, MeasurementRow

EVERY = "/audits/A-0001/numbers/every/"


def rows(client: Client, **asked: str) -> list[dict[str, Any]]:
    answer = client.get(EVERY, {**asked, "as": "json"})
    found: list[dict[str, Any]] = json.loads(b"".join(answer))["rows"]
    return found


def test_page_and_file_show_what_each_filter_lets_through(signed_in: Client, finished: Audit) -> None:
    kept = MeasurementRow.objects.filter(audit=finished)
    answer = signed_in.get(EVERY)
    choices = answer.context["choices"]
    assert {value for value, _ in choices.tests} == set(kept.values_list("test", flat=True))
    for test, words in choices.tests:
        page = signed_in.get(EVERY, {"test": test})
        count = kept.filter(test=test).count()
        assert f"{count:,} of {kept.count():,} shown" in page.content.decode()
        assert page.content.decode().partition("<tbody>")[2].count("<tr>") == count
        assert {row["test"] for row in rows(signed_in, test=test)} == {test}
        assert words
    found = rows(signed_in, group="Black", conclusion="DIFFERENCE_FOUND")
    expected = kept.filter(subject__group="Black", conclusion="DIFFERENCE_FOUND")
    assert sorted(row["id"] for row in found) == sorted(expected.values_list("key", flat=True))
    assert found
    drawn = rows(signed_in, conclusion="none")
    assert len(drawn) == kept.filter(conclusion=None).count()


def test_the_files_of_a_page_keep_what_it_was_narrowed_to(signed_in: Client, finished: Audit) -> None:
    page = html.unescape(signed_in.get(EVERY, {"group": "Black"}).content.decode())
    assert f'href="{EVERY}?group=Black&table=every&as=csv"' in page


def test_filters_that_nothing_fits_together_say_so(signed_in: Client, finished: Audit) -> None:
    kept = MeasurementRow.objects.filter(audit=finished)
    alone = {row.test for row in kept} - {row.test for row in kept if row.subject.get("group") == "Black"}
    page = signed_in.get(EVERY, {"test": min(alone), "group": "Black"}).content.decode()
    assert "No number matches." in page
    assert "<table" not in page


@pytest.mark.parametrize("asked", ["test=nonsense", "group=Martian", "conclusion=fine"])
def test_what_no_number_is_of_is_refused_in_one_line(signed_in: Client, finished: Audit, asked: str) -> None:
    answer = signed_in.get(f"{EVERY}?{asked}")
    assert answer.status_code == 404
    name, _, word = asked.partition("=")
    assert f"{name}: '{word}' is unknown; expected one of: " in html.unescape(answer.content.decode())


def test_tests_that_begin_alike_are_told_apart() -> None:
    named = dict(number_filter._named(["counterfactual", "observed_rates", "observed_scores"]))
    assert len(set(named.values())) == 3
    assert named["observed_rates"] == "Different applicants: rates"
    assert ":" not in named["counterfactual"]
