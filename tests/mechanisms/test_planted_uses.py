"""An attribute that is used, late or by a product of two things, is never said not to be; one that is ignored is."""

from __future__ import annotations

import pytest

from benchmarks.planted_uses import said

#: The long form has every kind: ``python -m benchmarks planted_uses``.
SHORT = ("late", "interaction")


@pytest.mark.parametrize("kind", SHORT)
def test_no_step_says_no_of_an_attribute_that_is_used(kind: str) -> None:
    assert {name: step.says for name, step in said(kind).items() if step.held is False} == {}


def test_an_attribute_that_is_ignored_is_not_used() -> None:
    assert said("ignored")["used"].held is False
