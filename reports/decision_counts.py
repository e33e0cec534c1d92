"""How many comparisons of a decision file say something, and how many cannot: told wherever its result is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor.behaviour.metrics import RISK_DIFFERENCE
from auditor.records import Conclusion, Measurement, Role
from reports import numbers, sentences, wording

RATES = "observed_rates"


def compared(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Every comparison of two groups of a decision file that was to be concluded."""
    return [item for item in measurements if item.reference and item.conclusion and wording.on_file(item)]


def counts_words(measurements: Sequence[Measurement]) -> str:
    """``Of 112 comparisons 16 are conclusive (12 …) and 96 cannot say, …; none was left untested.``."""
    found = compared(measurements)
    if not found:
        return ""
    codes = Counter(item.conclusion for item in found)
    quiet = (Conclusion.INCONCLUSIVE, Conclusion.NOT_TESTED)
    said = [code for code in wording.CONCLUSION_ORDER if codes[code] and code not in quiet]
    conclusive = numbers.count(sum(codes[code] for code in said))
    by_code = ", ".join(f"{numbers.count(codes[code])} {wording.conclusion_words(code)}" for code in said)
    without = sum(item.conclusion is Conclusion.INCONCLUSIVE and item.estimate is None for item in found)
    words = f"Of {numbers.count(len(found))} comparisons {conclusive} are conclusive"
    words += f" ({by_code})" if by_code else ""
    words += f" and {numbers.count(codes[Conclusion.INCONCLUSIVE])} cannot say"
    words += f", {numbers.count(without)} of them without a number" if without else ""
    untested = codes[Conclusion.NOT_TESTED] + sum(
        item.conclusion is Conclusion.NOT_TESTED and item.role is Role.SUPPORTING for item in measurements
    )
    if not untested:
        return f"{words}; none was left untested."
    return f"{words}; {numbers.count(untested)} more {'was' if untested == 1 else 'were'} left untested."


def open_words(measurements: Sequence[Measurement]) -> str:
    """Of which groups the plain difference of decisions stays open; empty where it does of none."""
    undecided = [
        item
        for item in compared(measurements)
        if item.test == RATES and item.metric == RISK_DIFFERENCE and item.conclusion is Conclusion.INCONCLUSIVE
    ]
    if not undecided:
        return ""
    return f"This audit cannot say whether plain approval rates differ for {sentences.against(undecided)}."
