"""A check of chance that so few applications could not break is not printed: what cannot fail shows nothing."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.mechanisms._shared.probe_readings import read
from auditor.mechanisms.look_ahead.measure import _chance
from auditor.mechanisms.probing.measure import _checks
from auditor.mechanisms.probing.result import At, Probe


def of_aurocs(value: float, smaller: int) -> list[Any]:
    return list(_chance("shuffled margins are at chance", [value], few=smaller, many=smaller, note=""))


def of_permuted(value: float, smaller: int) -> list[Any]:
    at = At(group="Black", setting="withheld", site="last token", layer=1)
    reading = read(logits=[1.0, -1.0], labels=[True, False], clusters=["a", "b"], level=0.95)
    probe = Probe(at=at, reading=reading, smaller=smaller, solved=True, permuted=value, numbers=None, largest=None)
    found = _checks([probe])
    return [check for check in found if check.name == "permuted labels are at chance"]


@pytest.mark.parametrize("checks", [of_aurocs, of_permuted])
def test_a_check_of_chance_is_there_only_where_some_reading_breaks_it(checks: Any) -> None:
    for smaller in (2, 4, 7, 12, 30, 200):
        values = (0.0, 0.25, 0.5, 0.75, 1.0)
        found = {value: [check.held for check in checks(value, smaller)] for value in values}
        assert len({len(held) for held in found.values()}) == 1
        if found[0.5]:
            assert found[0.5] == [True]
            assert found[1.0] == found[0.0] == [False]
    assert checks(0.5, 2) == []
    assert checks(0.5, 30)
