"""The public HMDA loan application register: its ready-made mapping, and a synthetic file of the same layout."""

from __future__ import annotations

from pathlib import Path

from auditor.mapping_files import read_mapping
from auditor.mappings import DataMapping
from auditor.observed.columns import Observed
from auditor.observed.reading import read_decisions

FOLDER = Path(__file__).parent / "data" / "hmda"
MAPPING = FOLDER / "lar.toml"
SYNTHETIC = FOLDER / "lar_synthetic.csv.gz"
"""Nobody in it exists (scripts/make_hmda_sample.py)."""


def hmda_mapping() -> DataMapping:
    """What the columns of the public register mean, 2018 and later."""
    return read_mapping(MAPPING)


def synthetic_register() -> Observed:
    """The columns of the synthetic file."""
    return read_decisions(SYNTHETIC, hmda_mapping(), where="hmda:synthetic")
