"""Every kind of event has a name of its own that ends where a phrase ends."""

from __future__ import annotations

from collections import Counter

import pytest

from compliance.dashboard.event_lines import SAID, kind_words


@pytest.mark.parametrize("action", SAID)
def test_a_kind_ends_with_a_word_and_holds_nothing_to_be_filled_in(action: str) -> None:
    words = kind_words(action)
    assert words[-1].isalpha()
    assert "{" not in words
    assert words.rpartition(" ")[2] not in {"ran", "until", "by", "in", "as", "at", "from"}


def test_no_two_kinds_of_one_group_share_their_name() -> None:
    named = Counter((action.partition(".")[0], kind_words(action)) for action in SAID)
    assert [name for name, count in named.items() if count > 1] == []
