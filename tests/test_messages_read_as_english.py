"""Messages read as a native speaker writes them: found by their form, in every string of the product."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.exceptions import reason_of

ROOT = Path(__file__).parents[1]

#: "is no table" for "is not a table". *No more*, *no longer*, *no other* and the like are English.
LITERAL = re.compile(
    r"\b(?:is|are|was|were) (?:no (?!more|longer|other|less|fewer|worse|better|larger|smaller|narrower|wider|farther)"
    r"[A-Za-z]+|none of the [a-z]+s\b)"
)
#: What "there is no …" and "expected …" say is English too.
THERE = re.compile(r"\b(?:[Tt]here|so|why|whether there|that there|if there) (?:is|are|was|were) no\b")


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string of a file but those that document it, with the pieces of f-strings put together."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inside:
            yield node.lineno, node.value


def literal(text: str) -> str | None:
    found = LITERAL.search(THERE.sub("", text))
    return found.group() if found else None


@pytest.mark.parametrize("package", ["auditor", "compliance", "reports"])
def test_nothing_is_said_to_be_no_thing(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {said}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in strings(path)
        if (said := literal(text))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Makefile: is no TOML", "is no TOML"),
        ("values that are no numbers", "are no numbers"),
        ("reference 'x' is none of the groups", "is none of the groups"),
        ("there is no such file", None),
        ("the gain is no larger than the floor", None),
        ("is not valid TOML", None),
    ],
)
def test_the_form_that_is_looked_for_is_found(text: str, said: str | None) -> None:
    assert literal(text) == said


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "permission denied"),
        (ValueError("embedded null byte"), "embedded null byte"),
        (OSError("IO stopped\n twice"), "IO stopped twice"),
        (OSError(), "OSError"),
    ],
)
def test_what_the_system_says_reads_on_behind_a_colon(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_every_failure_of_the_system_is_told_through_one_function() -> None:
    files = [path for package in ("auditor", "compliance", "reports") for path in (ROOT / package).rglob("*.py")]
    assert [path.name for path in files if "strerror" in path.read_text()] == ["exceptions.py"]
