"""The form of a plan: which key stands where, under which label, in what kind of box.

Types, bounds and defaults are the engine's; nothing is checked here. tests/compliance/test_plan_form.py holds the list
against the engine's: a key it has is on the form or named in ``TOML_ONLY``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
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
        title=gettext_noop("Name"),
        lead=gettext_noop("A registered design keeps its name and title for good."),
        boxes=(
            Box(key="name", label=gettext_noop("Name"), help=gettext_noop("Lower-case letters, digits, - and _.")),
            Box(key="title", label=gettext_noop("Title"), help=gettext_noop("Heading of the report."), wide=True),
            Box(
                key="schema",
                label=gettext_noop("Schema"),
                kind=NUMBER,
                help=gettext_noop(
                    "2 for a plan without a prompt, and for one that says how answers are read or what may be asked."
                ),
            ),
        ),
    ),
    Part(
        key="use",
        title=gettext_noop("Use"),
        lead=gettext_noop("What the model is used for, and under which policy packs it is read."),
        boxes=(
            Box(
                key="use.business_use",
                label=gettext_noop("Business use"),
                help=gettext_noop("Scope of the report."),
                wide=True,
            ),
            Box(key="use.decision_role", label=gettext_noop("Decision role"), kind=CHOICE),
            Box(
                key="use.model_tier", label=gettext_noop("Model tier"), kind=NUMBER, help=gettext_noop("1 (most) to 4.")
            ),
            Box(
                key="use.population",
                label=gettext_noop("Population"),
                help=gettext_noop("Whom the results speak of."),
                wide=True,
            ),
            Box(key="use.products", label=gettext_noop("Products"), kind=LINES, help=gettext_noop("One a line.")),
            Box(
                key="use.jurisdictions",
                label=gettext_noop("Jurisdictions"),
                kind=LINES,
                help=gettext_noop("One a line."),
            ),
            Box(
                key="use.excluded_uses",
                label=gettext_noop("Excluded uses"),
                kind=LINES,
                help=gettext_noop("One a line."),
            ),
            Box(key="use.policy_packs", label=gettext_noop("Policy packs"), kind=CHECKS, wide=True),
        ),
    ),
    Part(
        key="cases",
        title=gettext_noop("Applications"),
        lead=gettext_noop("Which applications of the data are asked about."),
        boxes=(
            Box(
                key="cases.select",
                label=gettext_noop("Select"),
                kind=CHOICE,
                help=gettext_noop("unseen: outside the model's training record."),
            ),
            Box(
                key="cases.limit",
                label=gettext_noop("Limit"),
                kind=NUMBER,
                help=gettext_noop("Left empty: all of them."),
            ),
            Box(key="cases.seed", label=gettext_noop("Seed"), kind=NUMBER),
        ),
    ),
    Part(
        key="prompt",
        title=gettext_noop("Prompt and answers"),
        lead=gettext_noop("What the model reads, and which of its answers count."),
        boxes=(
            Box(
                key="prompt.template",
                label=gettext_noop("Template"),
                kind=LONG,
                rows=14,
                wide=True,
                help=gettext_noop("{field} for a field's words, {fields} for all listed ones, {{ and }} for braces."),
            ),
            Box(
                key="prompt.form",
                label=gettext_noop("Form"),
                kind=CHOICE,
                help=gettext_noop("chat: through the tokenizer's chat template."),
            ),
            Box(key="prompt.style", label=gettext_noop("Style of {fields}"), kind=CHOICE),
            Box(
                key="prompt.fields",
                label=gettext_noop("What {fields} stands for"),
                kind=LINES,
                help=gettext_noop("One field a line."),
            ),
            Box(key="prompt.system", label=gettext_noop("System message"), help=gettext_noop("Chat form only.")),
            Box(
                key="prompt.date",
                label=gettext_noop("Date"),
                help=gettext_noop("Chat form only: for templates that print one, as 2026-01-31."),
            ),
            Box(
                key="prompt.answers.favourable",
                label=gettext_noop("Favourable answers"),
                kind=LINES,
                help=gettext_noop("One spelling a line, exactly as it follows the prompt: a leading space counts."),
            ),
            Box(
                key="prompt.answers.adverse",
                label=gettext_noop("Adverse answers"),
                kind=LINES,
                help=gettext_noop("One spelling a line."),
            ),
            Box(
                key="prompt.answers.mass_floor",
                label=gettext_noop("Mass floor"),
                kind=NUMBER,
                help=gettext_noop("Under this probability on all answers a case is invalid."),
            ),
        ),
    ),
    Part(
        key="reading",
        title=gettext_noop("Reading"),
        lead=gettext_noop(
            "How a decision is read from an answer: what a system can do is found out when it is registered."
        ),
        boxes=(
            Box(
                key="reading.readout",
                label=gettext_noop("Readout"),
                kind=CHOICE,
                help=gettext_noop("auto: the most that can be read."),
            ),
            Box(key="reading.form", label=gettext_noop("Form of the answer"), kind=CHOICE),
            Box(key="reading.temperature", label=gettext_noop("Temperature"), kind=NUMBER),
            Box(
                key="reading.seed",
                label=gettext_noop("Seed"),
                kind=NUMBER,
                help=gettext_noop("Left empty: that of the applications."),
            ),
            Box(
                key="reading.replicates",
                label=gettext_noop("Replicates"),
                kind=NUMBER,
                help=gettext_noop("How often each case is asked."),
            ),
            Box(key="reading.max_tokens", label=gettext_noop("Longest answer, tokens"), kind=NUMBER),
            Box(
                key="reading.stop",
                label=gettext_noop("Stop at"),
                kind=LINES,
                help=gettext_noop("One text a line. Weights only."),
            ),
            Box(
                key="reading.top",
                label=gettext_noop("Likeliest tokens"),
                kind=NUMBER,
                help=gettext_noop("Where a system shows them: 1 to 20."),
            ),
        ),
    ),
    Part(
        key="limits",
        title=gettext_noop("Limits"),
        lead=gettext_noop(
            "The most a run may ask for; it pauses there. What is listed for the system holds beside it."
        ),
        boxes=(
            Box(key="limits.requests", label=gettext_noop("Requests"), kind=NUMBER),
            Box(
                key="limits.money",
                label=gettext_noop("Money"),
                kind=NUMBER,
                help=gettext_noop("In the currency of the system's prices."),
            ),
        ),
    ),
    Part(
        key="placebo",
        title=gettext_noop("Placebo"),
        lead=gettext_noop("An irrelevant field, changed in one case of every application. Left empty: none."),
        boxes=(
            Box(
                key="placebo.field",
                label=gettext_noop("Field"),
                help=gettext_noop("A name that is not a field of the data."),
            ),
            Box(key="placebo.label", label=gettext_noop("Label")),
            Box(key="placebo.low", label=gettext_noop("Lowest value"), kind=NUMBER),
            Box(key="placebo.high", label=gettext_noop("Highest value"), kind=NUMBER),
        ),
    ),
    Part(
        key="tests",
        title=gettext_noop("Tests"),
        lead=gettext_noop("Tests after the first five look inside the model; their settings are written in the TOML."),
        boxes=(
            Box(key="tests.run", label=gettext_noop("Tests"), kind=CHECKS, wide=True),
            Box(
                key="noise.reask",
                label=gettext_noop("Asked again"),
                kind=NUMBER,
                help=gettext_noop("Applications asked once more, each prompt alone."),
            ),
        ),
    ),
    Part(
        key="thresholds",
        title=gettext_noop("Thresholds"),
        lead=gettext_noop("Fixed before the run, printed with their basis."),
        boxes=(
            Box(
                key="thresholds.alpha",
                label=gettext_noop("Alpha"),
                kind=NUMBER,
                help=gettext_noop("Two-sided level of confirmatory families."),
            ),
            Box(key="thresholds.power", label=gettext_noop("Power"), kind=NUMBER),
            Box(key="thresholds.practical_rate", label=gettext_noop("Practical difference in rates"), kind=NUMBER),
            Box(key="thresholds.equivalence_rate", label=gettext_noop("Equivalence margin of rates"), kind=NUMBER),
            Box(
                key="thresholds.practical_margin_sd", label=gettext_noop("Practical shift of margins, SD"), kind=NUMBER
            ),
            Box(key="thresholds.exploratory_q", label=gettext_noop("Exploratory q"), kind=NUMBER),
            Box(key="thresholds.bootstrap", label=gettext_noop("Bootstrap resamples"), kind=NUMBER),
            Box(key="thresholds.small_cell", label=gettext_noop("Small cell"), kind=NUMBER),
        ),
    ),
    Part(
        key="operating_point",
        title=gettext_noop("Operating point"),
        lead=gettext_noop("When a decision counts as favourable, and when the natural rule says nothing."),
        boxes=(
            Box(key="operating_point.natural_margin", label=gettext_noop("Natural margin, nats"), kind=NUMBER),
            Box(
                key="operating_point.matched_rate",
                label=gettext_noop("Matched rate"),
                kind=NUMBER,
                help=gettext_noop("observed, or a share."),
            ),
            Box(
                key="operating_point.range",
                label=gettext_noop("Cut-off range"),
                help=gettext_noop("observed, or two approval rates: 0.8 to 0.95."),
            ),
            Box(
                key="operating_point.degenerate_share", label=gettext_noop("Degenerate from this share on"), kind=NUMBER
            ),
            Box(key="operating_point.mute_share", label=gettext_noop("Mute above this share"), kind=NUMBER),
        ),
    ),
    Part(
        key="budget",
        title=gettext_noop("Budget"),
        lead=gettext_noop("How the work is cut; boundaries follow from these numbers alone."),
        boxes=(
            Box(key="budget.threads", label=gettext_noop("Threads"), kind=NUMBER),
            Box(key="budget.pack_tokens", label=gettext_noop("Tokens a pack"), kind=NUMBER),
            Box(key="budget.chunk_tokens", label=gettext_noop("Tokens a chunk"), kind=NUMBER),
            Box(key="budget.max_prompt_tokens", label=gettext_noop("Longest prompt, tokens"), kind=NUMBER),
        ),
    ),
)


def attribute_boxes(number: int) -> tuple[Box, ...]:
    """The boxes of one protected attribute."""
    base = f"{ATTRIBUTES}.{number}"
    return (
        Box(
            key=f"{base}.field",
            label=_("Attribute {number}: field").format(number=number + 1),
            help=gettext_noop("Empty all three to take it out."),
        ),
        Box(
            key=f"{base}.groups",
            label=gettext_noop("Groups"),
            kind=LINES,
            help=gettext_noop("One a line; two or more."),
            rows=3,
        ),
        Box(key=f"{base}.reference", label=gettext_noop("Reference group")),
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
