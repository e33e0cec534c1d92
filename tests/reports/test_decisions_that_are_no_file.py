"""A decision file beside which a report is verified must be one: what is missing, a folder or a device is named so."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.exceptions import InputError
from reports.verification import check


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nowhere.csv", "there is no such file"),
        (".", "is not an ordinary file"),
        ("/dev/null", "is not an ordinary file"),
    ],
)
def test_what_is_no_decision_file_is_refused_by_what_it_is(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(InputError, match=f"{what}; expected the decision file of the audit"):
        check([tmp_path / "evidence.zip"], decisions=tmp_path / name)
