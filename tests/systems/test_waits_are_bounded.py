"""What is listed keeps a worker waiting for a bounded time."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from auditor.systems.listing import Listed
from auditor.systems.service_listing import ListedService


@pytest.mark.parametrize(("name", "value"), [("longest_wait", 3601.0), ("rest_seconds", 1e9), ("rests", 101)])
def test_a_wait_without_end_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match="less than or equal to"):
        Listed.model_validate({"url": "https://x.example", name: value})


@pytest.mark.parametrize(("name", "value"), [("every", 3601.0), ("at_most", 3601)])
def test_a_step_is_not_asked_without_end(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=rf"steps\.0\.{name}\n.*less than or equal to"):
        ListedService.model_validate({"url": "https://x.example", "steps": [{name: value}]})
