"""The values of two ready-made plans, as they were before the house was rebuilt.

``plans/quick.toml`` and ``plans/inside.toml`` run in a small form: 48 applications, and a random model of three layers
whose weights are large enough that decisions, states and features differ. Every number of such a run is arbitrary; that
it stays what it was is the point. ``python -m tests.acceptance.equivalence`` writes the values anew, which a change of
a method has to say in the changelog; a change of the house never needs it.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from auditor.conductor import conclude, prepare, run_one_chunk
from auditor.demo_data import load_loanapp
from auditor.language_models.store import ModelStore
from auditor.ledger import FolderLedger
from auditor.plan import read_plan
from auditor.records import Measurement
from tests.acceptance.commands import ROOT
from tests.language_models.tiny import GROUPED, save_tiny

PLANS = ("quick", "inside")
VALUES = Path(__file__).parent / "values"
SMALL = {
    r"^model = .*": 'model = "dir:{model}"',
    r"^limit = \d+": "limit = 48",
    r"^favourable = .*": 'favourable = ["Y"]',
    r"^adverse = .*": 'adverse = ["N"]',
    r"^mass_floor = [\d.]+": "mass_floor = 0.0",
}
#: What a measurement says; the rest of its row is words.
SAID = (
    "estimate",
    "low",
    "high",
    "n",
    "sd_units",
    "p_value",
    "p_adjusted",
    "conclusion",
    "role",
    "unit",
    "higher_is_better",
    "cases",
)
DIGITS = 9


def random_model(folder: Path) -> Path:
    """Save the random model."""
    torch.manual_seed(4)
    sizes = {"max_position_embeddings": 1024, "num_hidden_layers": 3, "initializer_range": 0.25}
    return save_tiny(folder, model=LlamaForCausalLM(LlamaConfig(**{**GROUPED, **sizes})).eval())


def run_small(name: str, *, model: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Audit the small form of a ready-made plan; the values of each measurement by its id."""
    text = (ROOT / "plans" / f"{name}.toml").read_text()
    for old, new in SMALL.items():
        if not re.search(old, text, re.MULTILINE):
            raise ValueError(f"plans/{name}.toml no longer says {old}")
        text = re.sub(old, new.format(model=model), text, count=1, flags=re.MULTILINE)
    path = folder / f"{name}.toml"
    path.write_text(text)
    plan, store, ledger = read_plan(path), ModelStore(folder / "store"), FolderLedger(folder / name)
    prepared = prepare(plan=plan, model=store.import_model(plan.run.model), data=load_loanapp())
    ledger.freeze(prepared.run, prepared.chunks)
    for chunk in prepared.chunks:
        run_one_chunk(ledger, chunk.index, store=store)
    return {item.id: _values(item) for item in conclude(ledger).measurements}


def kept(name: str) -> list[dict[str, dict[str, Any]]]:
    """The values that were kept, of one processor after another."""
    return [_read(path) for path in sorted(VALUES.glob(f"{name}*.jsonl"))]


def _read(path: Path) -> dict[str, dict[str, Any]]:
    return {row.pop("id"): row for row in map(json.loads, path.read_text().splitlines())}


def _values(item: Measurement) -> dict[str, Any]:
    row = {key: _said(getattr(item, key)) for key in SAID}
    return row | {"counts": {key: _said(value) for key, value in sorted(item.counts.items())}}


def _said(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return str(value)
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def main(processor: str = "") -> None:
    """Write the values of this version, as a recording of its own where a processor is named."""
    VALUES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(Path(folder) / "model")
        for name in PLANS:
            rows = run_small(name, model=model, folder=Path(folder))
            lines = (json.dumps({"id": key, **row}, ensure_ascii=False, sort_keys=False) for key, row in rows.items())
            (VALUES / f"{name}{processor and '-'}{processor}.jsonl").write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
