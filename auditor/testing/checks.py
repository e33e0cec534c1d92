"""What every test has to keep to, as one call: for our own tests, and for those of other packages.

>>> from auditor.testing.checks import check_test
>>> check_test(my_test, context)                                                     # doctest: +SKIP
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError

from auditor.plan_section import Section
from auditor.records import Measurement
from auditor.testing.card import Card
from auditor.testing.context import Context
from auditor.testing.factory import NOT_TESTED, measurement_id
from auditor.testing.on_internals import NEEDED, OnInternals
from auditor.testing.rows import Row

QUESTIONS = ("", "fields", "encoded", "used", "usable", "where", "parts")
NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_card(test: Any) -> list[str]:
    """What is wrong with a test's card and settings, a sentence each; empty where nothing is.

    Parameters
    ----------
    test
        A test, whether it looks at outputs or inside a model.
    """
    card: Card = test.CARD
    wrong = []
    if not NAME.fullmatch(card.name):
        wrong.append(f"its name is {card.name!r}; expected small letters, digits and _")
    for key in ("purpose", "method", "worrying", "limitations", "label"):
        if not getattr(card, key).strip():
            wrong.append(f"its card has no {key}")
    for key in ("purpose", "method", "worrying", "limitations"):
        if getattr(card, key).strip() and not getattr(card, key).strip().endswith("."):
            wrong.append(f"the {key} on its card is not a sentence")
    if card.question not in QUESTIONS:
        wrong.append(f"its question is {card.question!r}; expected one of {', '.join(filter(None, QUESTIONS))}")
    if not card.metrics:
        wrong.append("its card names no metric")
    names = [metric.name for metric in card.metrics]
    wrong += [f"its card names the metric {name!r} twice" for name in sorted({n for n in names if names.count(n) > 1})]
    wrong += [f"the metric {metric.name!r} has no label" for metric in card.metrics if not metric.label.strip()]
    if card.needs_internals:
        missing = [name for name in (*NEEDED, "measure") if not hasattr(test, name)]
        wrong += [f"it looks inside a model and has no {name}" for name in missing]
        wrong += [] if missing else _types(test)
    return wrong


def _whole(test: Any) -> bool:
    """Whether a test on internals offers everything that the engine reads its rows by."""
    return all(hasattr(test, name) for name in (*NEEDED, "measure")) and not _types(test)


def _types(test: Any) -> list[str]:
    """What is wrong with the types of a test on internals."""
    wrong = []
    if not issubclass(test.Settings, Section):
        wrong.append("its settings are not an auditor.plan.Section")
    else:
        try:
            test.Settings()  # every setting has a default: a plan need not name any
        except ValidationError as error:
            names = ", ".join(str(problem["loc"][0]) for problem in error.errors() if problem["loc"])
            wrong.append(f"its settings have no default that fits for: {names or 'the whole'}")
    for name in ("Payload", "Result"):
        kinds = _kinds(getattr(test, name))
        if not kinds or not all(isinstance(kind, type) and issubclass(kind, Row) for kind in kinds):
            wrong.append(f"its {name} is not an auditor.testing.rows.Row, nor a union of rows")
    return wrong


def _kinds(kind: Any) -> tuple[Any, ...]:
    """The members of a union, whether annotated or not; a type alone is its own."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,)


def check_measurements(card: Card, measurements: Sequence[Measurement]) -> list[str]:
    """What is wrong with what a test measured, a sentence each; empty where nothing is.

    Ids are made of test, metric, subject and reference and are no other's; every metric is on the card, with its unit
    and direction; a number is finite, or missing with a reason; an interval is the right way round.
    """
    known = {metric.name: metric for metric in card.metrics}
    wrong = []
    ids = [item.id for item in measurements]
    wrong += [f"{name}: appears twice" for name in sorted({name for name in ids if ids.count(name) > 1})]
    for item in measurements:
        expected = measurement_id(test=item.test, metric=item.metric, subject=item.subject, reference=item.reference)
        if item.id != expected:
            wrong.append(f"{item.id}: expected the id {expected}")
        if item.test != card.name:
            wrong.append(f"{item.id}: says that it is of the test {item.test!r}")
        if item.metric != NOT_TESTED and item.metric not in known:
            wrong.append(f"{item.id}: its metric is not on the card")
        elif item.metric != NOT_TESTED:
            metric = known[item.metric]
            if metric.unit and metric.unit != item.unit:
                wrong.append(f"{item.id}: is counted in {item.unit!r}, and its card says {metric.unit!r}")
            if metric.higher_is_better is not item.higher_is_better:
                found, card_says = item.higher_is_better, metric.higher_is_better
                wrong.append(f"{item.id}: higher is better: {found}, and its card says {card_says}")
        for key in ("estimate", "low", "high", "p_value"):
            value = getattr(item, key)
            if value is not None and not math.isfinite(value):
                wrong.append(f"{item.id}: {key} is {value}")
        if item.estimate is None and not item.missing_reason:
            wrong.append(f"{item.id}: has no number and no reason")
        if item.low is not None and item.high is not None and item.low > item.high:
            wrong.append(f"{item.id}: its interval is upside down")
    return wrong


def check_test(test: Any, context: Context) -> None:
    """Hold a test against its contract: its card, its measurements, and that it measures the same twice.

    Parameters
    ----------
    test
        Ours or anybody's; of a package, its module.
    context
        A run that it can measure: of a test on internals, with what its own chunks computed.

    Raises
    ------
    AssertionError
        With a line for everything that is wrong.
    """
    wrong, name = check_card(test), test.CARD.name
    if test.CARD.needs_internals and not isinstance(test, OnInternals):
        # The module of a package, as its author has it: the engine reads rows for it as it would in a run.
        module: Any = test
        test = OnInternals(module, rows=lambda: module, method=lambda: module) if _whole(module) else None
    if test is not None:
        first = [draft.measurement for draft in test.measure(context)]
        wrong += check_measurements(test.CARD, first)
        if [draft.measurement for draft in test.measure(context)] != first:
            wrong.append("it does not measure the same when it is asked twice")
    if wrong:
        raise AssertionError("\n".join(f"{name}: {line}" for line in wrong))
