"""The form of a plan: which key stands where, under which label, in what kind of box.

Types, bounds and defaults are the engine's; nothing is checked here. tests/compliance/test_plan_form.py holds the list
against the engine's: a key it has is on the form or named in ``TOML_ONLY``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from auditor.catalogue import TESTS
from auditor.plan import Plan
from auditor.policies.packs import catalogue as pack_catalogue

TEXT, LONG, NUMBER, CHOICE, LINES, CHECKS = "text", "long", "number", "choice", "lines", "checks"
#: ``run`` is no part of the design, every test has settings of its own, and two readouts have a table each.
TOML_ONLY = ("run", "settings", "reading.amount", "reading.reasons")
ATTRIBUTES = "attributes"


@dataclass(frozen=True, kw_only=True)
class Box:
    """One key: how it is labelled and typed in. ``wide`` boxes take a line of their own."""

    key: str
    label: str
    kind: str = TEXT
    help: str = ""
    rows: int = 2
    wide: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be chosen; empty where anything can be typed."""
        if self.key == "tests.run":
            return tuple(TESTS)
        if self.key == "use.policy_packs":
            return tuple(pack["id"] for pack in pack_catalogue()["packs"])
        return tuple(map(str, get_args(_field(self.key).annotation))) if self.kind == CHOICE else ()

    @property
    def default(self) -> str:
        """The engine's default, as TOML writes it; empty if the key is required or unset by default."""
        if "." not in self.key or self.key.startswith((ATTRIBUTES, "placebo.")):
            return ""
        value = _field(self.key).default
        if value is PydanticUndefined or value is None or value in ("", ()):
            return ""
        return json.dumps(value, default=list)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of the form; problems with the section as a whole are said at its head."""

    key: str
    title: str
    lead: str
    boxes: tuple[Box, ...]


PARTS = (
    Part(
        key="plan",
        title="Name",
        lead="A registered design keeps its name and title for good.",
        boxes=(
            Box(key="name", label="Name", help="Lower-case letters, digits, - and _."),
            Box(key="title", label="Title", help="Heading of the report.", wide=True),
            Box(
                key="schema",
                label="Schema",
                kind=NUMBER,
                help="2 for a plan without a prompt, and for one that says how answers are read or what may be asked.",
            ),
        ),
    ),
    Part(
        key="use",
        title="Use",
        lead="What the model is used for, and under which policy packs it is read.",
        boxes=(
            Box(key="use.business_use", label="Business use", help="Scope of the report.", wide=True),
            Box(key="use.decision_role", label="Decision role", kind=CHOICE),
            Box(key="use.model_tier", label="Model tier", kind=NUMBER, help="1 (most) to 4."),
            Box(key="use.population", label="Population", help="Whom the results speak of.", wide=True),
            Box(key="use.products", label="Products", kind=LINES, help="One a line."),
            Box(key="use.jurisdictions", label="Jurisdictions", kind=LINES, help="One a line."),
            Box(key="use.excluded_uses", label="Excluded uses", kind=LINES, help="One a line."),
            Box(key="use.policy_packs", label="Policy packs", kind=CHECKS, wide=True),
        ),
    ),
    Part(
        key="cases",
        title="Applications",
        lead="Which applications of the data are asked about.",
        boxes=(
            Box(key="cases.select", label="Select", kind=CHOICE, help="unseen: outside the model's training record."),
            Box(key="cases.limit", label="Limit", kind=NUMBER, help="Left empty: all of them."),
            Box(key="cases.seed", label="Seed", kind=NUMBER),
        ),
    ),
    Part(
        key="prompt",
        title="Prompt and answers",
        lead="What the model reads, and which of its answers count.",
        boxes=(
            Box(
                key="prompt.template",
                label="Template",
                kind=LONG,
                rows=14,
                wide=True,
                help="{field} for a field's words, {fields} for all listed ones, {{ and }} for braces.",
            ),
            Box(key="prompt.form", label="Form", kind=CHOICE, help="chat: through the tokenizer's chat template."),
            Box(key="prompt.style", label="Style of {fields}", kind=CHOICE),
            Box(key="prompt.fields", label="What {fields} stands for", kind=LINES, help="One field a line."),
            Box(key="prompt.system", label="System message", help="Chat form only."),
            Box(key="prompt.date", label="Date", help="Chat form only: for templates that print one, as 2026-01-31."),
            Box(
                key="prompt.answers.favourable",
                label="Favourable answers",
                kind=LINES,
                help="One spelling a line, exactly as it follows the prompt: a leading space counts.",
            ),
            Box(key="prompt.answers.adverse", label="Adverse answers", kind=LINES, help="One spelling a line."),
            Box(
                key="prompt.answers.mass_floor",
                label="Mass floor",
                kind=NUMBER,
                help="Under this probability on all answers a case is invalid.",
            ),
        ),
    ),
    Part(
        key="reading",
        title="Reading",
        lead="How a decision is read from an answer: what a system can do is found out when it is registered.",
        boxes=(
            Box(key="reading.readout", label="Readout", kind=CHOICE, help="auto: the most that can be read."),
            Box(key="reading.form", label="Form of the answer", kind=CHOICE),
            Box(key="reading.temperature", label="Temperature", kind=NUMBER),
            Box(key="reading.seed", label="Seed", kind=NUMBER, help="Left empty: that of the applications."),
            Box(key="reading.replicates", label="Replicates", kind=NUMBER, help="How often each case is asked."),
            Box(key="reading.max_tokens", label="Longest answer, tokens", kind=NUMBER),
            Box(key="reading.stop", label="Stop at", kind=LINES, help="One text a line. Weights only."),
            Box(key="reading.top", label="Likeliest tokens", kind=NUMBER, help="Where a system shows them: 1 to 20."),
        ),
    ),
    Part(
        key="limits",
        title="Limits",
        lead="The most a run may ask for; it pauses there. What is listed for the system holds beside it.",
        boxes=(
            Box(key="limits.requests", label="Requests", kind=NUMBER),
            Box(key="limits.money", label="Money", kind=NUMBER, help="In the currency of the system's prices."),
        ),
    ),
    Part(
        key="placebo",
        title="Placebo",
        lead="An irrelevant field, changed in one case of every application. Left empty: none.",
        boxes=(
            Box(key="placebo.field", label="Field", help="A name that is not a field of the data."),
            Box(key="placebo.label", label="Label"),
            Box(key="placebo.low", label="Lowest value", kind=NUMBER),
            Box(key="placebo.high", label="Highest value", kind=NUMBER),
        ),
    ),
    Part(
        key="tests",
        title="Tests",
        lead="Tests after the first five look inside the model; their settings are written in the TOML.",
        boxes=(
            Box(key="tests.run", label="Tests", kind=CHECKS, wide=True),
            Box(
                key="noise.reask",
                label="Asked again",
                kind=NUMBER,
                help="Applications asked once more, each prompt alone.",
            ),
        ),
    ),
    Part(
        key="thresholds",
        title="Thresholds",
        lead="Fixed before the run, printed with their basis.",
        boxes=(
            Box(key="thresholds.alpha", label="Alpha", kind=NUMBER, help="Two-sided level of confirmatory families."),
            Box(key="thresholds.power", label="Power", kind=NUMBER),
            Box(key="thresholds.practical_rate", label="Practical difference in rates", kind=NUMBER),
            Box(key="thresholds.equivalence_rate", label="Equivalence margin of rates", kind=NUMBER),
            Box(key="thresholds.practical_margin_sd", label="Practical shift of margins, SD", kind=NUMBER),
            Box(key="thresholds.exploratory_q", label="Exploratory q", kind=NUMBER),
            Box(key="thresholds.bootstrap", label="Bootstrap resamples", kind=NUMBER),
            Box(key="thresholds.small_cell", label="Small cell", kind=NUMBER),
        ),
    ),
    Part(
        key="operating_point",
        title="Operating point",
        lead="When a decision counts as favourable, and when the natural rule says nothing.",
        boxes=(
            Box(key="operating_point.natural_margin", label="Natural margin, nats", kind=NUMBER),
            Box(key="operating_point.matched_rate", label="Matched rate", kind=NUMBER, help="observed, or a share."),
            Box(
                key="operating_point.range", label="Cut-off range", help="observed, or two approval rates: 0.8 to 0.95."
            ),
            Box(key="operating_point.degenerate_share", label="Degenerate from this share on", kind=NUMBER),
            Box(key="operating_point.mute_share", label="Mute above this share", kind=NUMBER),
        ),
    ),
    Part(
        key="budget",
        title="Budget",
        lead="How the work is cut; boundaries follow from these numbers alone.",
        boxes=(
            Box(key="budget.threads", label="Threads", kind=NUMBER),
            Box(key="budget.pack_tokens", label="Tokens a pack", kind=NUMBER),
            Box(key="budget.chunk_tokens", label="Tokens a chunk", kind=NUMBER),
            Box(key="budget.max_prompt_tokens", label="Longest prompt, tokens", kind=NUMBER),
        ),
    ),
)


def attribute_boxes(number: int) -> tuple[Box, ...]:
    """The boxes of one protected attribute."""
    base = f"{ATTRIBUTES}.{number}"
    return (
        Box(key=f"{base}.field", label=f"Attribute {number + 1}: field", help="Empty all three to take it out."),
        Box(key=f"{base}.groups", label="Groups", kind=LINES, help="One a line; two or more.", rows=3),
        Box(key=f"{base}.reference", label="Reference group"),
    )


def boxes(attributes: int) -> tuple[Box, ...]:
    """Every box of a form with so many attributes."""
    plain = tuple(box for part in PARTS for box in part.boxes)
    return (*plain, *(box for number in range(attributes) for box in attribute_boxes(number)))


def _field(key: str) -> Any:
    kind: Any = Plan
    *sections, last = key.split(".")
    for section in sections:
        kind = kind.model_fields[section].annotation
        options = [kind, *get_args(kind)]
        kind = next(item for item in options if isinstance(item, type) and issubclass(item, BaseModel))
    return next(item for name, item in kind.model_fields.items() if (item.alias or name) == last)
