"""The processes in which strangers' files are read have no settings: what they load asks for none."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHILDREN = (
    "compliance.plans.count_child",
    "compliance.registry.child",
    "compliance.registry.import_child",
    "compliance.sandbox.verify_child",
)


def loaded_by(module: str) -> set[str]:
    """The modules of this package that a module imports, at once or when it is asked."""
    tree = ast.parse((ROOT / module.replace(".", "/")).with_suffix(".py").read_text("utf-8"))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name for name in found if name.startswith("compliance.")}


@pytest.mark.parametrize("module", CHILDREN)
def test_what_a_child_process_loads_asks_for_no_settings(module: str) -> None:
    names = sorted({module, *loaded_by(module)})
    assert len(names) > 1
    told = f"import {', '.join(names)}"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", told], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
