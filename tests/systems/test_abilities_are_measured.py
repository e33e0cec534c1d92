"""What a system can do is measured by asking it: what it ignores, invents or repeats differently is found."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.canonical import canonical_json
from auditor.systems.abilities import Abilities, LogProbabilities, Readout
from auditor.systems.asking import Request
from auditor.systems.drift import Moment, again, compare, fixed
from auditor.systems.exceptions import Rejected
from auditor.systems.request_store import RequestStore
from tests.systems.answering import answering
from tests.systems.faults import Asked, Fault, always
from tests.systems.listed import endpoint, new_store
from tests.systems.speakers import MadeUp
from tests.systems.wires import FINGERPRINT, MODEL


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    with new_store(tmp_path) as opened:
        yield opened


def probed(store: RequestStore, fault: Fault | None = None, *, structures: bool = True, **more: object) -> Abilities:
    serving = answering(faults=always(fault or Fault()), structures=structures)
    with serving as server, endpoint(server.url, store, **more) as system:
        return system.probe()


@pytest.mark.parametrize(
    ("dialect", "kind", "lacking"),
    [
        ("chat_completions", LogProbabilities.TOP, {"log-probabilities of whole answers", "20 likeliest tokens"}),
        ("responses", LogProbabilities.TOP, {"log-probabilities of whole answers", "20 likeliest tokens"}),
        ("completions", LogProbabilities.WHOLE, {"20 likeliest tokens", "json_schema", "tool"}),
        (
            "anthropic_messages",
            LogProbabilities.NONE,
            {"log-probabilities of whole answers", "log-probabilities of likeliest tokens"},
        ),
    ],
)
def test_each_dialect_shows_what_it_has(
    store: RequestStore, dialect: str, kind: LogProbabilities, lacking: set[str]
) -> None:
    found = probed(store, dialect=dialect)
    assert found.log_probabilities is kind
    assert (Readout.LOG_ODDS in found.readouts) == (kind is not LogProbabilities.NONE)
    assert found.top == (0 if dialect == "anthropic_messages" else 10)
    assert (found.deterministic, found.asked, found.alike) == (True, 5, 5)
    assert (found.json_schema, found.tool) == ((None, None) if dialect == "completions" else (True, True))
    assert found.model == MODEL
    assert found.fingerprint == (FINGERPRINT if "completions" in dialect else "")
    assert set(found.lacking) == lacking
    assert json.loads(canonical_json(found.as_json()))["log_probabilities"] == kind


def test_a_server_that_ignores_schema_and_tool_is_detected(store: RequestStore) -> None:
    found = probed(store, structures=False)
    assert (found.json_schema, found.tool) == (False, False)
    assert found.lacking["json_schema"] == "it was asked for and not honoured (the answer is not one JSON object)"
    assert "the tool was not called" in found.lacking["tool"] or "cut off" in found.lacking["tool"]


@pytest.mark.parametrize("meaning", ["zeros", "nines", "positive", "nan", "sum", "none"])
def test_log_probabilities_that_are_none_are_no_ability(store: RequestStore, meaning: str) -> None:
    found = probed(store, Fault(meaning=meaning))
    assert (found.log_probabilities, found.top) == (LogProbabilities.NONE, 0)
    assert Readout.LOG_ODDS not in found.readouts
    assert found.lacking["log-probabilities of likeliest tokens"]


def test_a_server_that_refuses_log_probabilities_is_told_by_its_own_sentence(store: RequestStore) -> None:
    def faults(asked: Asked) -> Fault | None:
        if asked.body.get("logprobs"):
            content = {"error": {"message": "logprobs are not supported with reasoning models"}}
            return Fault(wire="status", code=400, content=content)
        return None

    with answering(faults=faults) as server, endpoint(server.url, store) as system:
        found = system.probe()
    said = "it answers 400 Bad Request: logprobs are not supported with reasoning models"
    assert found.lacking["log-probabilities of likeliest tokens"] == said
    assert found.json_schema is True


def test_a_server_that_refuses_everything_is_not_probed(store: RequestStore) -> None:
    with pytest.raises(Rejected, match="answers 401 Unauthorized"):
        probed(store, Fault(wire="status", code=401))


def test_answers_that_differ_are_no_determinism(store: RequestStore) -> None:
    found = probed(store, extra={"temperature": 5.0}, without=["seed"])
    assert found.deterministic is True  # one seed, though none was sent: the server takes 0

    def other(asked: Asked) -> Fault | None:
        return Fault(meaning="refusal") if asked.before % 2 else None

    with answering(faults=other) as server, endpoint(server.url, store) as system:
        found = system.probe()
    assert found.deterministic is False
    assert found.alike == 3


def test_thinking_is_seen(store: RequestStore) -> None:
    assert probed(store, Fault(meaning="thinking")).thinks


def test_a_probe_that_was_made_is_not_made_again(store: RequestStore) -> None:
    with answering() as server, endpoint(server.url, store) as system:
        found = system.probe()
        count = len(server.asked)
        assert system.probe() == found
        assert len(server.asked) == count


def test_an_estimate_is_made_of_what_the_probe_showed_and_asks_nothing(store: RequestStore) -> None:
    prices = {"currency": "USD", "prompt": 1.0, "answer": 10.0}
    with answering(pause=0.02) as server, endpoint(server.url, store, prices=prices, concurrency=2) as system:
        before = system.estimate([1000] * 10, max_tokens=16, replicates=2)
        assert (before.measured, before.minutes, before.prompt_tokens) == (False, None, 5000)
        assert len(server.asked) == 0
        system.probe()
        count = len(server.asked)
        found = system.estimate([1000] * 10, max_tokens=16, replicates=2)
        assert len(server.asked) == count
    assert found.measured
    assert found.requests == 20
    [prompt] = {asked.body["messages"][0]["content"] for asked in server.asked[:5]}
    assert found.prompt_tokens == math.ceil(20 * 1000 / (len(prompt) / len(MadeUp().tokens(prompt))))
    assert found.answer_tokens == 20
    assert found.money == found.prompt_tokens + 10 * found.answer_tokens
    assert found.minutes is not None
    assert 20 * 0.02 / 2 / 60 <= found.minutes < 20 * 1.0 / 60


@pytest.mark.parametrize("meaning", ["", "other model", "other fingerprint", "refusal"])
def test_what_changed_between_start_and_end_is_named(store: RequestStore, meaning: str) -> None:
    cases = [Request(prompt=f"Application {number}\nDecision:") for number in range(9)]
    chosen = fixed(cases, count=3)
    assert [cases.index(case) for case in chosen] == [0, 3, 6]
    with answering() as server, endpoint(server.url, store) as system:
        start = system.ask(again(chosen, Moment.START))
        between = system.ask(cases)
        server.faults = always(Fault(meaning=meaning))
        middle = system.ask(again(chosen, Moment.MIDDLE))
        end = system.ask(again(chosen, Moment.END))
        assert len(server.asked) == 9 + 3 * 3
    found = compare([start, middle, end], between=between)
    assert found.asked == 3
    assert found.held == (meaning in ("", "refusal"))
    assert found.changed == (3 if meaning == "refusal" else 0)
    if meaning == "other model":
        assert found.models == (MODEL, "underwriter-2026-12-24")
        assert f"the model named by its answers changed: {MODEL}, then underwriter-2026-12-24" in found.sentence()
    if meaning == "other fingerprint":
        assert "the fingerprint changed: fp_a1, then fp_b2" in found.sentence()


def test_a_change_in_the_middle_of_a_run_is_named_by_its_cases(store: RequestStore) -> None:
    cases = [Request(prompt=f"Application {number}\nDecision:") for number in range(4)]
    with answering() as server, endpoint(server.url, store) as system:
        start = system.ask(again(cases[:1], Moment.START))
        server.faults = always(Fault(meaning="other model"))
        between = system.ask(cases)
        server.faults = always(Fault())
        end = system.ask(again(cases[:1], Moment.END))
    assert not compare([start, end], between=between).held
    assert compare([start, end]).held
