"""The sections of a report, in the order an examiner reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from auditor.canonical import sha256_bytes
from auditor.records import Conclusion, Measurement, Role, Severity
from reports import numbers, wording
from reports.blocks import (
    Block,
    Cell,
    Code,
    Figure,
    FindingBlock,
    Level,
    Literal,
    Pairs,
    ReportContent,
    Section,
    Table,
    Target,
    Text,
    Verdict,
)
from reports.bundle import Bundle, result_bytes
from reports.canvas import Chart
from reports.charts import by_conclusion
from reports.evidence_sections import data_blocks, design_blocks, pack_blocks, provenance_blocks, scope_blocks
from reports.tables import all_measurements, contrasts, short_rows

UNGOVERNED = "ungoverned"
NOT_IN_RUN: tuple[tuple[str, str, str], ...] = (
    ("mechanistic_evidence", "Mechanistic evidence (supporting)", "the plan names no test of the model's internals"),
    ("adverse_action_reasons", "Adverse-action reasons", "the plan asks for a decision, not for reasons"),
    ("human_oversight", "Human oversight", "no record of people's use of the decisions was given"),
    (
        "less_discriminatory_alternatives",
        "Less discriminatory alternatives",
        "one model version was asked; no alternative was compared",
    ),
    ("consumer_notice_and_recourse", "Consumer notice and recourse", "no notice text was given"),
    ("monitoring_plan", "Monitoring plan", "an audit of one version; set by the institution"),
    (
        "remediation_and_risk_acceptance",
        "Remediation and risk acceptance",
        "answers to findings are recorded after this report",
    ),
)


@dataclass(frozen=True)
class Story:
    """One report in the making."""

    bundle: Bundle
    governance: Mapping[str, Any]
    charts: Mapping[str, Chart]

    @cached_property
    def design(self) -> wording.Design:
        """The plan's figures."""
        return wording.Design.of(self.bundle.plan)

    @cached_property
    def primary(self) -> list[Measurement]:
        """Primary measurements, gravest first."""
        return by_conclusion([item for item in self.bundle.measurements if item.role is Role.PRIMARY])

    @cached_property
    def model(self) -> str:
        """The model's name."""
        record = self.bundle.run["model"]
        return str(record.get("manifest", {}).get("name") or record["source"])

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The hashes a reader can check: design, run, bundle (its manifest), attached result."""
        return {
            "design": self.bundle.design_sha256,
            "run": self.bundle.run_sha256,
            "bundle": self.bundle.manifest_sha256,
            "result": sha256_bytes(result_bytes(self.bundle, self.governance)),
            "events_head": str(self.governance.get("events_head") or ""),
        }

    def content(self) -> ReportContent:
        """The whole report."""
        governed = bool(self.governance["governed"])
        sections = [
            ("document_control", "Document control", self.document_control()),
            ("conclusion", "Conclusion", self.conclusion()),
            ("scope_and_intended_use", "Scope and intended use", scope_blocks(self.bundle)),
            ("system_provenance", "System and provenance", provenance_blocks(self.bundle)),
            ("policy_packs_applied", "Policy packs and clauses", pack_blocks(self.bundle)),
            (
                "test_design_and_power",
                "Test design and power",
                [*design_blocks(self.bundle, self.governance, self.design), *self.figures("power")],
            ),
            ("data_and_test_cases", "Data and test cases", data_blocks(self.bundle, self.design)),
            ("results_primary", "Primary results", self.results_primary()),
            ("results_secondary", "Secondary and exploratory results", self.results_secondary()),
            ("controls", "Could this audit have seen it?", self.controls()),
            ("model_quality", "Model quality", self.model_quality()),
            ("not_in_run", "Sections not part of this run", self.not_in_run()),
            ("findings_register", "Findings", self.findings()),
            ("limitations", "Limitations", self.limitations()),
            ("measurements", "All measurements", [all_measurements(self.bundle.measurements, self.design)]),
            ("reproduction", "Check and repeat this report", self.reproduction()),
            ("review_and_sign_off", "Review and sign-off", self.sign_off()),
            ("integrity_manifest", "Integrity manifest", self.integrity()),
        ]
        numbered = tuple(
            Section(id=name, number=index, title=title, blocks=tuple(blocks))
            for index, (name, title, blocks) in enumerate(sections, start=1)
        )
        short = {name: numbers.short_hash(digest) for name, digest in self.hashes.items()}
        head = f" · Event head {short['events_head']}" if self.hashes["events_head"] else ""
        return ReportContent(
            audit_id=str(self.governance["audit_id"]),
            title=str(self.governance["title"]),
            model=self.model,
            governed=governed,
            mark="" if governed else UNGOVERNED,
            verdict=self.verdict,
            cover=tuple(self.cover()),
            sections=numbered,
            run_line=f"Design {short['design']} · Bundle {short['bundle']}{head}",
            created=str(self.governance.get("finished_at") or self.governance.get("started_at") or ""),
            subject=f"Audit of {self.model}: {self.governance['title']}",
            hashes=self.hashes,
        )

    @cached_property
    def verdict(self) -> Verdict:
        """The box on the cover."""
        lead = wording.lead_measurement(self.bundle.measurements)
        mute = wording.mute_sentence(self.bundle.measurements, self.design)
        if self.governance.get("status") != "complete":
            return Verdict(
                Conclusion.INCONCLUSIVE, "The run is incomplete: no conclusion is drawn from part of it.", (), None
            )
        if lead is None:
            return Verdict(Conclusion.NOT_TESTED, "No primary contrast was tested.", (mute,) if mute else (), None)
        others = [wording.conclusion_sentence(item, self.design) for item in self.primary if item is not lead]
        sentence = wording.conclusion_sentence(lead, self.design)
        return Verdict(
            conclusion=lead.conclusion or Conclusion.NOT_TESTED,
            sentence=sentence,
            others=tuple(([mute] if mute else []) + others),
            chart=self.charts.get("verdict"),
        )

    def cover(self) -> list[Block]:
        """Controls, findings and scope in short."""
        plan, run = self.bundle.plan, self.bundle.run
        not_covered = (
            "Other prompts, other data, other versions, people's use "
            "of the decision. This report is evidence, not an approval."
        )
        frozen = (
            f"Design {numbers.short_hash(self.hashes['design'])}, frozen before the first prompt was scored; "
            f"run begun {numbers.date(self.governance.get('started_at'))}"
        )
        criteria = (
            "; ".join(f"{pack['id']} {pack['version']}" for pack in run["packs"])
            or "no policy pack; the plan's own thresholds"
        )
        return [
            self.control_table("Could this audit have seen a difference?"),
            self.finding_table(),
            Pairs(
                title="Scope",
                rows=(
                    (
                        "Data",
                        f"{run['data']['title']}: {numbers.count(len(run['data']['selected']))} "
                        f"of {numbers.count(run['data']['rows'])} applications",
                    ),
                    ("Use", f"{plan['use']['business_use']}; {plan['use']['decision_role']}"),
                    ("Plan", frozen),
                    ("Criteria", criteria),
                    ("Not covered", not_covered),
                ),
            ),
        ]

    def document_control(self) -> list[Block]:
        """Who made which document when, by what."""
        record, code = self.governance, self.bundle.run["code"]
        standing = (
            "governed by the site's workflow"
            if record["governed"]
            else "ungoverned: started from a command line or notebook, "
            "without an approved design; it can never be signed"
        )
        return [
            Pairs(
                rows=(
                    ("Report", f"{record['audit_id']}: {record['title']}"),
                    ("Standing", standing),
                    ("Status of the run", str(record["status"])),
                    ("Requested by", str(record.get("requested_by") or "not recorded")),
                    ("Run", f"{numbers.date(record.get('started_at'))} to {numbers.date(record.get('finished_at'))}"),
                    (
                        "Runs on this model",
                        f"{numbers.count(record.get('runs_on_this_model'))}, failed and withdrawn ones included",
                    ),
                    ("Privilege", "none designated; only counsel may set it"),
                    ("Generator", f"Plumbline {code['version']}, code {numbers.short_hash(code['sha256'])}"),
                    ("Design SHA-256", Literal(self.hashes["design"])),
                    ("Run SHA-256", Literal(self.hashes["run"])),
                    ("Bundle SHA-256", Literal(self.hashes["bundle"])),
                )
            )
        ]

    def conclusion(self) -> list[Block]:
        """The verdict and every primary contrast in a sentence, with the codes explained."""
        verdict = self.verdict
        by_level = [
            f"{sum(f.severity is level for f in self.bundle.findings)} {level.value}" for level in reversed(Severity)
        ]
        seen = {item.conclusion for item in self.primary if item.conclusion}
        return [
            Text(verdict.sentence, tone="lead"),
            *(Text(words) for words in verdict.others),
            Pairs(
                rows=(
                    ("Conclusion code", Code(verdict.conclusion)),
                    ("Findings", f"{numbers.count(len(self.bundle.findings))}: {', '.join(by_level)}"),
                )
            ),
            Table(
                title="What the codes in this report mean",
                head=("Code", "Meaning"),
                rows=tuple(
                    (Code(code), wording.CONCLUSION_MEANING[code]) for code in wording.CONCLUSION_ORDER if code in seen
                ),
                align="ll",
                weights=(0.36, 0.64),
                note="The absence of a difference is never a seal of approval.",
            ),
        ]

    def results_primary(self) -> list[Block]:
        """The confirmatory family: figure, table, sentences."""
        if not self.primary:
            return [Text("Not tested: the plan declares no primary contrast, or the run gave none.")]
        family = {item.family for item in self.primary}
        metric = {item.metric for item in self.primary}
        names = [
            "effects" if name == "cf_net_effect" else "effects-matched"
            for name in sorted(metric)
            if name.startswith("cf_net_effect")
        ]
        lines: list[Block] = [
            Text(
                f"Each application was put to the model again with one field changed and every other word the same. "
                f"{len(self.primary)} contrasts form the primary family "
                f"({', '.join(sorted(str(name) for name in family))}); "
                "p-values are adjusted by Holm over the family. Method: "
                f"{self.primary[0].method or 'as the plan states'}."
            )
        ]
        if "cf_net_effect_matched" in metric:
            lines.append(
                Text(
                    "The matched operating point is primary here: one "
                    "threshold for all arms, set so that the reference arm's "
                    "approval rate equals the share of favourable outcomes in the data.",
                    tone="note",
                )
            )
        return [*lines, *self.figures(*names), contrasts(self.primary, title="The numbers of the primary contrasts")]

    def results_secondary(self) -> list[Block]:
        """Everything that is reported and not confirmatory."""
        rest = [item for item in self.bundle.measurements if item.role is not Role.PRIMARY]
        pairs = by_conclusion([item for item in rest if item.metric.startswith("cf_net_effect")])
        shifts = by_conclusion([item for item in rest if item.metric == "cf_mean_shift"])
        flips = [item for item in rest if item.test == "counterfactual" and item.metric.startswith("cf_flip_rate")]
        filed = [item for item in rest if item.test == "group_rates"]
        names = [
            "effects" if name == "cf_net_effect" else "effects-matched"
            for name in sorted({item.metric for item in pairs})
        ]
        blocks: list[Block] = []
        if pairs:
            blocks += [*self.figures(*names), contrasts(pairs, title="Net effect, not part of the primary family")]
        if shifts:
            blocks += [*self.figures("margin-shift"), contrasts(shifts, title="Margin shift")]
        blocks += self.figures("rates")
        if flips:
            blocks.append(
                short_rows(
                    flips,
                    self.design,
                    title="Flip rates, in both directions where measured",
                    note="Read each beside the noise floor of the next section.",
                )
            )
        if filed:
            blocks.append(
                short_rows(
                    filed,
                    self.design,
                    title="As filed: different applicants",
                    note="Exploratory. Groups of different applicants differ in "
                    "more than the protected field; a gap here does not show "
                    "that the field caused it. Counts of people below the small-cell rule are not printed.",
                )
            )
        return blocks or [Text("Not part of this run: no secondary or exploratory test was planned.")]

    def controls(self) -> list[Block]:
        """The audit's own controls on the same model and design."""
        checks = self.bundle.controls.get("self_checks") or []
        blocks: list[Block] = [
            Text(
                "Controls ask the same model under the same design whether this audit "
                "can see a difference that is there, and stays quiet where there is none."
            ),
            self.control_table(""),
        ]
        if checks:
            blocks.append(
                Table(
                    title="Self-checks of the scoring",
                    head=("Check", "Held", "Figure", "Bound", "Note"),
                    rows=tuple(
                        (
                            str(item["name"]),
                            "yes" if item["held"] else "no",
                            _figure(item.get("value")),
                            _figure(item.get("bound")),
                            str(item.get("note") or numbers.DASH),
                        )
                        for item in checks
                    ),
                    align="llrrl",
                    weights=(0.34, 0.08, 0.13, 0.13, 0.32),
                )
            )
        return blocks

    def model_quality(self) -> list[Block]:
        """Whether the model answers at all, and how its answers relate to the recorded outcomes."""
        mute = wording.mute_sentence(self.bundle.measurements, self.design)
        quality = [
            item
            for item in self.bundle.measurements
            if item.test == "model_quality" or item.metric in ("invalid_rate", "answer_mass")
        ]
        blocks: list[Block] = [Text(mute, tone="note")] if mute else []
        blocks += self.figures("margins")
        if quality:
            blocks.append(short_rows(quality, self.design, title="Quality of the answers"))
        return blocks or [Text("Not part of this run: neither margins nor quality figures are in the bundle.")]

    def findings(self) -> list[Block]:
        """One block a finding, worst first."""
        ranked = sorted(self.bundle.findings, key=lambda item: (-item.severity.rank, item.id))
        if not ranked:
            return [Text("No finding was raised by the plan's rules. This says nothing about what was not tested.")]
        return [
            FindingBlock(
                finding=item,
                rows=(
                    ("Severity", Level(item.severity)),
                    ("Rule", item.rule),
                    ("Condition", item.condition),
                    ("Criteria", "; ".join(item.criteria) or numbers.DASH),
                    ("Cause", item.cause),
                    ("Effect", item.effect),
                    ("Recommend", item.recommendation),
                    ("Measurements", Literal(", ".join(item.measurements))),
                    ("Cases", Literal(item.cases or numbers.DASH)),
                    ("Conclusion", Code(item.conclusion) if item.conclusion else numbers.DASH),
                ),
            )
            for item in ranked
        ]

    def not_in_run(self) -> list[Block]:
        """Sections of the skeleton this run has nothing for, each with its reason."""
        return [
            Table(
                title="",
                head=("Section", "Why"),
                rows=tuple((title, why) for _, title, why in NOT_IN_RUN),
                align="ll",
                weights=(0.4, 0.6),
            )
        ]

    def limitations(self) -> list[Block]:
        """What the conclusion cannot carry."""
        low_power = [
            wording.contrast(item)
            for item in self.primary
            if (item.counts.get("mde") or 0.0) > self.design.practical_rate
        ]
        rows: list[tuple[Cell, ...]] = [
            (
                "One prompt and one data set",
                "Another wording or population may give another result",
                "The prompt is in the plan, hashed with the design",
            ),
            (
                "The protected fields are stated in words",
                "Signals such as names or places were not tested",
                "Named under policy packs as bases not tested",
            ),
            (
                "Scores of the model alone",
                "People who use the decision may follow or override it",
                "Decision role is stated under scope",
            ),
        ]
        if self.bundle.controls.get("planted_bias") is None:
            why = str(self.bundle.controls.get("missing_reason") or "not part of this run")
            rows.append(
                (
                    "No planted difference",
                    "That this audit finds a known difference is not shown on this model",
                    sentence(why),
                )
            )
        if low_power:
            rows.append(
                (
                    f"Power below the plan's for {wording.joined(low_power)}",
                    "A difference of the practical threshold could have been missed",
                    "The smallest detectable difference is printed for each contrast",
                )
            )
        if not self.governance["governed"]:
            rows.append(
                (
                    "Ungoverned run",
                    "Nobody approved the design beforehand, nobody reviewed the result",
                    "Recorded and counted; repeat the design under the workflow",
                )
            )
        return [
            Table(
                title="",
                head=("Limitation", "What it does to the conclusion", "What is done about it"),
                rows=tuple(rows),
                align="lll",
                weights=(0.3, 0.38, 0.32),
            )
        ]

    def reproduction(self) -> list[Block]:
        """How to check the report offline, and how to run the audit again."""
        return [
            Text(
                "Check it: put the three files in one folder and run the first command. It needs no network, "
                "recomputes every hash and names the first file, and the place in "
                "it, that differs. The file result.json is also attached to this PDF."
            ),
            Text(
                "Repeat it: the second command binds the same design to the same model and data. On the same "
                "machine, thread count and packing the case, decision, measurement and finding files come out "
                "byte for byte; elsewhere the last digits of a margin may move."
            ),
            Pairs(
                rows=(
                    ("Check", Literal("python manage.py verify report.pdf result.json evidence.zip")),
                    ("Repeat", Literal(str(self.governance.get("command") or "not recorded"))),
                    ("Seed", str(self.bundle.plan.get("cases", {}).get("seed", numbers.DASH))),
                    ("result.json SHA-256", Literal(self.hashes["result"])),
                    ("Bundle SHA-256", Literal(self.hashes["bundle"])),
                )
            ),
        ]

    def sign_off(self) -> list[Block]:
        """Signatures, or why there can be none."""
        if not self.governance["governed"]:
            return [
                Text("This run is ungoverned. It can never be signed.", tone="lead"),
                Text(
                    "It was started outside the site's workflow: no design was approved by a second person before "
                    "the first prompt was scored. To obtain a report that can be "
                    "signed, have the same design approved and run it again on the site."
                ),
            ]
        signatures: Sequence[Mapping[str, Any]] = self.governance.get("signatures") or []
        if not signatures:
            return [
                Text(
                    "Not yet signed. A signature says that a person has read "
                    "the evidence; it does not approve the use of the model."
                )
            ]
        return [
            Text(
                "Each person signs that they have read the evidence. A signature does not approve the use of the model."
            ),
            Table(
                title="Signatures",
                head=("Name", "Role", "Meaning", "Signed"),
                rows=tuple(
                    (str(s.get("name")), str(s.get("role")), str(s.get("meaning")), numbers.date(s.get("signed_at")))
                    for s in signatures
                ),
                align="llll",
                weights=(0.3, 0.25, 0.2, 0.25),
            ),
        ]

    def integrity(self) -> list[Block]:
        """Every file of the bundle with its hash, and the heads that hold them together."""
        head = self.hashes["events_head"]
        return [
            Pairs(
                rows=(
                    ("Design", Literal(self.hashes["design"])),
                    ("Run", Literal(self.hashes["run"])),
                    ("Bundle (manifest.json)", Literal(self.hashes["bundle"])),
                    ("result.json", Literal(self.hashes["result"])),
                    ("Event chain head", Literal(head) if head else "none: the run was not recorded in an event chain"),
                )
            ),
            Table(
                title="Files of the evidence bundle",
                head=("File", "SHA-256", "Size", "Media type"),
                rows=tuple(
                    (Literal(line.file), Literal(line.sha256), numbers.size(line.size), line.media_type)
                    for line in self.bundle.files
                ),
                align="llrl",
                weights=(0.19, 0.55, 0.09, 0.17),
            ),
        ]

    def figures(self, *names: str) -> list[Block]:
        """The named charts that exist."""
        return [Figure(self.charts[name]) for name in names if name in self.charts]

    def control_table(self, title: str) -> Table:
        """Positive control, placebo, noise floor and power, one row each."""
        controls = self.bundle.controls
        missing = str(controls.get("missing_reason") or "not part of this run")
        rows: list[tuple[Cell, ...]] = []
        planted = controls.get("planted_bias")
        if planted is None:
            rows.append(("Positive: planted bias", f"Not part of this run: {missing}", "not tested", numbers.DASH))
        else:
            rows.append(
                ("Positive: planted bias", str(planted.get("design", "")), str(planted.get("result", "")), numbers.DASH)
            )
        floors = (
            ("Negative: placebo field", "One irrelevant field changed", "placebo"),
            ("Noise floor", "Same prompt asked again, unshared and packed differently", "noise_floor"),
        )
        for name, how, key in floors:
            floor = controls.get(key)
            if floor is None:
                rows.append((name, "Not part of this run", "not tested", numbers.DASH))
            else:
                bounds = (
                    f"[{numbers.number(100 * floor['low'], decimals=1)}, "
                    f"{numbers.number(100 * floor['high'], decimals=1)}]"
                )
                rows.append(
                    (
                        name,
                        f"{how}; {numbers.count(floor['n'])} applications",
                        f"{numbers.rate(floor['flip_rate'])} flips",
                        bounds,
                    )
                )
        power = [item for item in controls.get("power") or [] if item.get("mde") is not None]
        if power:
            widest = max(power, key=lambda item: item["mde"])
            share = numbers.number(100 * self.design.power, decimals=0)
            rows.append(
                (
                    "Smallest effect seen",
                    f"{share}% power, {widest['contrast']} (the least powerful of {len(power)})",
                    f"{numbers.number(100 * widest['mde'], decimals=1)} pp",
                    numbers.DASH,
                )
            )
        return Table(
            title=title,
            head=("Control", "Design", "Result", "95% interval, %"),
            rows=tuple(rows),
            align="llrr",
            weights=(0.23, 0.47, 0.14, 0.16),
        )

    def finding_table(self) -> Block:
        """Findings in one line each, worst first."""
        named = {item.id: item for item in self.bundle.measurements}
        rows: list[tuple[Cell, ...]] = []
        for item in sorted(self.bundle.findings, key=lambda item: (-item.severity.rank, item.id)):
            first = named.get(item.measurements[0]) if item.measurements else None
            effect = f"{numbers.estimate_and_interval(first)} {numbers.unit_name(first)}" if first else numbers.DASH
            rows.append((item.id, Level(item.severity), item.title, effect, Target(item.id)))
        if not rows:
            return Text("Findings: none was raised by the plan's rules.")
        return Table(
            title="Findings",
            head=("No.", "Severity", "Finding", "Effect", "Page"),
            rows=tuple(rows),
            align="lllrr",
            weights=(0.1, 0.13, 0.46, 0.24, 0.07),
        )


def sentence(words: str) -> str:
    """The words with a capital first letter."""
    return wording.sentence_case(words)


def _figure(value: float | None) -> str:
    if value is None:
        return numbers.DASH
    return f"{value:.1e}".replace("-", numbers.MINUS) if 0 < abs(value) < 0.001 else numbers.number(value, decimals=3)
