"""Which figures from inside a model carry an interval: one rule for every test on internals.

An interval says how a figure would come out on other applications. What counts is therefore how many applications the
figure was *measured* on, not how many a setting asks for: an eraser that is fitted on twelve and measured on twelve
others has twelve. Below ``FOR_A_SHARE`` the figure is an illustration, which its method says, and has neither an
interval nor a test that rests on the same few (docs/decisions/0027-which-count-carries-an-interval.md).

Two kinds of p-value stay whatever the count is: exact ones, of randomisation or permutation, whose draws have a minimum
of their own; and those of a declared family, which was fixed before the run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auditor.records import Measurement
from auditor.statistics.minimums import FOR_A_SHARE, ILLUSTRATION, interval_may_stand, scope
from auditor.statistics.results import Estimate
from auditor.testing.factory import measurement

APPLICATIONS = "applications"


def printable(estimate: Estimate, *, n: int | None = None, what: str = APPLICATIONS, tested: bool = False) -> Estimate:
    """The estimate as it may be printed: from few a number that is called an illustration, and no interval.

    Parameters
    ----------
    estimate
        Any figure.
    n
        How many of ``what`` it was measured on; the estimate's own by default.
    what
        What an interval would speak of, in the plural.
    tested
        Whether its p-value is exact, or belongs to a declared family, and so stays.
    """
    count = estimate.n if n is None else n
    if estimate.value is None or interval_may_stand(count):
        return estimate
    words = (estimate.method, "" if ILLUSTRATION in estimate.method else _few(count, what))
    return replace(
        estimate,
        method="; ".join(filter(None, words)),
        interval=None,
        test=estimate.test if tested else None,
    )


def measured(
    estimate: Estimate,
    *,
    n: int | None = None,
    what: str = APPLICATIONS,
    exact: bool = False,
    family: str | None = None,
    **about: Any,
) -> Measurement:
    """A measurement of a test on internals, from an estimate as it may be printed.

    Parameters
    ----------
    estimate, n, what
        As `printable` takes them.
    exact
        Whether the p-value is one of randomisation or permutation.
    family
        The declared family, if any.
    about
        As `auditor.testing.factory.measurement` takes it.
    """
    shown = printable(estimate, n=n, what=what, tested=exact or family is not None)
    return measurement(shown, family=family, **about)


def _few(n: int, what: str) -> str:
    if not n or what == APPLICATIONS:
        return scope(n) if n else ""
    few = f"one {what.removesuffix('s')}" if n == 1 else f"{n} {what}"
    return f"{ILLUSTRATION}, {few}: {FOR_A_SHARE} and more would tell how it is in general"
