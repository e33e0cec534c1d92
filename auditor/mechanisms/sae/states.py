"""Where the rows of states come from: a matrix in memory, or shards on disk that are read a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from auditor.exceptions import DataError, RunError
from auditor.testing.rows import Row

MANIFEST = "states.json"
DTYPES = ("float16", "float32")


class StateRows(Protocol):
    """States by row number."""

    @property
    def width(self) -> int:
        """Width of a state."""

    def __len__(self) -> int: ...

    def take(self, rows: Int[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        """The rows asked for, in that order, in single precision or better."""


@dataclass(frozen=True)
class Matrix:
    """States in memory."""

    states: Float[Tensor, "tokens width"]

    @property
    def width(self) -> int:
        """Width of a state."""
        return int(self.states.shape[1])

    def __len__(self) -> int:
        return int(self.states.shape[0])

    def take(self, rows: Int[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        """The rows asked for."""
        return self.states.index_select(0, rows)


class Manifest(Row):
    """Which files hold the states of a folder, their width, and the precision they are written in."""

    shards: tuple[str, ...]
    width: int
    dtype: str = ""


class Shards:
    """States in files of equal width, mapped into memory, so that only the rows of a batch are read."""

    def __init__(self, folder: Path) -> None:
        path = folder / MANIFEST
        try:
            manifest = Manifest.read(json.loads(path.read_text(encoding="utf-8")))
            names, self._width = manifest.shards, manifest.width
            self._parts = [np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in names]
        except (OSError, ValueError, TypeError, RunError) as error:
            raise DataError(str(path), f"cannot be read ({error})", "a folder written by write_shards") from error
        self._ends = np.cumsum([part.shape[0] for part in self._parts])
        for name, part in zip(names, self._parts, strict=True):
            if part.ndim != 2 or part.shape[1] != self._width:
                raise DataError(str(folder / name), f"has shape {part.shape}", f"rows of width {self._width}")

    @property
    def width(self) -> int:
        """Width of a state."""
        return self._width

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def take(self, rows: Int[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        """The rows asked for, read shard by shard in the order they lie on disk."""
        wanted = rows.numpy()
        order = np.argsort(wanted, kind="stable")
        result = np.empty((len(wanted), self._width), dtype=np.float32)
        cuts = np.searchsorted(wanted[order], [0, *self._ends])
        for shard, part in enumerate(self._parts):
            places = order[cuts[shard] : cuts[shard + 1]]
            first = int(self._ends[shard]) - part.shape[0]
            result[places] = part[wanted[places] - first]
        return torch.from_numpy(result)


def write_shards(
    batches: Iterable[npt.NDArray[Any]], folder: Path, *, dtype: str = "float16", rows_a_shard: int = 65_536
) -> Shards:
    """Write batches of states into shards of at most ``rows_a_shard`` rows.

    Raises
    ------
    DataError
        For no rows at all, unequal widths, or values that ``dtype`` cannot hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    width = 0
    for part in _regrouped(batches, rows_a_shard):
        width = width or int(part.shape[1])
        with np.errstate(over="ignore"):
            small = part.astype(dtype)
        if part.shape[1] != width or not np.isfinite(small).all():
            raise DataError(str(folder), f"states of width {part.shape[1]}", f"finite {dtype} states of width {width}")
        names.append(f"states-{len(names):05d}.npy")
        np.save(folder / names[-1], small, allow_pickle=False)
    if not names:
        raise DataError(str(folder), "no states were given", "at least one row")
    (folder / MANIFEST).write_text(
        json.dumps(Manifest(shards=tuple(names), width=width, dtype=dtype).row()), encoding="utf-8"
    )
    return Shards(folder)


def in_order(rows: StateRows, *, batch: int) -> Iterator[Float[Tensor, "batch width"]]:
    """All rows from the first to the last, a batch at a time."""
    for start in range(0, len(rows), batch):
        yield rows.take(torch.arange(start, min(start + batch, len(rows))))


def _regrouped(batches: Iterable[npt.NDArray[Any]], size: int) -> Iterator[npt.NDArray[Any]]:
    held: list[npt.NDArray[Any]] = []
    count = 0
    for batch in batches:
        rest = batch
        while len(rest):
            taken = rest[: size - count]
            held.append(taken)
            count += len(taken)
            rest = rest[len(taken) :]
            if count == size:
                yield np.concatenate(held)
                held, count = [], 0
    if held:
        yield np.concatenate(held)
