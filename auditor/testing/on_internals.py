"""A test on internals as the engine has it: plain rows outside, the method's own types inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auditor.plan_section import Section
from auditor.testing.attributions import attributions_of
from auditor.testing.card import Card
from auditor.testing.context import Context
from auditor.testing.rows import Row, read_row
from auditor.testing.unadjusted import UnadjustedMeasurement

if TYPE_CHECKING:
    from auditor.mechanisms._shared.compute import ComputeContext
    from auditor.testing.chunks import ChunkSpec, PlanContext

NEEDED = ("Settings", "Payload", "Result", "plan_chunks", "compute")
"""What a test on internals offers beside ``CARD`` and ``measure``."""


class OnInternals:
    """Reads the rows of a test on internals where they come in, and writes them where they go out.

    A page, a plan and a report know a test by its card; only a worker needs the method, which may bring torch along.

    Parameters
    ----------
    card
        What holds ``CARD`` and ``Settings``.
    rows
        Gives what holds ``Payload`` and ``Result``.
    method
        Gives what holds ``plan_chunks``, ``compute`` and ``measure``.
    """

    def __init__(self, card: Any, *, rows: Callable[[], Any], method: Callable[[], Any]) -> None:
        self.CARD: Card = card.CARD
        self.Settings: type[Section] = card.Settings
        self._rows, self._method = rows, method

    @property
    def Payload(self) -> Any:  # noqa: N802  (what a module calls it)
        """The type of what a chunk is given."""
        return self._rows().Payload

    @property
    def Result(self) -> Any:  # noqa: N802
        """The type of what a chunk gives."""
        return self._rows().Result

    def plan_chunks(self, asked: PlanContext) -> Iterable[ChunkSpec]:
        """Plan the chunks, payloads as their types; RunError for a payload that is none."""
        for planned in self._method().plan_chunks(asked):
            yield replace(planned, payload=self._read(self.Payload, planned.payload, "payload"))

    def compute(self, context: ComputeContext, payload: Mapping[str, Any] | Row) -> dict[str, Any]:
        """Do one chunk: the row of its payload in, the row of its result out.

        Raises
        ------
        RunError
            For a payload, or for something computed, that is not of the test's types: kept, it would be refused only
            when the run is concluded, after every chunk is paid for.
        """
        done = self._method().compute(context, self._read(self.Payload, payload, "payload"))
        result: Row = self._read(self.Result, done, "result")
        row = result.row()
        attributions_of(row, test=self.CARD.name)
        return row

    def measure(self, context: Context) -> Iterable[UnadjustedMeasurement]:
        """Measure from what this test's own chunks gave."""
        results = [self._read(self.Result, row, "result") for row in context.results.get(self.CARD.name, ())]
        measured: Iterable[UnadjustedMeasurement] = self._method().measure(context, results)
        return measured

    def _read(self, kind: Any, row: Any, what: str) -> Any:
        return read_row(kind, row, what=f"{what} of {self.CARD.name}")
