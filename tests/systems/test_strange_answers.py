"""Whatever a server writes, a dialect reads it or names the place; nothing else is raised, no number comes of none."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.readouts.choice import ChoiceGrammar, read_choice
from auditor.readouts.log_odds import Bound, Margin, NoMargin, margin_of_scores, margin_of_tokens
from auditor.systems.asking import Request, Response
from auditor.systems.dialects import DIALECTS
from auditor.systems.exceptions import WireError
from auditor.systems.log_probabilities import implausible
from auditor.systems.statuses import filtered, judge_status
from auditor.systems.thinking import split_thinking
from auditor.systems.transport import Arrived
from auditor.systems.wire import read_json
from tests.systems.faults import Fault
from tests.systems.speakers import MadeUp
from tests.systems.wires import WIRES

FORM = ChoiceGrammar(favourable=("approve",), adverse=("deny",), form="tool")
UP, DOWN = ("approve", " approve"), ("deny", " deny")

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["approve", -9999.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def asked(dialect: str) -> list[Request]:
    plain = [Request(prompt="Decision:"), Request(prompt="Decision:", form=FORM.answer_form(), max_tokens=50)]
    top = [Request(prompt="Decision:", top=5)]
    scored = [Request(prompt="Decision:", continuations=(" approve", " deny"))]
    return {"completions": [plain[0], *top, *scored], "anthropic_messages": plain}.get(dialect, [*plain, *top])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        found += places(part, (*path, key))
    return found


@contextmanager
def only_wire_errors() -> Iterator[None]:
    """Lets nothing but faults of the wire by, each in one line."""
    said = "?"
    try:
        yield
    except WireError as error:
        said = str(error)
    assert said
    assert "\n" not in said


def check(request: Request, response: Response) -> None:
    """What was read can be read on, and holds no number that is none."""
    assert response.steps is None or not implausible(response.steps)
    for score in response.scored:
        assert score.log_probability is None or math.isfinite(score.log_probability)
        assert (score.log_probability is None) == bool(score.trouble)
    assert isinstance(margin_of_tokens([response.steps], favourable=UP, adverse=DOWN), Margin | Bound | NoMargin)
    assert isinstance(
        margin_of_scores(response.scored, favourable=(" approve",), adverse=(" deny",)), Margin | NoMargin
    )
    read_choice(response, FORM)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@settings(max_examples=300)
@given(data=st.data())
def test_an_answer_with_something_else_in_one_place_is_read_or_named(dialect: str, data: st.DataObject) -> None:
    spoken = DIALECTS[dialect]
    request = data.draw(st.sampled_from(asked(dialect)))
    meaning = data.draw(st.sampled_from(["", "thinking", "marked refusal"]))
    body = spoken.write(request, model="m")
    answer = copy.deepcopy(WIRES[f"/v1{spoken.path}"](MadeUp(), body, Fault(meaning=meaning), structures=True))
    *way, last = data.draw(st.sampled_from(places(answer)))
    inside = answer
    for key in way:
        inside = inside[key]
    inside[last] = data.draw(values)
    with only_wire_errors():
        check(request, spoken.read(request, read_json(json.dumps(answer).encode())))


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@given(answer=st.dictionaries(st.sampled_from(["choices", "output", "content", "model", "usage", "status"]), values))
def test_any_object_is_read_or_named(dialect: str, answer: dict[str, Any]) -> None:
    for request in asked(dialect):
        with only_wire_errors():
            check(request, DIALECTS[dialect].read(request, answer))


@given(body=st.binary(max_size=60) | st.sampled_from([b"[" * 200_000, b"1" * 5000, b'{"a": ' * 50_000]))
def test_any_bytes_are_an_object_or_named(body: bytes) -> None:
    with only_wire_errors():
        assert isinstance(read_json(body), dict)


@given(status=st.integers(100, 599), body=st.binary(max_size=60), content=values, wait=st.text(max_size=8) | st.none())
def test_any_status_is_judged_in_one_line(status: int, body: bytes, content: Any, wait: str | None) -> None:
    headers = {} if wait is None else {"retry-after": wait}
    for written in (body, json.dumps({"error": content}).encode()):
        answer = Arrived(status, headers, written)
        judged = judge_status(answer)
        assert str(status) in judged.note
        assert (judged.note + judged.detail).isprintable()
        assert filtered(answer) in (True, False)


@given(parts=st.lists(st.sampled_from(["<think>", "</think>", "<THINKING>", "</thinking>", "approve", "deny", " "])))
def test_no_thinking_is_left_in_an_answer_and_no_text_is_made_up(parts: list[str]) -> None:
    text = "".join(parts)
    thinking, answer = split_thinking(text)
    assert "think" not in answer.casefold()
    assert answer in text
    if "<think>" in text and "</" not in text:
        assert answer == text[: text.lower().index("<think")].strip()
    for word in ("approve", "deny"):
        assert (thinking + answer).count(word) <= text.count(word)
