"""Every distinct prefix is computed once, in packs no wider than allowed, after exactly the tokens it follows."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.language_models.trie import PackedLayout, build_trie, distinct_tokens, lay_out

# Two letters make long shared beginnings likely; a few long repeats make stretches wider than a pack.
PROMPTS = st.lists(
    st.one_of(
        st.lists(st.integers(0, 1), min_size=1, max_size=12),
        st.builds(
            lambda length, tail: [0] * length + tail, st.integers(1, 40), st.lists(st.integers(0, 2), max_size=4)
        ),
    ),
    min_size=1,
    max_size=14,
)
WIDTH = st.integers(1, 30)


def prefixes(prompts: list[list[int]]) -> set[tuple[int, ...]]:
    return {tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)}


def seen_by_every_token(layout: PackedLayout) -> dict[tuple[int, int], list[int]]:
    """Run the packs as the scorer does, carrying one path on: what each token and its ancestors spell."""
    held: list[int] = []
    spelled = {}
    for number, pack in enumerate(layout.packs):
        context = [held[place] for place in pack.carry]
        lines: list[list[int]] = []
        for index, (token, position, parent) in enumerate(zip(pack.tokens, pack.positions, pack.parents, strict=True)):
            assert parent < index
            line = [*(lines[parent] if parent >= 0 else context[:position]), token]
            assert position == len(line) - 1
            lines.append(line)
            spelled[number, index] = line
        held = context + list(pack.tokens)
    return spelled


@given(PROMPTS)
def test_there_are_as_many_tokens_as_distinct_prefixes(prompts: list[list[int]]) -> None:
    assert distinct_tokens(prompts) == len(prefixes(prompts))


@given(PROMPTS, WIDTH)
def test_every_token_is_placed_once_within_the_pack_width(prompts: list[list[int]], width: int) -> None:
    layout = lay_out(prompts, pack_tokens=width)
    assert all(0 < len(pack.tokens) <= width for pack in layout.packs)
    assert sum(len(pack.tokens) for pack in layout.packs) == layout.distinct_tokens == len(prefixes(prompts))
    spelled = seen_by_every_token(layout)
    assert len({tuple(line) for line in spelled.values()}) == len(spelled)


@given(PROMPTS, WIDTH)
def test_parents_and_kept_context_spell_exactly_the_prompt(prompts: list[list[int]], width: int) -> None:
    layout = lay_out(prompts, pack_tokens=width)
    spelled = seen_by_every_token(layout)
    for prompt, placement in zip(prompts, layout.placements, strict=True):
        assert len(placement.packs) == len(placement.indices) == len(prompt)
        places = zip(placement.packs, placement.indices, strict=True)
        assert [spelled[place] for place in places] == [prompt[: end + 1] for end in range(len(prompt))]


@given(PROMPTS, WIDTH, st.integers(0, 100))
def test_the_order_of_the_prompts_does_not_matter(prompts: list[list[int]], width: int, seed: int) -> None:
    order = list(range(len(prompts)))
    random.Random(seed).shuffle(order)
    straight = lay_out(prompts, pack_tokens=width)
    shuffled = lay_out([prompts[index] for index in order], pack_tokens=width)
    assert shuffled.packs == straight.packs
    assert list(shuffled.placements) == [straight.placements[index] for index in order]


@given(PROMPTS, WIDTH)
def test_packs_are_as_few_as_their_width_allows_and_about_equal(prompts: list[list[int]], width: int) -> None:
    layout = lay_out(prompts, pack_tokens=width)
    sizes = [len(pack.tokens) for pack in layout.packs]
    assert len(sizes) == -(-layout.distinct_tokens // width)
    assert len(set(sizes[:-1])) <= 1


@given(PROMPTS, WIDTH)
def test_a_context_is_one_path_and_no_longer_than_a_prompt(prompts: list[list[int]], width: int) -> None:
    for pack in lay_out(prompts, pack_tokens=width).packs:
        assert pack.context == pack.positions[0] < max(len(prompt) for prompt in prompts)


def test_a_prompt_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="a prompt has no tokens"):
        build_trie([[1], []])
