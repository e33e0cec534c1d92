"""One word, one thing: what the names of classes, columns and modules promise (docs/decisions/0036)."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from auditor import plan
from compliance.models import Audit, Registration

ROOT = Path(__file__).parents[1]
#: What the contract of a method asks each of them for.
CONTRACT = {"Settings", "Payload", "Result"}
#: Packages of methods, which no other may import: the name of the package tells their classes apart.
SHARED = ("_shared", "sae")
#: Words that stood for a heartbeat, a claim token and enqueueing.
OLD_WORDS = ("keeper", "sign of life", "signs of life", "call_worker", "call_registrar")

#: What is registered, approved, returned or run is a design; what is being written is a plan, kept as a draft.
STRAYS = re.compile(
    r"\b(?:approved?|registered|returned|retired|frozen|the same) (?:an? |the )?(?:plans?|drafts?)\b|\bof one plan\b"
    r"|\b(?:plans?|drafts?) (?:is|was|were|that (?:is|are|was|were)) (?:approved|returned|retired)\b",
    re.IGNORECASE,
)


def own_to_a_method(path: Path) -> bool:
    inside = path.relative_to(ROOT / "auditor").parts
    return inside[0] == "mechanisms" and len(inside) > 2 and inside[1] not in SHARED


def public_classes(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path)
    return found


def test_no_two_classes_of_the_engine_share_a_name() -> None:
    sections = {name for name, kind in vars(plan).items() if isinstance(kind, type) and issubclass(kind, plan.Section)}
    twice = {
        name: [str(path.relative_to(ROOT)) for path in paths]
        for name, paths in public_classes(ROOT / "auditor").items()
        if len([path for path in paths if not own_to_a_method(path)]) > 1
        # A plan's sections are called what its file calls them.
        and name not in CONTRACT | sections
    }
    assert twice == {}


def test_a_standing_is_that_of_a_design() -> None:
    found = [
        name
        for package in ("auditor", "reports", "compliance")
        for name in public_classes(ROOT / package)
        if "standing" in name.lower()
    ]
    assert found == ["DesignStanding"]


def test_one_class_is_called_prompt() -> None:
    found = [
        str(path.relative_to(ROOT))
        for package in ("auditor", "reports", "compliance")
        for path in public_classes(ROOT / package).get("Prompt", ())
    ]
    assert found == ["auditor/plan.py"]


def test_rows_are_claimed_with_a_token_and_enqueued() -> None:
    for model in (Audit, Registration):
        names = {field.name for field in model._meta.get_fields()}
        assert {"claim_token", "enqueues"} <= names
        assert not names & {"keeper", "calls"}


def test_the_old_words_for_heartbeats_claims_and_queues_are_gone() -> None:
    files = [path for path in (ROOT / "compliance").rglob("*.py") if "migrations" not in path.parts]
    files += [path for path in (ROOT / "docs").glob("*.md") if path.name != "glossary.md"]
    found = [(path.name, word) for path in files for word in OLD_WORDS if word in path.read_text()]
    assert found == []


def sentences_of_pages() -> Iterator[tuple[str, str]]:
    """Every text of a template, and every text in the code of the site that is no docstring, with where it stands."""
    for path in sorted((ROOT / "compliance").rglob("*.html")):
        text = re.sub(r"{%.*?%}|{#.*?#}", " ", path.read_text(), flags=re.DOTALL)
        yield path.name, " ".join(re.sub(r"<[^>]*>", " ", text).split())
    for path in sorted((ROOT / "compliance").rglob("*.py")):
        if "migrations" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
                yield path.name, " ".join(node.value.split())


def test_pages_call_a_design_a_design() -> None:
    said = [*sentences_of_pages()]
    assert len(said) > 5000
    assert [(name, hit[0]) for name, text in said if (hit := STRAYS.search(text))] == []
    assert STRAYS.search("It takes two audits of one plan.")
