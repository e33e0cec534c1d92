"""A prompt says where every value stands, in characters and in tokens."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from auditor.chat import chat_wrapper
from auditor.exceptions import PlanError
from auditor.prompts import STYLES, Rendered, parse_template, render, token_span
from tests.language_models.tiny import tiny_tokenizer

LABELS = {"income": "Income", "race": "Race of applicant", "sex": "Sex"}
WORDS = {"income": "$40", "race": "Black", "sex": "female"}


def rendered(text: str, style: str = "lines", words: dict[str, str] = WORDS) -> Rendered:
    template = parse_template(text, fields=tuple(LABELS), labels=LABELS, style=style, where="p.toml")
    return render(template, words)


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("lines", "Income: $40\nRace of applicant: Black\nSex: female"),
        (
            "table",
            "| Field | Value |\n| --- | --- |\n| Income | $40 |\n| Race of applicant | Black |\n| Sex | female |",
        ),
        ("json", '{"Income": "$40",\n "Race of applicant": "Black",\n "Sex": "female"}'),
        ("prose", "The income is $40. The race of applicant is Black. The sex is female."),
    ],
)
def test_all_fields_are_written_in_four_styles(style: str, text: str) -> None:
    assert rendered("{fields}", style).text == text


@given(
    st.fixed_dictionaries({name: st.text(max_size=8) for name in LABELS}),
    st.sampled_from(STYLES),
    st.sampled_from(
        ["{fields}", "{race}{income}{sex}", "a {income}: {{{race}}} {sex}\n{race}", "{fields}\n{race}é{sex}"]
    ),
)
def test_the_text_at_a_span_is_the_value_of_its_field(words: dict[str, str], style: str, text: str) -> None:
    prompt = rendered(text, style, words)
    found = {name: prompt.text[first:last] for name, (first, last) in prompt.spans.items()}
    if style == "json" and text.startswith("{fields}"):
        found = {name: json.loads(f'"{value}"') for name, value in found.items()}
    assert found == words


@given(st.fixed_dictionaries({name: st.text(max_size=8) for name in LABELS}))
def test_json_reads_back_as_the_words_whatever_they_are(words: dict[str, str]) -> None:
    prompt = rendered("{fields}", "json", words)
    assert json.loads(prompt.text) == {LABELS[name]: value for name, value in words.items()}


def test_quotes_backslashes_and_line_breaks_are_escaped_in_json_and_span_what_is_written() -> None:
    prompt = rendered("{fields}", "json", {"income": 'a "big"\\one\n\n', "race": "é\u0001", "sex": "x"})
    assert prompt.text == ('{"Income": "a \\"big\\"\\\\one\\n\\n",\n "Race of applicant": "é\\u0001",\n "Sex": "x"}')
    first, last = prompt.spans["income"]
    assert prompt.text[first:last] == 'a \\"big\\"\\\\one\\n\\n'


def test_doubled_braces_stand_for_braces() -> None:
    assert rendered("{{race}} {{{race}}} }}{{").text == "{race} {Black} }{"


@pytest.mark.parametrize(
    ("template", "style", "message"),
    [
        ("{age}", "lines", "p.toml: the template names an unknown field 'age'; expected one of: income, race, sex"),
        ("{race", "lines", "p.toml: stray '{' at character 0; expected {field}, or {{ and }} for braces"),
        ("{race} }", "lines", "p.toml: stray '}' at character 7; expected {field}, or {{ and }} for braces"),
        ("Approve?", "lines", "p.toml: the template names no field; expected at least one {field} or {fields}"),
        ("{race}", "verse", "p.toml.style: 'verse' is unknown; expected one of: lines, table, json, prose"),
    ],
)
def test_a_template_that_cannot_be_used_gets_one_line(template: str, style: str, message: str) -> None:
    with pytest.raises(PlanError) as refusal:
        rendered(template, style)
    assert str(refusal.value) == message


def test_all_fields_without_any_listed_is_refused() -> None:
    with pytest.raises(PlanError, match=r"\{fields\} stands in the template, but no fields are listed"):
        parse_template("{fields} {race}", fields=(), labels=LABELS, style="lines", where="p.toml")


def offsets_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]


@given(st.fixed_dictionaries({name: st.text("abcé $9", min_size=1, max_size=6) for name in LABELS}))
def test_the_tokens_of_a_span_carry_the_whole_value(words: dict[str, str]) -> None:
    prompt = rendered("x{income}y{race} {sex}", words=words)
    offsets = offsets_of(tiny_tokenizer(), prompt.text)
    for name, span in prompt.spans.items():
        first, last = token_span(offsets, span)
        assert (offsets[first][0], offsets[last - 1][1]) == span
        assert prompt.text[offsets[first][0] : offsets[last - 1][1]] == words[name]


def test_a_token_merged_with_its_neighbours_counts_for_both() -> None:
    vocabulary = {"a": 0, "b": 1, "c": 2, " ": 3, " b": 4, " bc": 5}
    backend = Tokenizer(BPE(vocab=vocabulary, merges=[(" ", "b"), (" b", "c")]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    template = parse_template(
        "a {race}c{sex}", fields=(), labels={"race": "Race", "sex": "Sex"}, style="lines", where="p.toml"
    )
    prompt = render(template, {"race": "b", "sex": "a"})
    offsets = offsets_of(tokenizer, prompt.text)
    assert offsets == [(0, 1), (1, 4), (4, 5)]  # "a", " bc", "a": the value "b" lies inside one token
    assert token_span(offsets, prompt.spans["race"]) == (1, 2)
    assert token_span(offsets, prompt.spans["sex"]) == (2, 3)


def test_an_empty_value_has_no_tokens_and_special_tokens_never_count() -> None:
    assert token_span([(0, 0), (0, 2), (2, 4)], (2, 2)) == (0, 0)
    assert token_span([(0, 0), (0, 2), (2, 4)], (0, 2)) == (1, 2)


@pytest.mark.parametrize("system", ["", "Race: Black is named here too."])
def test_spans_move_along_into_the_chat_text(system: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for message in messages %}<{{ message.role }}>{{ message.content | trim }}</>{% endfor %}<assistant>"
    )
    plain = rendered("\n Income {income}\nRace {race} {sex}\n")
    wrapped = chat_wrapper(tokenizer, system, where="p.toml")(plain)
    assert wrapped.text.endswith("</><assistant>")
    assert ("<system>" in wrapped.text) == bool(system)
    assert {name: wrapped.text[first:last] for name, (first, last) in wrapped.spans.items()} == WORDS


def test_a_chat_plan_needs_a_template_that_carries_the_text_through() -> None:
    tokenizer = tiny_tokenizer()
    with pytest.raises(PlanError) as none:
        chat_wrapper(tokenizer, "", where="p.toml")
    assert (
        str(none.value) == 'p.toml: prompt.form: the model\'s tokenizer has no chat template; expected form = "record"'
    )
    tokenizer.chat_template = "{% for message in messages %}{{ message.content | upper }}{% endfor %}"
    with pytest.raises(PlanError, match="the chat template changes the text it is given"):
        chat_wrapper(tokenizer, "", where="p.toml")(rendered("{race}"))
