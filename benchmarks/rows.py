"""What a benchmark says: one row a comparison, printed as a line of JSON or of text."""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: our figure, the peer's, their ratio (above 1: ours is better), and how far results agree."""

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    agreement: float | None
    unit: str
    n: int
    extra: Mapping[str, float | int | str | None] = field(default_factory=dict)

    def line(self, *, as_json: bool) -> str:
        """The row as it is printed."""
        content = {
            "name": self.name,
            "ours": self.ours,
            "peer": self.peer,
            "ratio": self.ratio,
            "agreement": self.agreement,
            "unit": self.unit,
            "n": self.n,
            **self.extra,
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        if as_json:
            return json.dumps(content)
        return "  ".join(f"{key}={_short(value)}" for key, value in content.items())


def seconds(work: Callable[[], object], *, repeats: int = 1) -> float:
    """Median wall time of ``work`` in seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _short(value: float | int | str | None) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
