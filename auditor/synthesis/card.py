"""What the ladder says of itself: it is read from measurements of tests, and words itself like one of them."""

from __future__ import annotations

from auditor.testing.card import Card, Metric

ATTRIBUTE_LADDER = "attribute_ladder"

CARD = Card(
    name="ladder",
    label="Ladder",
    purpose="How far what is known inside the model goes: encoded, selectively read, used, usable.",
    method="Each step is read from the measurements of the tests on internals; the highest that holds is given.",
    worrying="A protected attribute that is used by the decision.",
    limitations="A step that was not tested is not one that does not hold.",
    metrics=(Metric(ATTRIBUTE_LADDER, "Highest step that holds", "count"),),
)
