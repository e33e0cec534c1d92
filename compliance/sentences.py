"""Words of a list within a sentence, and the one language of what is written down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext as _


def in_sentence(label: str | Promise) -> str:
    """A label within a sentence: in small letters in English; as it is in German, whose nouns keep their capitals."""
    words = str(label)
    return words if (get_language() or "").startswith("de") else words.lower()


def one_of(labels: Iterable[str | Promise], *, between: str = "") -> str:
    """Labels of which one is meant: *active or paused*; ``between`` stands for *or*."""
    word = _("or")
    return (between or f" {word} ").join(in_sentence(label) for label in labels)


@contextmanager
def in_english() -> Iterator[None]:
    """What is written down meanwhile is in English, whoever reads: rows and events have one language."""
    with translation.override(settings.LANGUAGE_CODE):
        yield
