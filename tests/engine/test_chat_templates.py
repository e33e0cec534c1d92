"""A chat template depends on the messages and on the plan's date: never on the clock, the locale or chance."""

from __future__ import annotations

import locale
from typing import Any

import pytest
import time_machine
from pydantic import ValidationError

from auditor.chat import chat_wrapper, dated
from auditor.exceptions import PlanError
from auditor.plan import Prompt
from auditor.prompts import Rendered
from tests.language_models.tiny import tiny_tokenizer

MESSAGES = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
GEMMA = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + MESSAGES
ANSWERS = {"favourable": [" Yes"], "adverse": [" No"]}


def asked(template: str, *, system: str = "", day: str = "") -> str:
    tokenizer: Any = tiny_tokenizer()
    tokenizer.chat_template = template
    return chat_wrapper(tokenizer, system, where="p.toml", day=day)(
        Rendered(text="Race: x", spans={"race": (6, 7)})
    ).text


def refused(template: str, **options: str) -> str:
    with pytest.raises(PlanError) as caught:
        asked(template, **options)
    return str(caught.value)


@pytest.mark.parametrize("call", ["strftime_now('%d %b %Y')", "strftime_now('%H:%M:%S')"])
def test_a_template_that_prints_the_clock_needs_a_date_of_the_plan(call: str) -> None:
    said = refused("{{ " + call + " }}" + MESSAGES)
    assert said.startswith("p.toml: prompt.date: the model's chat template prints the date of the day")
    assert said.endswith('expected a date to print, as prompt.date = "2026-01-31"')


def test_two_days_ask_the_same_prompts() -> None:
    template = "Today Date: {{ strftime_now('%A, %d %B %Y %H:%M:%S.%f %j') }}\n" + MESSAGES
    found = set()
    for now in ("2026-11-27 08:00", "2026-11-28 23:59"):
        with time_machine.travel(now):
            found.add(asked(template, day="2026-01-31"))
    assert found == {"Today Date: Saturday, 31 January 2026 12:00:00.000000 031\n<user>Race: x"}


def test_a_template_that_only_asks_whether_there_is_a_clock_needs_no_date() -> None:
    assert asked("{% if strftime_now is defined %}{% endif %}" + MESSAGES) == "<user>Race: x"


def test_the_machines_locale_changes_nothing() -> None:
    before = locale.setlocale(locale.LC_TIME)
    texts = set()
    for name in ("C", "C.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8"):
        try:
            locale.setlocale(locale.LC_TIME, name)
        except locale.Error:
            continue
        texts.add(dated("%a %A %b %B %p %c %x %X %-d %e %y %%", "2026-03-01"))
    locale.setlocale(locale.LC_TIME, before)
    assert texts == {"Sun Sunday Mar March PM Sun Mar  1 12:00:00 2026 03/01/26 12:00:00 1  1 26 %"}


@pytest.mark.parametrize("call", ["strftime_now", "strftime_now('%d' ~ ' %Y')"])
def test_a_clock_that_cannot_be_fixed_is_refused(call: str) -> None:
    assert "it reads the clock in a way that cannot be pinned to a date" in refused(
        "{{ " + call + " }}" + MESSAGES, day="2026-01-31"
    )


@pytest.mark.parametrize("draw", ["{{ [1, 2, 3] | random }}", "{{ lipsum(1) }}"])
def test_a_template_that_draws_at_random_is_refused(draw: str) -> None:
    assert "the model's chat template draws at random" in refused(draw + MESSAGES)


def test_a_template_without_a_system_role_refuses_prompt_system_in_one_line() -> None:
    assert refused(GEMMA, system="Be brief.") == (
        "p.toml: prompt.system: the model's chat template refuses a system message (System role not supported); "
        "expected no prompt.system, its words in prompt.template"
    )
    assert asked(GEMMA) == "<user>Race: x"


def test_a_template_that_leaves_the_system_message_out_is_refused() -> None:
    users = "{% for message in messages %}{% if message.role == 'user' %}{{ message.content }}{% endif %}{% endfor %}"
    assert "prompt.system: the model's chat template leaves the system message out" in refused(
        users, system="Be brief."
    )


def test_a_template_that_joins_the_system_message_to_the_users_is_read() -> None:
    joined = "{{ messages[0].content }}\n\n{{ messages[-1].content }}"
    assert asked(joined, system="Be brief.") == "Be brief.\n\nRace: x"


def test_a_template_that_fails_is_named() -> None:
    said = refused("{{ messages[7].content.nothing }}")
    assert said.startswith("p.toml: prompt.form: the model's chat template cannot be applied (")


@pytest.mark.parametrize("value", ["2026-02-30", "tomorrow", "2026-1-1", "2026-01-31\n"])
def test_a_date_is_a_day_of_the_calendar(value: str) -> None:
    with pytest.raises(ValidationError):
        Prompt.model_validate({"template": "{race}", "answers": ANSWERS, "date": value})
