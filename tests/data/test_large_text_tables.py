"""What a large text file says of where its table begins and ends is what it says when every cell is kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

from auditor.tables import Reading
from auditor.tables import text as text_tables
from auditor.tables.text import likely_reading
from tests.acceptance.commands import ROOT

ABOVE = "Loans of 2025\n\n"
TABLE = "id,amount,sex\n" + "".join(f"L{row},{row}.5,male\n" for row in range(300))
BELOW = "\nTotal,44850,\nsource: the bank\n"


@pytest.mark.parametrize("text", [TABLE, ABOVE + TABLE, TABLE + BELOW, ABOVE + TABLE + BELOW, TABLE + "a,b\n" * 3])
def test_the_middle_of_a_table_changes_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = likely_reading(text.encode(), where="x.csv", said=Reading())
    monkeypatch.setattr(text_tables, "HEAD_RECORDS", 20)
    monkeypatch.setattr(text_tables, "TAIL_RECORDS", 30)
    assert likely_reading(text.encode(), where="x.csv", said=Reading()) == whole


def test_many_records_take_little_memory() -> None:
    code = (
        "import resource\n"
        "from auditor.tables import Reading\nfrom auditor.tables.text import likely_reading\n"
        "line = b'%d,%d,x%d,y%d,z%d,1,2,3\\n'\n"
        "raw = b'id,a,b,c,d,e,f,g\\n' + b''.join(line % ((row,) * 5) for row in range(200_000))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "likely_reading(raw, where='x.csv', said=Reading())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True)
    assert int(done.stdout) < 60 << 10  # KiB; all cells of these records take 100 MiB
