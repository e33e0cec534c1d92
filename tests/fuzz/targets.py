"""What is fed with mutants: each target makes good files, and reads a changed one as the program would."""

from __future__ import annotations

import io
import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from tests.fuzz.mutants import mutant, zip_mutant

ROOT = Path(__file__).resolve().parents[2]


class Target(ABC):
    """A reader, and the files it is given; ``look`` raises InputError for what it refuses, and nothing else."""

    change: Callable[[bytes, random.Random], bytes] = staticmethod(mutant)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.goods = self.make()

    @abstractmethod
    def make(self) -> list[Path]:
        """Good files, made in ``folder``."""

    def whole(self) -> list[Path]:
        """What ``look`` takes unchanged."""
        return self.goods

    @abstractmethod
    def look(self, path: Path) -> list[str]:
        """Read a file, good or not. What was said of it, where that is no refusal."""

    def mutate(self, draw: random.Random) -> Path:
        """One of the good files, changed."""
        good = draw.choice(self.goods)
        path = self.folder / f"mutant{good.suffix}"
        path.write_bytes(type(self).change(good.read_bytes(), draw))
        return path


class Tables(Target):
    """Tables as a command or the process of an upload reads them, and what is proposed of them."""

    def look(self, path: Path) -> list[str]:
        from auditor.applications import survey
        from auditor.exceptions import InputError
        from auditor.mapping_checks import STOPS, check_mapping
        from auditor.proposals import proposed
        from compliance.registry.columns import mapping_of, masked_preview

        found = proposed(path, "x")
        table = found.table
        mapping = mapping_of(found.proposal.text(), where="mapping")
        lines = check_mapping(table, mapping)
        masked_preview(table, mapping)
        stops = any(line.startswith(STOPS) for line in lines)
        try:
            assert survey(table, mapping, source="x", file_sha256=table.sha256).fingerprint
        except InputError:
            assert stops, "an audit stops over what its check passed"
            raise
        assert not stops, "a check says that an audit stops over what it passes"
        return lines


FRAME = pl.DataFrame(
    {
        "applicant_id": [f"K{n:03d}" for n in range(30)],
        "race": ["White", "Black", "Asian"] * 10,
        "income": [None if n == 7 else 30 + n for n in range(30)],
        "ratio": [n / 7 for n in range(30)],
        "decided": [date(2020, 1, 1 + n % 28) for n in range(30)],
        "approved": [n % 3 > 0 for n in range(30)],
    }
)


class Csv(Tables):
    def make(self) -> list[Path]:
        path = self.folder / "good.csv"
        FRAME.write_csv(path)
        return [path]


class Parquet(Tables):
    def make(self) -> list[Path]:
        paths = []
        for number, options in enumerate(({}, {"compression": "snappy"}, {"compression": "uncompressed"})):
            paths.append(self.folder / f"good{number}.parquet")
            FRAME.with_columns(pl.col("race").cast(pl.Categorical)).write_parquet(paths[-1], **options)
        return paths


class Xlsx(Tables):
    change = staticmethod(zip_mutant)

    def make(self) -> list[Path]:
        from tests.data.bombs import shared_text
        from tests.data.books import workbook

        rows = [FRAME.columns[:4], *([*row[:4]] for row in FRAME.iter_rows())]
        books = {"inline.xlsx": workbook({"Loans": rows}), "shared.xlsx": shared_text(20, 30)}
        for name, raw in books.items():
            (self.folder / name).write_bytes(raw)
        return [self.folder / name for name in books]


class Mapping_(Target):
    def make(self) -> list[Path]:
        from auditor.demo_data import load_loanapp
        from auditor.mapping_files import write_mapping
        from auditor.mapping_inference import infer_mapping

        texts = {"a": write_mapping(infer_mapping(FRAME_READ, "x")), "b": write_mapping(load_loanapp().mapping)}
        for name, text in texts.items():
            (self.folder / f"{name}.toml").write_text(text, encoding="utf-8")
        return [self.folder / f"{name}.toml" for name in texts]

    def look(self, path: Path) -> list[str]:
        from auditor.applications import survey
        from auditor.mapping_checks import check_mapping
        from auditor.mapping_files import read_mapping, write_mapping
        from compliance.registry.columns import mapping_of

        mapping = read_mapping(path)
        assert mapping_of(write_mapping(mapping), where="again").sha256 == mapping.sha256
        lines = check_mapping(FRAME_READ, mapping)
        survey(FRAME_READ, mapping, source="x", file_sha256="0" * 64)
        return lines


class Plan(Target):
    def make(self) -> list[Path]:
        return sorted((ROOT / "plans").glob("*.toml"))

    def look(self, path: Path) -> list[str]:
        from auditor.plan import plan_problems, read_plan
        from auditor.toml_text import parse_toml

        plan = read_plan(path)
        assert len(plan.design_sha256) == 64
        return [str(item) for item in plan_problems(parse_toml(path.read_text(encoding="utf-8")), where="plan")]


class Model(Target):
    """A model folder with one changed file, imported into a store."""

    def make(self) -> list[Path]:
        from tests.language_models.tiny import save_tiny

        self.model = save_tiny(self.folder / "model")
        return sorted(path for path in self.model.iterdir() if path.suffix in (".json", ".safetensors", ".jinja"))

    def whole(self) -> list[Path]:
        return [self.model]

    def mutate(self, draw: random.Random) -> Path:
        path = self.folder / "mutant"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.model, path)
        # The header of the weights and the configuration say how large everything is: most changes go there.
        weighted = [good for good in self.goods if good.suffix == ".safetensors" or good.name == "config.json"]
        good = draw.choice(weighted if draw.random() < 0.7 else self.goods)
        raw = good.read_bytes()
        if good.suffix == ".safetensors":
            head = 8 + int.from_bytes(raw[:8], "little")
            raw = mutant(raw[:head], draw) + raw[head:]
        else:
            raw = mutant(raw, draw)
        (path / good.name).write_bytes(raw)
        return path

    def look(self, path: Path) -> list[str]:
        from auditor.language_models.store import ModelStore

        store = self.folder / "store"
        shutil.rmtree(store, ignore_errors=True)
        ModelStore(store).import_model(f"dir:{path}")
        return []


class Published(Target):
    """A report, a result and a bundle as ``verify`` checks them."""

    def make(self) -> list[Path]:
        from auditor.policies.packs import load_packs
        from reports.publish import publish
        from tests.reports.conftest import GOVERNANCE
        from tests.reports.simulate import write_evidence

        packs = [pack.content for pack in load_packs(("us-ecoa-regb", "us-fha"), where="tests")]
        write_evidence(self.folder / "evidence", packs=packs, mute=False)
        done = publish(self.folder / "evidence", GOVERNANCE, self.folder / "out")
        return [done.report, done.result, done.evidence]

    def mutate(self, draw: random.Random) -> Path:
        good = draw.choice(self.goods)
        path = self.folder / f"mutant{good.suffix}"
        change = zip_mutant if good.suffix == ".zip" else mutant
        path.write_bytes(change(good.read_bytes(), draw))
        return path

    def look(self, path: Path) -> list[str]:
        from reports.verification import check

        checked = check([path])
        return [str(item) for item in checked.mismatches] + list(checked.said)


def _read() -> pl.DataFrame:
    from auditor.tables.text import parse_text

    target = io.BytesIO()
    FRAME.write_csv(target)
    return parse_text(target.getvalue(), where="x").frame


FRAME_READ = _read()
TARGETS: Mapping[str, type[Target]] = {
    "csv": Csv,
    "parquet": Parquet,
    "xlsx": Xlsx,
    "mapping": Mapping_,
    "plan": Plan,
    "model": Model,
    "published": Published,
}
