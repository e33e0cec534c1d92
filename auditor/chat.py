"""Putting prompts through a model's chat template so that the same run asks the same prompts on every day and machine.

A template is a small program that came with the model. What it may depend on is the messages and, where the plan names
one, a date: the machine's clock, its locale and chance are kept from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from auditor.exceptions import PlanError
from auditor.prompts import Rendered

#: Days and months as templates were written for: English, whatever the machine's locale.
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
#: What a template may call that draws at random.
_CHANCE = re.compile(r"\|\s*random\b|\blipsum\b")
#: Date formats that mean another in every locale, as the C locale writes them.
_C_LOCALE = {"%c": "%a %b %e %H:%M:%S %Y", "%x": "%m/%d/%y", "%X": "%H:%M:%S", "%r": "%I:%M:%S %p", "%h": "%b"}
_DIRECTIVE = re.compile(r"%([-_^0]?)([A-Za-z%])")
#: Written in full by numbers alone, so no locale changes them.
_NUMBERS = frozenset("dmyYHIMSjuwUWVGfFTDR%")


#: A call of the clock with a format that is written out, and a question whether there is a clock.
_CALL = re.compile(r"strftime_now\(\s*(?:format\s*=\s*)?(['\"])((?:(?!\1).)*)\1\s*\)")
_ASKED = re.compile(r"strftime_now\s+is\s+(?:not\s+)?defined")
_NO_DATE = "this template prints the date of the day"


def dated(pattern: str, day: str) -> str:
    """Noon of a day in a format of ``strftime``, in English whatever the machine's locale.

    >>> dated("%A, %-d %B %Y", "2026-02-01")
    'Sunday, 1 February 2026'
    """
    now = datetime.fromisoformat(f"{day}T12:00:00")
    for form, written in _C_LOCALE.items():
        pattern = pattern.replace(form, written)
    return _DIRECTIVE.sub(lambda found: _written(now, *found.groups()), pattern)


def frozen_template(template: str, *, day: str) -> str:
    """A template with the plan's date where it asks the clock; without a date it fails where it would ask.

    Raises
    ------
    ValueError
        If it asks for a format that only comes about while it runs.
    """

    def literal(found: re.Match[str]) -> str:
        quote, pattern = found.groups()
        return f"{quote}{dated(pattern, day)}{quote}" if day else f"raise_exception({_NO_DATE!r})"

    frozen = _CALL.sub(literal, template)
    if "strftime_now" in _ASKED.sub("", frozen):
        raise ValueError("it reads the clock in a way that cannot be pinned to a date")
    return frozen


def _written(now: datetime, flag: str, letter: str) -> str:
    names = {
        "A": DAYS[now.weekday()],
        "a": DAYS[now.weekday()][:3],
        "B": MONTHS[now.month - 1],
        "b": MONTHS[now.month - 1][:3],
        "p": "PM",
        "e": f"{now.day:2}",
    }
    if letter in names:
        return names[letter]
    text = now.strftime(f"%{letter}") if letter in _NUMBERS else ""
    return (text.lstrip("0") or "0") if flag == "-" and letter in "dmyHIMSj" else text


def apply_template(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, day: str) -> str:
    """The text of a conversation with the opening of the model's turn.

    Parameters
    ----------
    tokenizer
        Has a chat template.
    messages
        ``role`` and ``content`` of each.
    day
        The date a template may print, ``YYYY-MM-DD``; empty for none.
    """
    template = frozen_template(tokenizer.get_chat_template(), day=day)
    text: str = tokenizer.apply_chat_template(
        list(messages), chat_template=template, tokenize=False, add_generation_prompt=True
    )
    return text


def chat_wrapper(tokenizer: Any, system: str, *, where: str, day: str = "") -> Callable[[Rendered], Rendered]:
    """A function that puts a rendered prompt through the tokenizer's chat template and moves the spans along.

    Parameters
    ----------
    tokenizer
        The model's.
    system
        The system message; empty for none.
    where
        Name of the plan, for errors.
    day
        ``prompt.date`` of the plan.

    Raises
    ------
    PlanError
        If the tokenizer has no chat template, or the template draws at random, prints a date that the plan does not
        name, refuses the system message or leaves it out, or does not carry the text through.
    """
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        raise PlanError(f"{where}: prompt.form", "the model's tokenizer has no chat template", 'form = "record"')
    if _CHANCE.search(str(template)):
        raise PlanError(f"{where}: prompt.form", "the model's chat template draws at random", 'form = "record"')

    def wrap(rendered: Rendered) -> Rendered:
        text = _text(tokenizer, rendered.text, system, where=where, day=day)
        # Some templates strip the message; the spans then count from the stripped text.
        stripped = rendered.text.strip()
        lead = len(rendered.text) - len(rendered.text.lstrip())
        start = text.rfind(stripped)
        if start < 0:
            raise PlanError(
                f"{where}: prompt.form", "the chat template changes the text it is given", 'form = "record"'
            )
        if system.strip() not in text[:start]:
            what = "the model's chat template leaves the system message out or changes it"
            raise PlanError(f"{where}: prompt.system", what, "no prompt.system, its words in prompt.template")
        shift = start - lead
        spans = {name: (first + shift, last + shift) for name, (first, last) in rendered.spans.items()}
        return Rendered(text=text, spans=spans)

    return wrap


def _text(tokenizer: Any, content: str, system: str, *, where: str, day: str) -> str:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": content})
    try:
        return apply_template(tokenizer, messages, day=day)
    except MemoryError:  # whoever bounded this work says so
        raise
    except Exception as error:  # a template may raise anything; users get one line
        if _NO_DATE in str(error):
            what = "the model's chat template prints the date of the day, so another day would ask other prompts"
            raise PlanError(f"{where}: prompt.date", what, 'a date to print, as prompt.date = "2026-01-31"') from None
        said = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
        if system and _works(tokenizer, messages[1:], day=day):
            what = f"the model's chat template refuses a system message ({said})"
            raise PlanError(
                f"{where}: prompt.system", what, "no prompt.system, its words in prompt.template"
            ) from error
        what = f"the model's chat template cannot be applied ({said})"
        raise PlanError(f"{where}: prompt.form", what, 'form = "record"') from error


def _works(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, day: str) -> bool:
    try:
        apply_template(tokenizer, messages, day=day)
    except Exception:
        return False
    return True
