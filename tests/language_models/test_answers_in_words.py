"""Answers of local weights are read by the readouts of systems: same grammars, same outcomes, no thinking."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from auditor.language_models.generated_answers import AskedText, GeneratedAnswer, end_marks, generate_answers
from auditor.language_models.next_token import Decoding
from auditor.readouts.amount import AmountGrammar, read_amount
from auditor.readouts.choice import Choice, ChoiceGrammar, read_choice
from auditor.readouts.reading import ReadAs
from auditor.readouts.reasons import ReasonGrammar, read_reasons
from auditor.systems.asking import Finish
from auditor.systems.thinking import ends_in_thinking, split_thinking
from tests.language_models.saying import saying

PROMPT = "Decision:"
GRAMMAR = ChoiceGrammar(favourable=("approve",), adverse=("deny",))


def answered(text: str, *, prompt: str = PROMPT, ended: bool = True, **options: Any) -> GeneratedAnswer:
    loaded, scorer = saying(prompt, text, ended=ended)
    decoding = Decoding(**{"max_tokens": 80, **options})
    [found] = generate_answers(loaded, scorer, [AskedText("one", prompt)], decoding, chat=False)
    assert found.trouble == ""
    return found


@pytest.mark.parametrize(
    ("text", "choice"),
    [(" approve", Choice.FAVOURABLE), ("Deny.", Choice.ADVERSE), (" approve\n", Choice.FAVOURABLE)],
)
def test_a_choice_is_read_from_generated_text(text: str, choice: Choice) -> None:
    found = answered(text)
    read = read_choice(found.response, GRAMMAR)
    assert (read.read, read.value, read.text) == (ReadAs.VALUE, choice, text)


@pytest.mark.parametrize("text", ["approve or deny", "not approve", "The answer is approve", ""])
def test_what_is_not_one_label_is_unreadable(text: str) -> None:
    assert read_choice(answered(text).response, GRAMMAR).read is ReadAs.UNREADABLE


def test_a_refusal_is_an_outcome_of_its_own() -> None:
    read = read_choice(answered("I'm sorry, but I can't help with that.").response, GRAMMAR)
    assert (read.read, read.reason) == (ReadAs.REFUSED, "the answer declines")


def test_a_text_that_was_cut_off_is_unreadable_even_where_it_begins_with_an_answer() -> None:
    found = answered("approve and more", max_tokens=7)
    assert (found.response.text, found.response.finish) == ("approve", Finish.LENGTH)
    assert read_choice(found.response, GRAMMAR).reason == "the answer was cut off"


def test_a_stop_ends_the_answer_and_is_not_part_of_it() -> None:
    found = answered(" approve\nApplicant 2: deny", ended=False, stop=("\n",))
    assert (found.response.text, found.response.finish) == (" approve", Finish.STOP)
    assert found.response.usage.answer == len(" approve\n")
    assert read_choice(found.response, GRAMMAR).value is Choice.FAVOURABLE


def test_the_first_of_several_stops_counts() -> None:
    assert answered("deny; approve. ", stop=(".", ";")).response.text == "deny"


@pytest.mark.parametrize(
    "text", ["<think>approve\n</think>deny", "<think>approve</think>\n\ndeny", "<THINK>approve</THINK> deny"]
)
def test_thinking_is_kept_and_never_read_and_no_stop_ends_it(text: str) -> None:
    found = answered(text, stop=("\n",))
    assert (found.response.thinking, found.response.text) == ("approve", "deny")
    assert found.response.steps is None
    assert read_choice(found.response, GRAMMAR).value is Choice.ADVERSE


def test_thinking_that_the_prompt_opened_is_thinking() -> None:
    prompt = "Decision:<think>\n"
    assert ends_in_thinking(prompt)
    closed = answered("approve</think>deny", prompt=prompt)
    assert (closed.response.thinking, closed.response.text) == ("approve", "deny")
    never = answered("approve", prompt=prompt)
    assert (never.response.thinking, never.response.text) == ("approve", "")
    assert read_choice(never.response, GRAMMAR).read is ReadAs.UNREADABLE


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [("a <think>", True), ("<think>\n\n</think>\n\n", False), ("say <think> first, then decide:", False), ("", False)],
)
def test_only_a_block_left_open_at_the_very_end_of_a_prompt_is_a_beginning(prompt: str, opened: bool) -> None:
    assert ends_in_thinking(prompt) is opened


def test_a_thinking_part_that_was_begun_and_never_closed_leaves_no_answer() -> None:
    assert split_thinking("deny, surely", begun=True) == ("deny, surely", "")
    assert split_thinking("no</think>yes", begun=True) == ("no", "yes")


def test_amounts_and_reasons_are_read_by_the_same_grammars() -> None:
    amount = read_amount(answered("$12,500.75").response, AmountGrammar(unit="USD", marks=("$",)))
    assert amount.value == Decimal("12500.75")
    codes = ReasonGrammar(codes={"R1": "income", "R2": "credit history"})
    assert read_reasons(answered("R2, R1").response, codes).value == ("R2", "R1")
    assert read_reasons(answered("R2, R9").response, codes).read is ReadAs.UNREADABLE


def test_a_json_answer_is_read_by_its_schema() -> None:
    grammar = ChoiceGrammar(favourable=("approve",), adverse=("deny",), form="json_schema")
    assert read_choice(answered('{"decision": "deny"}').response, grammar).value is Choice.ADVERSE


def test_tokens_of_the_answer_have_log_probabilities_and_special_tokens_stay_in_the_text() -> None:
    found = answered("deny<unk>")
    assert found.response.text == "deny<unk>"
    assert found.response.steps is not None
    assert [step.text for step in found.response.steps] == ["d", "e", "n", "y", "<unk>", "</s>"]
    assert all(step.log_probability < 0 for step in found.response.steps)


def test_every_file_that_names_an_end_mark_is_heard() -> None:
    loaded, _ = saying(PROMPT, "x")
    assert end_marks(loaded) == {1}
    loaded.model.generation_config.eos_token_id = [1, 9]
    assert end_marks(loaded) == {1, 9}


def test_prompts_that_open_thinking_and_such_that_do_not_keep_their_places() -> None:
    loaded, scorer = saying("Decide it:", "approve</think>deny")
    asked = [AskedText("a", "Decide it:"), AskedText("b", "a: <think>")]
    assert len({len(each.prompt) for each in asked}) == 1
    plain, begun = generate_answers(loaded, scorer, asked, Decoding(max_tokens=80), chat=False)
    assert plain.response.text == begun.response.text == "deny"
    assert begun.response.thinking == "approve"
