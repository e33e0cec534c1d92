"""The case browser: which prompts and answers lie behind a number. Read lazily from the evidence's tables."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import polars as pl
from django.core.paginator import Page, Paginator
from django.http import Http404, QueryDict
from django.utils.translation import gettext as _

from auditor.records import Outcome
from compliance.dashboard.asked import SHOWN_CHARACTERS, choice, unknown
from compliance.dashboard.evidence import EvidenceFolder
from compliance.tables.html import COLUMN

PAGE = 25
SLICE = 1_000
ROLES = ("actual", "counterfactual", "placebo", "reask")
FLIPS = ("any", "against", "towards")
CONTROLS = (("placebo=filed", "placebo=changed"), ("reask=first", "reask=second"))


@dataclass(frozen=True, kw_only=True)
class CaseFilter:
    """What somebody asks to see. Two arms and no role: pairs of the same application, the reference first.

    ``cut_off``, in logits, is where pairs are decided instead of at the model's own cut-off: favourable is a readable
    answer whose score is at least that.
    """

    arms: tuple[str, ...] = ()
    role: str = ""
    outcome: str = ""
    flipped: str = ""
    cut_off: float | None = None
    columns: tuple[str, ...] = ()
    page: int = 1

    @property
    def paired(self) -> bool:
        """Whether pairs are listed."""
        return len(self.arms) == 2 and not self.role

    @property
    def query(self) -> str:
        """The filter as a query string, without the page."""
        values = {
            "arm": "|".join(self.arms),
            "role": self.role,
            "outcome": self.outcome,
            "flipped": self.flipped if self.paired else "",
            "cut_off": str(self.cut_off) if self.paired and self.cut_off is not None else "",
        }
        pairs = [(key, value) for key, value in values.items() if value]
        return urlencode([*pairs, *((COLUMN, name) for name in self.columns)])


@dataclass(frozen=True, kw_only=True)
class CasePage:
    """One page of rows, and how many there are on all pages."""

    rows: list[dict[str, Any]]
    total: int
    page: int

    @property
    def first(self) -> int:
        """The number of the first row, from 1."""
        return (self.page - 1) * PAGE + 1 if self.total else 0

    @property
    def last(self) -> int:
        """The number of the last row."""
        return min(self.page * PAGE, self.total)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.total // PAGE))

    @property
    def listed(self) -> Page[int]:
        """The same as other lists have it, for the way to other pages."""
        return Paginator(range(self.total), PAGE).page(self.page)


def filter_from(asked: QueryDict, *, evidence: EvidenceFolder, planned: Collection[str]) -> CaseFilter:
    """The filter of an address; ``planned`` are the arms that the plan names.

    Raises
    ------
    Http404
        For an arm that no plan named and in which no case stands, and any other unknown word.
    """
    page = asked.get("page", "1")
    # Some numbers are of several arms, such as all reference arms: none of them is left out.
    arms = tuple(dict.fromkeys(part for part in asked.get("arm", "").split("|") if part))
    if not set(planned).issuperset(arms):
        known = arms_of(evidence) | set(planned)
        if strange := [arm for arm in arms if arm not in known]:
            raise unknown("arm", strange[0], sorted(known))
    return CaseFilter(
        arms=arms,
        role=choice(asked, "role", ROLES),
        outcome=choice(asked, "outcome", [item.value for item in Outcome]),
        flipped=choice(asked, "flipped", FLIPS),
        cut_off=_cut_off_from(asked.get("cut_off", "")),
        page=max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
    )


def _cut_off_from(word: str) -> float | None:
    if not word:
        return None
    try:
        found = float(word)
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or not word.isascii():
        raise Http404(
            _("cut_off: {word} is not a score; expected a number of logits, such as 0.25").format(
                word=repr(word[:SHOWN_CHARACTERS])
            )
        )
    return found


def arms_of(evidence: EvidenceFolder) -> frozenset[str]:
    """Every arm in which a case of an audit stands: ``race=White``."""
    arms = pl.scan_parquet(evidence.table("cases.parquet")).select(pl.col("arms").explode().unique()).collect()
    return frozenset(arms["arms"].drop_nulls().to_list())


def filter_of(query: str) -> CaseFilter:
    """The filter that a ``cases`` query names: ``arm:race=Black|race=White;role:actual``, ``…;flipped:against``."""
    parts = dict(part.split(":", 1) for part in query.split(";") if ":" in part)
    role, flipped = _one_of(parts.get("role", ""), ROLES), _one_of(parts.get("flipped", ""), FLIPS)
    arms = tuple(part for part in parts.get("arm", "").split("|") if part)
    return CaseFilter(arms=arms, role=role, flipped=flipped)


def reference_first(asked: CaseFilter, references: Mapping[str, str]) -> CaseFilter:
    """The same filter with the reference arm in front, as the design names it."""
    firsts = {f"{field}={group}" for field, group in references.items()} | {first for first, _ in CONTROLS}
    return replace(asked, arms=tuple(sorted(asked.arms, key=lambda arm: arm not in firsts)))


def find_cases(evidence: EvidenceFolder, asked: CaseFilter) -> CasePage:
    """One page of the cases or pairs a filter lets through.

    Returns
    -------
    CasePage
        Rows of cases (``id``, ``role``, ``changed``, ``arms``, ``outcome``, ``margin``, ``mass``) in the order they
        were asked, or of pairs (``cluster``, and the same with ``_reference`` and ``_changed`` behind it, ``flip``,
        ``shift`` in logits), flips first.
    """
    table = _answered(evidence)
    found = _pairs(table, asked) if asked.paired else _singles(table, asked)
    total = int(found.select(pl.len()).collect().item())
    page = min(asked.page, max(1, -(-total // PAGE)))
    return CasePage(rows=found.slice((page - 1) * PAGE, PAGE).collect().to_dicts(), total=total, page=page)


def every_case(evidence: EvidenceFolder, asked: CaseFilter) -> Iterator[dict[str, Any]]:
    """All rows of :func:`find_cases`, one after the other."""
    table = _answered(evidence)
    found = _pairs(table, asked) if asked.paired else _singles(table, asked)
    for part in found.collect().iter_slices(SLICE):
        yield from part.to_dicts()


def place(rows: Sequence[dict[str, Any]], *, cut_off: float = 0.0) -> None:
    """Add to every pair where its two margins stand on a line of 110 pixels with the decision at 55 (``plot``)."""
    sides = ("reference", "changed")
    known = [
        abs(row[f"margin_{side}"] - cut_off) for row in rows for side in sides if row[f"margin_{side}"] is not None
    ]
    widest = max(known, default=0.0) or 1.0
    for row in rows:
        values = [row[f"margin_{side}"] for side in sides]
        row["plot"] = None if None in values else [round(55 + 48 * (value - cut_off) / widest, 1) for value in values]


def application(evidence: EvidenceFolder, case_id: str) -> list[dict[str, Any]]:
    """Every case of the application that a case belongs to, with prompt and spans; empty if there is no such case."""
    table = _answered(evidence, "prompt", "spans", "groups")
    cluster = table.filter(pl.col("id") == case_id).select("cluster").collect()
    if cluster.is_empty():
        return []
    return table.filter(pl.col("cluster") == cluster.item(0, 0)).collect().to_dicts()


def _answered(evidence: EvidenceFolder, *more: str) -> pl.LazyFrame:
    cases = pl.scan_parquet(evidence.table("cases.parquet")).select("id", "cluster", "role", "changed", "arms", *more)
    answers = pl.scan_parquet(evidence.table("decisions.parquet")).select("case_id", "margin", "mass", "outcome")
    return cases.join(answers, left_on="id", right_on="case_id", how="left", maintain_order="left")


def _singles(table: pl.LazyFrame, asked: CaseFilter) -> pl.LazyFrame:
    if asked.arms:
        table = table.filter(pl.any_horizontal(pl.col("arms").list.contains(arm) for arm in asked.arms))
    if asked.role:
        table = table.filter(pl.col("role") == asked.role)
    if asked.outcome:
        table = table.filter(pl.col("outcome") == asked.outcome)
    return table


def _pairs(table: pl.LazyFrame, asked: CaseFilter) -> pl.LazyFrame:
    sides = [table.filter(pl.col("arms").list.contains(arm)) for arm in asked.arms]
    pairs = sides[0].join(sides[1], on="cluster", suffix="_changed", how="inner", maintain_order="left")
    pairs = pairs.rename(
        {name: f"{name}_reference" for name in ("id", "role", "changed", "arms", "margin", "mass", "outcome")}
        | {"changed_changed": "field_changed"}
    )
    before, after = (_favourable(side, asked.cut_off) for side in ("reference", "changed"))
    flip = pl.when(before & ~after).then(pl.lit("against")).when(~before & after).then(pl.lit("towards"))
    pairs = pairs.with_columns(
        flip.otherwise(pl.lit("none")).alias("flip"),
        (pl.col("margin_changed") - pl.col("margin_reference")).alias("shift"),
    )
    if asked.flipped:
        wanted = ("against", "towards") if asked.flipped == "any" else (asked.flipped,)
        pairs = pairs.filter(pl.col("flip").is_in(wanted))
    if asked.outcome:
        sought = (pl.col(f"outcome_{side}") == asked.outcome for side in ("reference", "changed"))
        pairs = pairs.filter(pl.any_horizontal(sought))
    rank = pl.col("flip") == "none"
    return pairs.sort(rank, pl.col("shift").abs(), "cluster", descending=[False, True, False], nulls_last=True)


def _favourable(side: str, cut_off: float | None) -> pl.Expr:
    """Whether one side of a pair is decided favourably. What is no readable answer is favourable at no cut-off."""
    outcome = pl.col(f"outcome_{side}")
    if cut_off is None:
        return outcome == Outcome.FAVOURABLE.value
    read = outcome.is_in([Outcome.FAVOURABLE.value, Outcome.ADVERSE.value])
    return (read & (pl.col(f"margin_{side}") >= cut_off)).fill_null(value=False)


def _one_of(word: str, words: Sequence[str]) -> str:
    return word if word in words else ""
