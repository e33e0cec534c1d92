"""Only a text that is one label is a decision: nothing is searched for in an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.readouts.choice import Choice, ChoiceGrammar, read_choice
from auditor.readouts.reading import ReadAs
from auditor.systems.asking import Finish, Response

LABELS = ChoiceGrammar(favourable=("approve", "approved"), adverse=("deny", "denied", "not approved"))
SCHEMA = ChoiceGrammar(favourable=("approve",), adverse=("deny",), form="json_schema")
TOOL = ChoiceGrammar(favourable=("approve",), adverse=("deny",), form="tool")
GRAMMARS = [LABELS, SCHEMA, TOOL]

around = st.text(max_size=30)
word = st.sampled_from([*LABELS.labels, "Approve", "DENY"])


def answered(text: str, grammar: ChoiceGrammar = LABELS, **more: object) -> Response:
    if grammar.form == "tool":
        return Response(**{"tool": text, "finish": Finish.TOOL, **more})  # type: ignore[arg-type]
    return Response(**{"text": text, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("approve", Choice.FAVOURABLE),
        (" Approve.\n", Choice.FAVOURABLE),
        ("DENY", Choice.ADVERSE),
        ("not  approved", Choice.ADVERSE),
    ],
)
def test_a_label_alone_is_read(text: str, choice: Choice) -> None:
    reading = read_choice(answered(text), LABELS)
    assert (reading.read, reading.value, reading.text, reading.reason) == (ReadAs.VALUE, choice, text, "")


@pytest.mark.parametrize("grammar", [SCHEMA, TOOL], ids=lambda grammar: grammar.form)
def test_a_label_in_its_object_is_read_and_the_exact_text_kept(grammar: ChoiceGrammar) -> None:
    text = '{ "decision": "Deny" }'
    reading = read_choice(answered(text, grammar), grammar)
    assert (reading.value, reading.text) == (Choice.ADVERSE, text)
    assert read_choice(answered(f"```json\n{text}\n```", grammar), grammar).value is Choice.ADVERSE


@pytest.mark.parametrize(
    "text",
    [
        "approve or deny",
        "I would not approve this.",
        "do not approve",
        "never deny",
        "un-approve",
        "'approve'",
        '"approve" or "deny"',
        "The options are 'approve' and 'deny'.",
        "Decision: approve",
        "approve, because the income is high",
        "approve\ndeny",
        "I cannot approve this application.",
        "Sorry, but I can't see why to deny it.",
        "approve!",
        "✓",
    ],
)
def test_prose_around_an_answer_is_unreadable_and_never_guessed(text: str) -> None:
    reading = read_choice(answered(text), LABELS)
    assert (reading.read, reading.value, reading.text) == (ReadAs.UNREADABLE, None, text)
    assert reading.reason == "the answer is not one of the labels"


@given(one=word, other=word, between=around, before=around, behind=around)
def test_no_text_with_two_labels_is_a_decision(one: str, other: str, between: str, before: str, behind: str) -> None:
    text = f"{before} {one} {between} {other} {behind}"
    for grammar in GRAMMARS:
        assert read_choice(answered(text, grammar), grammar).value is None


@given(label=word, before=st.sampled_from(["not", "never", "don't", "cannot", "no", "neither", "isn't"]), behind=around)
def test_no_negated_label_is_read_as_the_label(label: str, before: str, behind: str) -> None:
    reading = read_choice(answered(f"{before} {label} {behind}"), LABELS)
    assert reading.value in (None, Choice.ADVERSE)
    # "not approved" stands in the list as one label of its own; nothing else does.
    assert reading.value is None or f"{before} {label}".casefold() == "not approved"


@given(label=word, quotes=st.sampled_from(["''", '""', "“”", "«»", "``", "()", "[]"]), behind=around)
def test_no_quoted_option_is_a_decision(label: str, quotes: str, behind: str) -> None:
    text = f"{quotes[0]}{label}{quotes[1]} {behind}"
    assert read_choice(answered(text), LABELS).value is None


@given(thought=word, text=around)
def test_a_thinking_part_decides_nothing(thought: str, text: str) -> None:
    for grammar in GRAMMARS:
        with_it = read_choice(answered(text, grammar, thinking=thought), grammar)
        assert with_it == read_choice(answered(text, grammar), grammar)
    assert read_choice(Response(thinking=thought), LABELS).read is ReadAs.UNREADABLE


@given(text=st.text())
def test_a_value_means_the_folded_text_is_a_label(text: str) -> None:
    reading = read_choice(answered(text), LABELS)
    assert reading.text == text
    if reading.value is not None:
        assert " ".join(text.split()).casefold().removesuffix(".").strip() in LABELS.labels


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"decision": "approve", "decision": "deny"}', "a key stands twice in the answer"),
        ('{"decision": "approve"} {"decision": "deny"}', "the answer is not one JSON object"),
        ('Sure! {"decision": "approve"}', "the answer is not one JSON object"),
        ('{"decision": "approve", "other": "deny"}', "the answer has a key nobody asked for: 'other'"),
        ('{"decision": "approve or deny"}', "'decision' holds no label"),
        ('{"decision": ["approve"]}', "'decision' holds no label"),
        ('{"decision": null}', "'decision' holds no label"),
        ('{"verdict": "approve"}', "the answer has a key nobody asked for: 'verdict'"),
        ('["approve"]', "the answer is JSON, but not an object"),
        ('{"decision": NaN}', "NaN is not JSON"),
        ("approve", "the answer is not one JSON object"),
        ("[" * 100_000, "the answer is not one JSON object"),
    ],
)
def test_an_object_that_is_not_of_the_schema_is_unreadable(text: str, reason: str) -> None:
    for grammar in (SCHEMA, TOOL):
        reading = read_choice(answered(text, grammar), grammar)
        assert (reading.read, reading.reason) == (ReadAs.UNREADABLE, reason)


@pytest.mark.parametrize(
    "text",
    [
        "I can't help with lending decisions.",
        "I'm sorry, but I cannot assist with that.",
        "I am unable to make credit decisions.",
        "We will not answer this.",
        "As an AI language model, I cannot make such decisions.",
    ],
)
def test_a_text_that_declines_is_refused(text: str) -> None:
    for grammar in (LABELS, SCHEMA):
        assert read_choice(answered(text), grammar).read is ReadAs.REFUSED
    declined = read_choice(Response(text=text), TOOL)
    assert (declined.read, declined.text) == (ReadAs.REFUSED, text)


@given(label=word)
def test_a_filter_and_a_marked_refusal_are_refused_whatever_is_written(label: str) -> None:
    for more in ({"finish": Finish.FILTERED}, {"finish": Finish.REFUSED}, {"refusal": "no"}):
        assert read_choice(Response(text=label, **more), LABELS).read is ReadAs.REFUSED  # type: ignore[arg-type]


@given(label=word)
def test_a_cut_off_answer_is_unreadable_even_if_it_reads_like_one(label: str) -> None:
    reading = read_choice(Response(text=label, finish=Finish.LENGTH), LABELS)
    assert (reading.read, reading.reason) == (ReadAs.UNREADABLE, "the answer was cut off")


def test_a_tool_that_was_called_is_not_read_as_text_nor_text_as_a_call() -> None:
    written = json.dumps({"decision": "approve"})
    assert read_choice(Response(text=written), TOOL).reason == "the tool was not called, or not once"
    assert read_choice(Response(text="approve", finish=Finish.TOOL), LABELS).value is None


def test_the_schema_that_is_sent_allows_what_is_read_and_nothing_else() -> None:
    grammar = ChoiceGrammar(
        favourable=("approve",), adverse=("deny",), form="json_schema", beside={"amount": {"type": "number"}}
    )
    form = grammar.answer_form()
    assert form is not None
    assert form.schema["required"] == ["decision", "amount"]
    assert form.schema["additionalProperties"] is False
    assert read_choice(Response(text='{"decision": "approve", "amount": 3}'), grammar).value is Choice.FAVOURABLE


@pytest.mark.parametrize(
    ("favourable", "adverse"), [((), ("deny",)), (("a",), ("A ",)), (("a", ""), ("b",)), (("a",), ())]
)
def test_labels_that_cannot_be_told_apart_are_refused(favourable: tuple[str, ...], adverse: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected labels"):
        ChoiceGrammar(favourable=favourable, adverse=adverse)
