"""A radix tree over token ids, and how it is cut into packs: pure bookkeeping, no tensors.

Every prompt is tokenised whole; prompts that begin with the same ids share the nodes of that beginning, so each
distinct prefix is computed once. The tree is written down depth first and cut into packs of about equal length, each
one forward pass. Depth first has a property all rests on: whatever the tokens of a pack (or of any run of tokens)
follow outside of it lies on one path, that of its first token. So a pack needs the keys and values of one path, its
context, and they stand in the pack before it: in that pack's own context, or among its tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Tokens = Sequence[int]


@dataclass(slots=True)
class TrieNode:
    """A stretch of tokens without a branch. ``depth`` is the position of its first token in the whole prompt."""

    tokens: list[int]
    depth: int
    children: list[TrieNode] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    size: int = 0

    def walk(self) -> Iterator[TrieNode]:
        """The node and everything below it, depth first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


@dataclass(frozen=True, slots=True)
class Pack:
    """One forward pass.

    ``tokens``, ``positions`` and ``parents`` run in parallel: token id, position in its prompt, and index of the
    preceding token within the pack (−1: it follows the context, of which it sees as many tokens as its position).
    ``carry`` says where the context stands in the keys of the pack before: places in that pack's context followed by
    its tokens.
    """

    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    parents: tuple[int, ...]
    carry: tuple[int, ...]

    @property
    def context(self) -> int:
        """How many tokens stand above the pack's first token."""
        return len(self.carry)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one prompt's tokens stand: for every position, the pack and the index in it."""

    packs: tuple[int, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """All packs of a set of prompts in the order they must run, and where every prompt's tokens stand."""

    packs: tuple[Pack, ...]
    placements: tuple[Placement, ...]
    distinct_tokens: int


def build_trie(sequences: Sequence[Tokens]) -> list[TrieNode]:
    """Build the radix tree of ``sequences``; its roots, sorted by token ids.

    Parameters
    ----------
    sequences
        Token ids, each at least one long. Equal sequences share their end node.

    Raises
    ------
    ValueError
        If a sequence is empty.
    """
    if any(len(sequence) == 0 for sequence in sequences):
        raise ValueError("a prompt has no tokens")
    order = sorted(range(len(sequences)), key=lambda index: tuple(sequences[index]))
    roots: list[TrieNode] = []
    path: list[TrieNode] = []
    previous: Tokens = ()
    for index in order:
        sequence = sequences[index]
        shared = _common(previous, sequence)
        while path and path[-1].depth >= shared:
            path.pop()
        if path and path[-1].depth + len(path[-1].tokens) > shared:
            _split(path[-1], shared - path[-1].depth)
        if shared < len(sequence):
            node = TrieNode(tokens=list(sequence[shared:]), depth=shared)
            (path[-1].children if path else roots).append(node)
            path.append(node)
        path[-1].ends.append(index)
        previous = sequence
    for root in roots:
        _measure(root)
    return roots


def distinct_tokens(sequences: Sequence[Tokens]) -> int:
    """How many tokens the tree of ``sequences`` holds: the work that sharing leaves."""
    return sum(root.size for root in build_trie(sequences))


def lay_out(sequences: Sequence[Tokens], *, pack_tokens: int) -> PackedLayout:
    """Cut the tree of ``sequences`` into packs of at most ``pack_tokens`` tokens.

    Boundaries depend on the sequences and ``pack_tokens`` alone, never on time or memory.

    Parameters
    ----------
    sequences
        Token ids of whole prompts.
    pack_tokens
        Most tokens in one forward pass.

    Returns
    -------
    Layout
        Packs in running order.
    """
    line = _write_down(sequences)
    length = len(line.tokens)
    # Packs of equal length: a short one at the end would cost nearly as much as a full one.
    width = -(-length // -(-length // pack_tokens)) if length else pack_tokens
    placements = tuple(
        Placement(packs=tuple(place // width for place in path), indices=tuple(place % width for place in path))
        for path in line.paths
    )
    return PackedLayout(packs=tuple(_cut(line, width)), placements=placements, distinct_tokens=length)


@dataclass(frozen=True, slots=True)
class _Line:
    """A tree written down depth first: ``parents`` are places (−1: none), ``paths`` those of each prompt."""

    tokens: list[int]
    positions: list[int]
    parents: list[int]
    paths: list[list[int]]


def _write_down(sequences: Sequence[Tokens]) -> _Line:
    tokens: list[int] = []
    positions: list[int] = []
    parents: list[int] = []
    paths: list[list[int]] = [[] for _ in sequences]
    stack: list[tuple[TrieNode, list[int]]] = [(root, []) for root in reversed(build_trie(sequences))]
    while stack:
        node, above = stack.pop()
        start = len(tokens)
        tokens.extend(node.tokens)
        positions.extend(range(node.depth, node.depth + len(node.tokens)))
        parents.append(above[-1] if above else -1)
        parents.extend(range(start, len(tokens) - 1))
        path = above + list(range(start, len(tokens)))
        for end in node.ends:
            paths[end] = path
        stack.extend((child, path) for child in reversed(node.children))
    return _Line(tokens, positions, parents, paths)


def _cut(line: _Line, width: int) -> Iterator[Pack]:
    context = 0
    for start in range(0, len(line.tokens), width):
        stop = min(start + width, len(line.tokens))
        above: list[int] = []
        place = line.parents[start]
        while place >= 0:
            above.append(place)
            place = line.parents[place]
        before = start - width
        # The path's n-th token has position n, also in the context of the pack before, whose path it shares.
        carry = tuple(
            position if place < before else context + place - before for position, place in enumerate(reversed(above))
        )
        yield Pack(
            tokens=tuple(line.tokens[start:stop]),
            positions=tuple(line.positions[start:stop]),
            parents=tuple(max(parent - start, -1) for parent in line.parents[start:stop]),
            carry=carry,
        )
        context = len(carry)


def _common(left: Tokens, right: Tokens) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count


def _split(node: TrieNode, at: int) -> None:
    lower = TrieNode(tokens=node.tokens[at:], depth=node.depth + at, children=node.children, ends=node.ends)
    node.tokens = node.tokens[:at]
    node.children = [lower]
    node.ends = []


def _measure(root: TrieNode) -> None:
    for node in reversed(list(root.walk())):
        node.size = len(node.tokens) + sum(child.size for child in node.children)
