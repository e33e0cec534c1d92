"""Texts are compared line by line wherever a page shows two of them, and for moments only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.line_differences import line_differences
from compliance.plans.editor import lines_between

SOURCES = Path(__file__).parents[2] / "compliance"
TEXTS = st.lists(st.text("abc =", max_size=3), max_size=12).map("\n".join)


def test_what_was_taken_out_and_put_in_is_told() -> None:
    assert line_differences("a\nb\nc", "a\nd\nc") == ["@@ -1,3 +1,3 @@", " a", "-b", "+d", " c"]
    assert line_differences("a", "b", names=("first", "second"))[:2] == ["--- first", "+++ second"]


@given(TEXTS, TEXTS)
def test_no_line_is_told_of_texts_that_have_the_same_lines_and_of_no_others(before: str, after: str) -> None:
    assert (line_differences(before, after) == []) == (before.splitlines() == after.splitlines())


@pytest.mark.parametrize("compare", [line_differences, lines_between])
def test_texts_of_any_length_are_answered_for_at_once(compare: Callable[[str, str], list[str]]) -> None:
    # 400,000 characters, as many as a plan may have, of lines that repeat: the worst that the library can be given.
    first, second = ("".join(f"#{at * step % 101}\n" for at in range(100_000)) for step in (1, 7))
    assert compare(first, second) == []
    assert line_differences("a\n" * 4_000, "a\n" * 3_999) != [], "ten times a long plan is compared"


def test_nothing_else_compares_lines() -> None:
    found = [path.name for path in SOURCES.rglob("*.py") if "difflib" in path.read_text(encoding="utf-8")]
    assert found == ["line_differences.py"]
