"""What every section of a report reads: the bundle, the audit's record, the charts, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from auditor.behaviour.metrics import CF_NOISE_FLOOR
from auditor.canonical import sha256_bytes
from auditor.records import Conclusion, Measurement, Role
from reports import elsewhere, wording
from reports.blocks import CONTRASTS, SHORT, Figure, Numbers
from reports.bundle import Bundle, result_bytes
from reports.canvas import Chart
from reports.charts import by_conclusion
from reports.governance import Governance
from reports.how_many import n_words
from reports.readings import READING, drawn_by


@dataclass(frozen=True)
class Story:
    """One report in the making; ``annex_sha256`` is the hash of its annex, where that is set already."""

    bundle: Bundle
    governance: Governance
    charts: Mapping[str, Chart]
    annex_sha256: str = ""

    @cached_property
    def design(self) -> wording.Design:
        """The plan's figures."""
        return wording.Design.of(self.bundle.plan)

    @cached_property
    def measurements(self) -> tuple[Measurement, ...]:
        """Every measurement as it may be printed: small cells, and what would give them away, are withheld."""
        return self.bundle.printable

    @cached_property
    def lead(self) -> Measurement | None:
        """The measurement that carries the verdict."""
        return wording.lead_measurement(self.measurements, self.bundle.findings)

    @cached_property
    def floors(self) -> list[Measurement]:
        """What changes by itself, or with a placebo, at each cut-off where it was measured."""
        return [item for item in self.measurements if item.metric == CF_NOISE_FLOOR]

    @cached_property
    def primary(self) -> list[Measurement]:
        """Primary measurements, gravest first."""
        return by_conclusion([item for item in self.measurements if item.role is Role.PRIMARY])

    @cached_property
    def contrasts(self) -> list[Measurement]:
        """Primary measurements, gravest conclusion first, else in the order of the plan."""
        order = {code: rank for rank, code in enumerate(wording.CONCLUSION_ORDER)}
        primary = [item for item in self.measurements if item.role is Role.PRIMARY]
        return sorted(primary, key=lambda item: order[item.conclusion or Conclusion.NOT_TESTED])

    @cached_property
    def no_planted_bias(self) -> str:
        """Why there is no positive control."""
        return self.bundle.controls.planted_bias_missing_reason or "not part of this run"

    @cached_property
    def mute(self) -> str | None:
        """What is said of a model that answers hardly anybody, or everybody alike."""
        return elsewhere.mute_sentence(self.measurements, self.design)

    @cached_property
    def model(self) -> str:
        """The model's name."""
        return self.bundle.run.model.name

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The hashes a reader can check: design, run, bundle (its manifest), attached result, annex, renderer."""
        return {
            "design": self.bundle.design_sha256,
            "run": self.bundle.run_sha256,
            "bundle": self.bundle.manifest_sha256,
            "result": sha256_bytes(result_bytes(self.bundle, self.governance)),
            "annex": self.annex_sha256,
            "renderer": self.bundle.renderer.sha256,
            "events_head": self.governance.events_head or "",
        }

    def figure(self, name: str, *below: Numbers) -> list[Figure]:
        """The named chart, if it exists, with what belongs under it; else with the numbers that it draws."""
        if name not in self.charts:
            return []
        chart, drawn = self.charts[name], drawn_by(name, self.measurements)
        if not below and drawn:
            if name == "power":
                below = (self.numbers(name, by_conclusion(drawn), title=chart.title, columns=CONTRASTS),)
            else:
                below = (self.numbers(name, drawn, title=chart.title),)
        reading = READING.get(name, "")
        if reading:
            of = [item for table in below for item in table.measurements]
            reading = f"{reading} {n_words(of, small_cell=self.design.small_cell)}".rstrip()
        return [Figure(chart, reading, below)]

    def numbers(
        self, name: str, measurements: Sequence[Measurement], *, title: str, columns: str = SHORT, **paper: Any
    ) -> Numbers:
        """Measurements as a table, in the words of this plan; ``paper`` is what is printed of them, and its notes."""
        return Numbers(name, title, tuple(measurements), self.design, columns, **paper)
