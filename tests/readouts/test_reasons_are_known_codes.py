"""Reasons are codes of the list, each known; one that is not makes the answer unreadable."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.readouts.reading import ReadAs
from auditor.readouts.reasons import ReasonGrammar, read_reasons
from auditor.systems.asking import Finish, Response

CODES = {"R01": "income too low", "R02": "too many obligations", "R03": "credit history too short"}
TEXT = ReasonGrammar(codes=CODES)
OBJECT = ReasonGrammar(codes=CODES, key="reasons", most=2)
WORDS = ReasonGrammar(codes={})


@given(codes=st.lists(st.sampled_from(sorted(CODES)), max_size=2))
def test_codes_are_read_in_their_order_each_once(codes: list[str]) -> None:
    text = json.dumps({"decision": "deny", "reasons": codes})
    assert read_reasons(Response(text=text), OBJECT).value == tuple(dict.fromkeys(codes))
    if codes:
        assert read_reasons(Response(text="; ".join(codes).lower()), TEXT).value == tuple(dict.fromkeys(codes))


@pytest.mark.parametrize(
    ("text", "grammar", "reason"),
    [
        ("R01, R99", TEXT, "a reason is not in the list of codes: 'R99'"),
        ("R01 and R02", TEXT, "a reason is not in the list of codes: 'R01 and R02'"),
        ("not R01", TEXT, "a reason is not in the list of codes: 'not R01'"),
        ("R01,,R02", TEXT, "a reason is empty"),
        ('{"reasons": ["R01", 2]}', OBJECT, "'reasons' is missing or no list of texts"),
        ('{"other": []}', OBJECT, "'reasons' is missing or no list of texts"),
        ('{"reasons": ["R01", "R02", "R03"]}', OBJECT, "3 reasons; at most 2 were asked for"),
    ],
)
def test_what_is_no_list_of_known_codes_is_unreadable(text: str, grammar: ReasonGrammar, reason: str) -> None:
    reading = read_reasons(Response(text=text), grammar)
    assert (reading.read, reading.reason) == (ReadAs.UNREADABLE, reason)


def test_words_are_kept_as_they_stand_and_thinking_is_no_reason() -> None:
    reading = read_reasons(Response(text="The income, it seems; is low.", thinking="he is old"), WORDS)
    assert reading.value == ("The income, it seems; is low.",)
    assert read_reasons(Response(thinking="R01"), TEXT).read is ReadAs.UNREADABLE


def test_a_refusal_and_a_cut_off_answer_have_no_reasons() -> None:
    assert read_reasons(Response(text="I cannot help with this."), TEXT).read is ReadAs.REFUSED
    assert read_reasons(Response(text="R01", finish=Finish.LENGTH), TEXT).read is ReadAs.UNREADABLE
