"""The providers' own packages read the same wire as the dialects do: they are oracles here, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from auditor.readouts.choice import ChoiceGrammar
from auditor.systems.asking import Finish, Request
from auditor.systems.dialects import DIALECTS
from tests.systems.answering import Answering, answering
from tests.systems.faults import Fault, always
from tests.systems.spoken_to import ask

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

FORMS: list[Any] = [None, "json_schema", "tool"]
MEANINGS = ["", "thinking", "marked refusal", "filtered", "cut off"]


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    with answering() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Answering) -> Iterator[Any]:
    with openai.OpenAI(base_url=server.url, api_key="none", http_client=httpx2.Client(trust_env=False)) as made:
        yield made


def request(form: Any, *, top: int) -> Request:
    grammar = ChoiceGrammar(favourable=("approve",), adverse=("deny",), form=form or "labels")
    return Request(prompt="Decision:", system="You decide.", form=grammar.answer_form(), top=top, max_tokens=30)


def asked(server: Answering, asked_for: Request, dialect: str, meaning: str) -> tuple[dict[str, Any], Any]:
    found = ask(server, dialect, asked_for, fault=Fault(meaning=meaning))
    server.faults = always(Fault(meaning=meaning))
    return DIALECTS[dialect].write(asked_for, model="m"), found


@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("form", FORMS)
def test_openai_reads_the_same_chat_completion(server: Answering, client: Any, form: Any, meaning: str) -> None:
    body, found = asked(server, request(form, top=0 if form else 4), "chat_completions", meaning)
    theirs = client.chat.completions.create(**body)
    choice = theirs.choices[0]
    assert found.text == (choice.message.content or "")
    assert found.refusal == (choice.message.refusal or "")
    assert found.tool == (choice.message.tool_calls[0].function.arguments if choice.message.tool_calls else "")
    assert (found.finish_said, found.model) == (choice.finish_reason, theirs.model)
    assert found.fingerprint == theirs.system_fingerprint
    assert (found.usage.prompt, found.usage.answer) == (theirs.usage.prompt_tokens, theirs.usage.completion_tokens)
    if meaning in ("", "cut off") and form is None:
        told = [
            (step.token, step.logprob, tuple((other.token, other.logprob) for other in step.top_logprobs))
            for step in choice.logprobs.content
        ]
        assert [(step.text, step.log_probability, step.likeliest) for step in found.steps] == told


@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("form", FORMS)
def test_openai_reads_the_same_response(server: Answering, client: Any, form: Any, meaning: str) -> None:
    body, found = asked(server, request(form, top=0 if form else 4), "responses", meaning)
    theirs = client.responses.create(**body)
    refusals = [p.refusal for i in theirs.output if i.type == "message" for p in i.content if p.type == "refusal"]
    calls = [item.arguments for item in theirs.output if item.type == "function_call"]
    thoughts = [part.text for item in theirs.output if item.type == "reasoning" for part in item.summary]
    assert (found.text, found.refusal, found.tool) == (theirs.output_text, "".join(refusals), "".join(calls))
    assert found.thinking == "\n".join(thoughts)
    assert (found.model, found.usage.prompt) == (theirs.model, theirs.usage.input_tokens)
    if theirs.incomplete_details:
        assert found.finish_said == theirs.incomplete_details.reason


def test_openai_reads_the_same_completion(server: Answering, client: Any) -> None:
    body, found = asked(server, Request(prompt="Decision:", top=4), "completions", "")
    choice = client.completions.create(**body).choices[0]
    assert found.text == choice.text
    assert [step.text for step in found.steps] == choice.logprobs.tokens
    assert [dict(step.likeliest) for step in found.steps] == choice.logprobs.top_logprobs
    body, scored = asked(server, Request(prompt="Decision:", continuations=(" approve", " deny")), "completions", "")
    for score, echoed in zip(scored.scored, client.completions.create(**body).choices, strict=True):
        assert score.log_probability == pytest.approx(echoed.logprobs.token_logprobs[-1])


@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("form", FORMS)
def test_anthropic_reads_the_same_message(server: Answering, form: Any, meaning: str) -> None:
    body, found = asked(server, request(form, top=0), "anthropic_messages", meaning)
    base = server.url.removesuffix("/v1")
    # The package of today has no word for it, since newer models refuse it; the wire has.
    extra = {"temperature": body.pop("temperature")}
    with anthropic.Anthropic(base_url=base, api_key="none", http_client=httpx2.Client(trust_env=False)) as made:
        theirs = made.messages.create(**body, extra_body=extra)
    assert found.text == "".join(part.text for part in theirs.content if part.type == "text")
    assert found.thinking == "".join(part.thinking for part in theirs.content if part.type == "thinking")
    calls = [part.input for part in theirs.content if part.type == "tool_use"]
    assert ([json.loads(found.tool)] if found.tool else []) == calls
    assert (found.finish_said, found.model) == (theirs.stop_reason, theirs.model)
    assert (found.finish is Finish.REFUSED) == (theirs.stop_reason == "refusal")
    assert (found.usage.prompt, found.usage.answer) == (theirs.usage.input_tokens, theirs.usage.output_tokens)
