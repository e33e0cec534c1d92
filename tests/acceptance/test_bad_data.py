"""Data that cannot be used, through the real command line: one line, exit code 2, nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.test_bad_input import PLAN, manage


def test_an_audit_of_a_bad_csv_ends_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_text("id,income\n1,2,3\n", encoding="utf-8")
    done = manage(tmp_path, "audit", PLAN, "--data", str(path), "--no-progress")
    expected = f"{path}: line 2: has 3 fields; expected 2, as in the header, line 1\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_an_audit_without_a_mapping_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_text("approve,sex\n1,f\n0,m\n1,m\n0,f\n", encoding="utf-8")
    done = manage(tmp_path, "audit", PLAN, "--data", str(path), "--no-progress")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"`python manage.py describe_data {path} --out MAPPING.toml` proposes one" in done.stderr
    mapping = tmp_path / "m.toml"
    made = manage(tmp_path, "describe_data", str(path), "--out", str(mapping))
    told = "field 'approve': 1 counts as favourable, 0 as adverse: the column is called 'approve'"
    assert (made.returncode, made.stdout, made.stderr) == (0, f"{told}\n{mapping}\n", "")
    check = manage(tmp_path, "describe_data", str(path), "--mapping", str(mapping))
    assert (check.returncode, check.stdout) == (0, f"{mapping}: nothing to look at, 4 rows, 2 fields\n")
    again = manage(tmp_path, "describe_data", str(path), "--out", str(mapping))
    assert (again.returncode, again.stderr) == (2, f"{mapping}: already exists; expected the name of a new file\n")
