"""Whether generated texts are what the model's own forward pass gives: the self-check of decisions read from text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from auditor.behaviour.metrics import TEXTS_IN_DOUBT
from auditor.language_models.tolerance import TOLERANCE
from auditor.records import Check
from auditor.statistics.results import Estimate
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.factory import control_of_run, not_tested
from auditor.testing.unadjusted import UnadjustedMeasurement

if TYPE_CHECKING:
    from auditor.chunk_rows import TextRow

CHECK = "generated tokens read again"
NO_TEXT = "no decision of this run is read from a text that was generated here"

CARD = Card(
    name="generated_text",
    purpose="Whether the texts that decisions were read from are those of the model's own forward pass.",
    method=(
        "Texts are generated many at a time. Then the log-probability of every token is read again with the whole text "
        "as input, and of the first text of every group by the model's own forward pass. A token that leads the next "
        "likeliest by less than arithmetic can tell is decided by the forward pass over that text alone."
    ),
    worrying="A text whose tokens get other log-probabilities when read again: then no number of the run is concluded.",
    limitations="It tells whether texts are the model's, not whether other settings of generation would give others.",
    label="Generated text",
    metrics=(Metric(TEXTS_IN_DOUBT, "Texts whose self-check failed", "rate", higher_is_better=False),),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """The share of texts whose self-check failed, with the check that covers the run."""
    level = 1 - context.plan.thresholds.alpha
    texts = context.texts or ()
    if context.generated is None:
        yield UnadjustedMeasurement(not_tested(CARD, NO_TEXT, level=level))
        return
    doubtful = [text for text in texts if text.trouble]
    yield UnadjustedMeasurement(
        control_of_run(
            CARD,
            Estimate(
                value=len(doubtful) / len(texts) if texts else None,
                n=len(texts),
                method="share of texts whose tokens' log-probabilities differ when read again",
                reason=None if texts else "no text was generated",
            ),
            metric=TEXTS_IN_DOUBT,
            level=level,
            checks=(_check(texts, doubtful),),
            counts={
                "doubtful": len(doubtful),
                "tokens": sum(text.tokens for text in texts),
                "decided_alone": sum(text.ties for text in texts),
                "cut_off": sum(text.finish == "max_tokens" for text in texts),
            },
        )
    )


def _check(texts: Sequence[TextRow], doubtful: Sequence[TextRow]) -> Check:
    differences = [text.largest_difference for text in texts if text.largest_difference is not None]
    return Check(
        name=CHECK,
        held=not doubtful,
        value=max(differences, default=None),
        bound=TOLERANCE,
        note=doubtful[0].trouble if doubtful else "largest difference of a log-probability, in nats",
        covers_run=True,
    )
