"""Each dialect writes what its server reads and reads what its server writes, thinking apart, faults by name."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from auditor.readouts.choice import ChoiceGrammar, read_choice
from auditor.readouts.log_odds import Bound, Margin, NoMargin, margin_of_scores, margin_of_tokens
from auditor.readouts.reading import ReadAs
from auditor.systems.asking import Finish, Request, TokenStep, Usage
from auditor.systems.dialects import DIALECTS
from auditor.systems.exceptions import CannotAsk, WireError
from auditor.systems.wire import read_json
from tests.systems.answering import Answering, answering
from tests.systems.faults import Fault
from tests.systems.speakers import MadeUp
from tests.systems.spoken_to import ask
from tests.systems.wires import FINGERPRINT, MODEL

CHAT = ["chat_completions", "responses", "anthropic_messages"]
TOP = ["chat_completions", "completions", "responses"]
PROMPT = "Income: 5000\nDecision:"
LABELS = ChoiceGrammar(favourable=("approve",), adverse=("deny",))


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    with answering() as running:
        yield running


def prompts_until_it_says(label: str) -> Iterator[str]:
    speaker = MadeUp()
    for number in range(1000):
        table, logs = speaker.next(f"{PROMPT} {number}", [])
        if table[int(logs.argmax())].strip() == label:
            yield f"{PROMPT} {number}"


SAYS_APPROVE = next(prompts_until_it_says("approve"))


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_an_answer_has_its_text_model_and_usage(server: Answering, dialect: str) -> None:
    found = ask(server, dialect, Request(prompt=SAYS_APPROVE))
    assert read_choice(found, LABELS).value == "favourable"
    assert (found.finish, found.model) == (Finish.STOP, MODEL)
    assert found.fingerprint == (FINGERPRINT if "completions" in dialect else "")
    assert found.usage == Usage(len(MadeUp().tokens(SAYS_APPROVE)), 1)
    assert (found.steps, found.thinking, found.refusal) == (None, "", "")
    assert found.trouble


def test_a_request_is_written_as_each_reference_has_it(server: Answering) -> None:
    asked = Request(prompt="p", system="s", max_tokens=7, temperature=0.5)
    written = {name: DIALECTS[name].write(asked, model="m") for name in CHAT}
    assert written["chat_completions"] == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}],
        "max_tokens": 7,
        "temperature": 0.5,
    }
    assert written["responses"] == {
        "model": "m",
        "input": "p",
        "instructions": "s",
        "max_output_tokens": 7,
        "store": False,
        "temperature": 0.5,
    }
    assert written["anthropic_messages"] == {
        "model": "m",
        "max_tokens": 7,
        "messages": [{"role": "user", "content": "p"}],
        "system": "s",
        "temperature": 0.5,
    }


def test_fields_of_an_administrator_stand_over_the_dialects_and_null_takes_one_away() -> None:
    extra = {"max_completion_tokens": 9, "max_tokens": None, "temperature": 1}
    written = DIALECTS["chat_completions"].write(Request(prompt="p", seed=3), model="m", extra=extra)
    messages = [{"role": "user", "content": "p"}]
    assert written == {"model": "m", "messages": messages, "max_completion_tokens": 9, "temperature": 1, "seed": 3}


@pytest.mark.parametrize(
    ("dialect", "lacking"),
    [
        ("chat_completions", {"continuations": (" a",)}),
        ("completions", {"system": "s"}),
        ("completions", {"form": ChoiceGrammar(favourable=("a",), adverse=("b",), form="tool").answer_form()}),
        ("responses", {"seed": 1}),
        ("anthropic_messages", {"seed": 1}),
        ("anthropic_messages", {"top": 5}),
    ],
)
def test_what_a_dialect_has_no_words_for_is_refused_and_not_left_out(dialect: str, lacking: dict[str, Any]) -> None:
    name = next(iter(lacking))
    with pytest.raises(CannotAsk, match=rf"^dialect {dialect}: has no words for {name}$"):
        DIALECTS[dialect].write(Request(prompt="p", **lacking), model="m")


@pytest.mark.parametrize("dialect", TOP)
def test_the_likeliest_tokens_give_the_margin_of_the_model(server: Answering, dialect: str) -> None:
    found = ask(server, dialect, Request(prompt=SAYS_APPROVE, top=10))
    assert found.steps is not None
    up, down = ("approve", " approve"), ("deny", " deny")
    margin = margin_of_tokens([found.steps], favourable=up, adverse=down, tolerance=1.0)
    table, logs = MadeUp().next(SAYS_APPROVE, [])
    shares = {token: math.exp(value) for token, value in zip(table, logs, strict=True)}
    assert isinstance(margin, Margin)
    truth = math.log(sum(shares[word] for word in up) / sum(shares[word] for word in down))
    assert margin.value == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("extra", [{}, {"echo": None, "logprobs": None, "prompt_logprobs": 0, "max_tokens": 1}])
def test_whole_answers_are_scored_by_echo_and_by_prompt_log_probabilities(
    server: Answering, extra: dict[str, Any]
) -> None:
    request = Request(prompt=PROMPT, continuations=(" approve", " deny", " not at all"))
    found = ask(server, "completions", request, **extra)
    expected = [MadeUp().score(PROMPT + text) for text in request.continuations]
    lengths = [1, 1, 3]
    for score, values, length in zip(found.scored, expected, lengths, strict=True):
        assert score.log_probability == pytest.approx(math.fsum(value or 0 for value in values[-length:]), abs=1e-12)
    margin = margin_of_scores(found.scored, favourable=(" approve",), adverse=(" deny", " not at all"))
    assert isinstance(margin, Margin)
    assert margin.low == margin.high


def test_an_answer_that_merges_with_its_prompt_is_not_scored(server: Answering) -> None:
    found = ask(server, "completions", Request(prompt="Decision:", continuations=("approve", " deny")))
    assert found.scored[0].log_probability is None
    assert found.scored[0].trouble == "the answer merges with the text beside it when tokenised"
    assert found.scored[1].log_probability is not None


@pytest.mark.parametrize("form", ["json_schema", "tool"])
@pytest.mark.parametrize("dialect", CHAT)
def test_schema_and_tool_answers_are_read(server: Answering, dialect: str, form: Any) -> None:
    grammar = ChoiceGrammar(favourable=("approve",), adverse=("deny",), form=form)
    found = ask(server, dialect, Request(prompt=PROMPT, form=grammar.answer_form(), max_tokens=50))
    reading = read_choice(found, grammar)
    assert reading.read is ReadAs.VALUE
    assert json.loads(reading.text) == {"decision": {"favourable": "approve", "adverse": "deny"}[str(reading.value)]}


@pytest.mark.parametrize("fault", ["thinking", "think block"])
@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_thinking_with_the_opposite_answer_is_kept_apart(server: Answering, dialect: str, fault: str) -> None:
    found = ask(server, dialect, Request(prompt=SAYS_APPROVE), fault=Fault(meaning=fault))
    assert "deny" in found.thinking
    assert read_choice(found, LABELS).value == "favourable"


@pytest.mark.parametrize("dialect", CHAT)
def test_refusals_and_filters_are_refused(server: Answering, dialect: str) -> None:
    for meaning in ("refusal", "marked refusal", "filtered"):
        found = ask(server, dialect, Request(prompt=SAYS_APPROVE), fault=Fault(meaning=meaning))
        reading = read_choice(found, LABELS)
        assert (reading.read, reading.value) == (ReadAs.REFUSED, None), meaning


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_cut_off_answer_is_unreadable(server: Answering, dialect: str) -> None:
    found = ask(server, dialect, Request(prompt=SAYS_APPROVE), fault=Fault(meaning="cut off"))
    assert found.finish is Finish.LENGTH
    assert read_choice(found, LABELS).reason == "the answer was cut off"


@pytest.mark.parametrize(
    ("meaning", "why"),
    [
        ("zeros", "sum to"),
        ("nines", r"a placeholder \(-9999\)"),
        ("positive", r"above zero \(0.7\)"),
        ("nan", "not a number"),
        ("sum", "sum to"),
        ("none", "none came back"),
    ],
)
@pytest.mark.parametrize("dialect", TOP)
def test_implausible_log_probabilities_are_no_numbers_and_named(
    server: Answering, dialect: str, meaning: str, why: str
) -> None:
    found = ask(server, dialect, Request(prompt=SAYS_APPROVE, top=5), fault=Fault(meaning=meaning))
    assert found.steps is None
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(found.trouble)
    assert read_choice(found, LABELS).value == "favourable"  # the text is as good as before


@pytest.mark.parametrize("meaning", ["positive", "nan", "none"])
def test_implausible_scores_are_none_and_named(server: Answering, meaning: str) -> None:
    request = Request(prompt=PROMPT, continuations=(" approve", " deny"))
    found = ask(server, "completions", request, fault=Fault(meaning=meaning))
    assert [score.log_probability for score in found.scored] == [None, None]
    assert all(score.trouble for score in found.scored)


def test_a_short_list_of_tokens_bounds_what_it_does_not_show(server: Answering) -> None:
    found = ask(server, "chat_completions", Request(prompt=SAYS_APPROVE, top=1))
    margin = margin_of_tokens([found.steps], favourable=("approve", " approve"), adverse=("deny", " deny"))
    assert isinstance(margin, Bound)
    assert margin.at_least is not None


@pytest.mark.parametrize(
    ("dialect", "answer", "what"),
    [
        ("chat_completions", {}, r"choices\[0\] is missing"),
        ("chat_completions", {"choices": []}, r"choices\[0\] is missing"),
        ("chat_completions", {"choices": "x"}, "choices is not a list"),
        ("chat_completions", {"choices": [{"message": {"content": 3}}]}, "content is not a string"),
        ("completions", {"choices": [{}]}, "text is missing"),
        ("chat_completions", {"choices": [{"message": {"content": "a"}}] * 2}, "2 answers came to one question"),
        ("completions", {"choices": [{"text": "a"}, {"text": "b"}]}, "2 answers came to one question"),
        ("responses", {"output": 3}, "output is not a list"),
        ("responses", {"status": "failed", "error": {"message": "no"}, "output": []}, r"the response failed \(no\)"),
        ("responses", {"status": "in_progress", "output": []}, r"is not finished \(in_progress\)"),
        ("anthropic_messages", {"type": "error"}, "is of type 'error'"),
        ("anthropic_messages", {"type": "message"}, "content is missing"),
    ],
)
def test_what_is_not_of_the_dialect_is_named_by_its_place(dialect: str, answer: dict[str, Any], what: str) -> None:
    with pytest.raises(WireError, match=what):
        DIALECTS[dialect].read(Request(prompt="p", top=2), answer)


def test_two_calls_of_the_tool_are_no_answer() -> None:
    grammar = ChoiceGrammar(favourable=("approve",), adverse=("deny",), form="tool")
    call = {"function": {"name": "decision", "arguments": '{"decision": "approve"}'}}
    answer = {"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls": [call, call]}}]}
    request = Request(prompt="p", form=grammar.answer_form())
    found = DIALECTS["chat_completions"].read(request, answer)
    assert read_choice(found, grammar).reason == "the tool was not called, or not once"


def tokens(*texts: str) -> dict[str, Any]:
    """Tokens of a chat completion, each with both answers among the likeliest at its place."""
    best = [{"token": "approve", "logprob": -0.5}, {"token": "deny", "logprob": -1.5}]
    own = {"approve": -0.5, "deny": -1.5}
    return {"content": [{"token": text, "logprob": own.get(text, -2.5), "top_logprobs": best} for text in texts]}


@pytest.mark.parametrize(
    ("content", "spoken"),
    [
        ("", ["I", " think"]),
        (None, ["I", " think"]),
        ("<think>", ["<think>"]),
        ("<think>I", ["<think>", "I"]),
        ("</think>approve", ["</think>", "approve"]),
        ("approve", ["I", " think", "approve"]),
        ("approve", ["ap"]),
    ],
)
def test_tokens_of_a_thinking_part_are_no_tokens_of_the_answer(content: str | None, spoken: list[str]) -> None:
    message = {"content": content, "reasoning_content": "I think"}
    answer = {"choices": [{"finish_reason": "stop", "message": message, "logprobs": tokens(*spoken)}]}
    found = DIALECTS["chat_completions"].read(Request(prompt="p", top=2), answer)
    assert found.steps is None
    assert found.trouble
    assert margin_of_tokens([found.steps], favourable=("approve",), adverse=("deny",)).__class__ is NoMargin


def test_an_end_mark_and_white_space_around_an_answer_are_no_other_text() -> None:
    for content, spoken in (("approve", ["approve", "<|eot|>"]), ("approve", [" approve"]), (" approve", [" approve"])):
        answer = {"choices": [{"message": {"content": content}, "logprobs": tokens(*spoken)}]}
        assert DIALECTS["chat_completions"].read(Request(prompt="p", top=2), answer).steps is not None


def test_completions_in_the_form_that_llama_cpp_gives_them_have_log_probabilities() -> None:
    likeliest = [{"token": " no", "logprob": -0.27}, {"token": " yes", "logprob": -1.69}]
    content = [{"id": 787, "token": " no", "bytes": [32, 110, 111], "logprob": -0.27, "top_logprobs": likeliest}]
    answer = {"choices": [{"text": " no", "logprobs": {"content": content}, "finish_reason": "length"}]}
    found = DIALECTS["completions"].read(Request(prompt="p", top=2), answer)
    assert found.steps == (TokenStep(" no", -0.27, ((" no", -0.27), (" yes", -1.69))),)


def test_tokens_of_white_space_are_those_of_a_text_of_white_space() -> None:
    likeliest = [{"token": "\n", "logprob": -0.5}, {"token": " yes", "logprob": -1.5}]
    content = [{"token": "\n", "logprob": -0.5, "top_logprobs": likeliest}]
    for text, known in (("\n", True), ("", False)):  # without its text, it may be that of a thinking part
        answer = {"choices": [{"text": text, "logprobs": {"content": content}, "finish_reason": "length"}]}
        found = DIALECTS["completions"].read(Request(prompt="p", top=2), answer)
        assert (found.steps is not None) == known


NO_NUMBERS = [
    {"content": [{"token": "deny", "logprob": None}]},
    {"content": [{"token": "deny", "logprob": -0.1, "top_logprobs": [{"token": "approve", "logprob": None}]}]},
    {"content": [{"token": "deny", "logprob": "-0.1"}]},
    {"content": [{"token": None, "logprob": -0.1}]},
    {"content": ["deny"]},
    {"content": {"deny": -0.1}},
    {"content": [{"token": "deny", "logprob": -0.1, "top_logprobs": {"deny": -0.1}}]},
    {"content": [{"token": "deny", "logprob": -math.inf, "top_logprobs": []}]},
    ["deny"],
    "deny",
]


@pytest.mark.parametrize("told", NO_NUMBERS, ids=json.dumps)
@pytest.mark.parametrize("dialect", ["chat_completions", "responses"])
def test_log_probabilities_that_cannot_be_read_take_no_text_with_them(dialect: str, told: Any) -> None:
    answer: dict[str, Any] = {
        "chat_completions": {"choices": [{"finish_reason": "stop", "message": {"content": "deny"}, "logprobs": told}]},
        "responses": {
            "output": [
                {
                    "type": "message",
                    "content": [
                        {
                            "type": "output_text",
                            "text": "deny",
                            "logprobs": told.get("content") if isinstance(told, dict) else told,
                        }
                    ],
                }
            ]
        },
    }[dialect]
    found = DIALECTS[dialect].read(Request(prompt="p", top=2), read_json(json.dumps(answer).encode()))
    assert found.text == "deny"
    assert found.steps is None
    assert "log-probabilities" in found.trouble
    asked_none = DIALECTS[dialect].read(Request(prompt="p"), read_json(json.dumps(answer).encode()))
    assert (asked_none.text, asked_none.trouble) == ("deny", "not asked for")


@pytest.mark.parametrize(
    "told",
    [
        {"tokens": ["a"], "token_logprobs": []},
        {"tokens": ["a"], "token_logprobs": [None]},
        {"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"a": None}]},
        {"tokens": [1], "token_logprobs": [-0.1]},
        [],
    ],
    ids=json.dumps,
)
def test_completions_keep_their_text_too_and_scores_say_why_they_are_none(told: Any) -> None:
    choice = {"text": "a", "finish_reason": "stop", "logprobs": told}
    found = DIALECTS["completions"].read(Request(prompt="p", top=2), {"choices": [choice]})
    assert (found.text, found.steps) == ("a", None)
    assert found.trouble
    scored = DIALECTS["completions"].read(Request(prompt="p", continuations=(" a",)), {"choices": [choice]}).scored
    assert [(score.log_probability, bool(score.trouble)) for score in scored] == [(None, True)]


@pytest.mark.parametrize(
    ("own", "likeliest", "why"),
    [
        (-0.1, [("deny", -0.1), ("deny", -0.1)], "sum to|stands twice"),
        (-3.0, [("deny", -3.0), ("deny", -3.0), ("approve", -0.2)], "stands twice"),
        (-3.0, [("approve", -0.2), ("deny", -1.9)], "by itself"),
        (-0.5, [("approve", -1.2), ("refer", -1.9)], "likelier than they are"),
    ],
)
def test_log_probabilities_that_contradict_themselves_are_no_numbers(
    own: float, likeliest: list[tuple[str, float]], why: str
) -> None:
    best = [{"token": token, "logprob": value} for token, value in likeliest]
    content = [{"token": "deny", "logprob": own, "top_logprobs": best}]
    answer = {"choices": [{"finish_reason": "stop", "message": {"content": "deny"}, "logprobs": {"content": content}}]}
    found = DIALECTS["chat_completions"].read(Request(prompt="p", top=2), answer)
    assert (found.text, found.steps) == ("deny", None)
    assert re.search(why, found.trouble)


def test_a_list_in_any_order_or_longer_than_asked_for_and_pieces_of_characters_are_read() -> None:
    best = [{"token": token, "logprob": value} for token, value in [("\ufffd", -7.0), ("deny", -0.9), ("\ufffd", -7.0)]]
    best += [{"token": "approve", "logprob": -0.7}, {"token": " Deny", "logprob": -5.0}]
    content = [{"token": "deny", "logprob": -0.9, "top_logprobs": best, "bytes": [1, 2]}]
    answer = {"choices": [{"finish_reason": "stop", "message": {"content": "deny"}, "logprobs": {"content": content}}]}
    assert DIALECTS["chat_completions"].read(Request(prompt="p", top=2), answer).steps is not None


@pytest.mark.parametrize("dialect", ["chat_completions", "completions"])
@pytest.mark.parametrize("ended", ["error", "ABORT", "network_error", "insufficient_system_resource"])
def test_an_answer_that_the_server_broke_off_is_none(dialect: str, ended: str) -> None:
    choice = {"finish_reason": ended, "message": {"content": "approve"}, "text": "approve"}
    with pytest.raises(WireError, match=rf"the server broke the answer off \({ended}\)"):
        DIALECTS[dialect].read(Request(prompt="p"), {"choices": [choice]})
    error = {"message": "out of\n\0 memory"}
    with pytest.raises(WireError, match=r"broke the answer off \(out of memory\)"):
        DIALECTS[dialect].read(Request(prompt="p"), {"choices": [{**choice, "finish_reason": "stop", "error": error}]})


@pytest.mark.parametrize(
    ("ended", "finish"), [("model_length", Finish.LENGTH), ("SAFETY", Finish.FILTERED), ("", Finish.OTHER)]
)
def test_the_words_of_other_servers_are_known_and_no_word_is_no_end(ended: str, finish: Finish) -> None:
    choice = {"finish_reason": ended or None, "message": {"content": "approve"}}
    assert DIALECTS["chat_completions"].read(Request(prompt="p"), {"choices": [choice]}).finish is finish


def test_a_name_that_stands_twice_is_read_where_it_says_the_same_and_named_where_it_does_not() -> None:
    same = b'{"choices": [{"finish_reason": "stop", "message": {"content": "deny", "content": "deny"}}]}'
    assert DIALECTS["chat_completions"].read(Request(prompt="p"), read_json(same)).text == "deny"
    for twice in (
        b'{"choices": [{"finish_reason": "stop", "message": {"content": "deny", "content": "approve"}}]}',
        b'{"choices": [{"finish_reason": "stop", "finish_reason": "length", "message": {"content": "deny"}}]}',
        b'{"choices": [], "choices": [{"finish_reason": "stop", "message": {"content": "deny"}}]}',
    ):
        with pytest.raises(WireError, match="stands twice in the answer, with different values"):
            DIALECTS["chat_completions"].read(Request(prompt="p"), read_json(twice))
    tool = (
        b'{"content": [{"type": "tool_use", "name": "decision", "input": {"decision": "deny", "decision": "approve"}}]}'
    )
    form = ChoiceGrammar(favourable=("approve",), adverse=("deny",), form="tool").answer_form()
    with pytest.raises(WireError, match="a name twice"):
        DIALECTS["anthropic_messages"].read(Request(prompt="p", form=form), read_json(tool))


def test_a_text_that_was_cut_inside_a_character_can_be_written_and_names_are_one_line() -> None:
    message = {"finish_reason": "stop", "message": {"content": "approve \ud83d"}}
    answer = {"model": "m\n\0" + "x" * 500, "system_fingerprint": "\udc00f", "choices": [message]}
    found = DIALECTS["chat_completions"].read(Request(prompt="p"), read_json(json.dumps(answer).encode()))
    assert found.text == "approve \ufffd"
    assert (found.model[:4], len(found.model), found.fingerprint) == ("m\ufffd\ufffdx", 200, "\ufffdf")


@pytest.mark.parametrize(
    "usage", [None, "none", [], {"prompt_tokens": "12"}, {"prompt_tokens": 12.0}, {"prompt_tokens": -1}]
)
def test_a_count_that_is_none_takes_no_answer_with_it(usage: Any) -> None:
    choice = {"finish_reason": "stop", "message": {"content": "deny"}}
    found = DIALECTS["chat_completions"].read(Request(prompt="p"), {"choices": [choice], "usage": usage})
    assert (found.text, found.usage) == ("deny", Usage())
