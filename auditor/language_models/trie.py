"""A radix tree over token ids, and how it is cut into packs: pure bookkeeping, no tensors.

Every prompt is tokenised whole; prompts that begin with the same ids share the nodes of that beginning, so each
distinct
prefix is computed once. A pack is a run of tokens in depth-first order that one forward pass computes: a token attends
to its ancestors in the pack and to the pack's context, the path above it, whose keys and values were kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Tokens = Sequence[int]


@dataclass(slots=True)
class Node:
    """A stretch of tokens without a branch. ``depth`` is the position of its first token in the whole prompt."""

    tokens: list[int]
    depth: int
    children: list[Node] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    size: int = 0

    def walk(self) -> Iterator[Node]:
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
    preceding token within the pack (−1: the end of the context). The first ``keep`` tokens are a path without a branch
    whose keys and values later packs need; ``context`` counts the kept tokens above this pack, and ``level`` how many
    stretches of kept tokens they stand in.
    """

    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    parents: tuple[int, ...]
    keep: int
    context: int
    level: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one prompt's tokens stand: for every position, the pack and the index in it."""

    packs: tuple[int, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """All packs of a set of prompts in the order they must run, and where every prompt's tokens stand."""

    packs: tuple[Pack, ...]
    placements: tuple[Placement, ...]
    distinct_tokens: int


def build_trie(sequences: Sequence[Tokens]) -> list[Node]:
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
    roots: list[Node] = []
    path: list[Node] = []
    previous: Tokens = ()
    for index in order:
        sequence = sequences[index]
        shared = _common(previous, sequence)
        while path and path[-1].depth >= shared:
            path.pop()
        if path and path[-1].depth + len(path[-1].tokens) > shared:
            _split(path[-1], shared - path[-1].depth)
        if shared < len(sequence):
            node = Node(tokens=list(sequence[shared:]), depth=shared)
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


def lay_out(sequences: Sequence[Tokens], *, pack_tokens: int, share: bool = True) -> Layout:
    """Cut the tree of ``sequences`` into packs of at most ``pack_tokens`` tokens.

    Boundaries depend on the sequences and ``pack_tokens`` alone, never on time or memory. With ``share`` off, every
    sequence is a tree of its own and stands in packs of its own.

    Parameters
    ----------
    sequences
        Token ids of whole prompts.
    pack_tokens
        Most tokens in one forward pass.

    Returns
    -------
    Layout
        Packs in running order; a pack's context is always kept by earlier packs.
    """
    groups = [list(range(len(sequences)))] if share else [[index] for index in range(len(sequences))]
    cutter = _Cutter(pack_tokens)
    placed: list[list[tuple[int, int]]] = [[] for _ in sequences]
    total = 0
    for group in groups:
        roots = build_trie([sequences[index] for index in group])
        total += sum(root.size for root in roots)
        cutter.cut(roots, context=0, level=0)
        for root in roots:
            _collect(root, [], cutter.where, dict(enumerate(group)), placed)
    return Layout(
        packs=tuple(cutter.packs),
        placements=tuple(
            Placement(packs=tuple(pack for pack, _ in places), indices=tuple(index for _, index in places))
            for places in placed
        ),
        distinct_tokens=total,
    )


class _Cutter:
    """Cuts trees into packs, remembering where every node's tokens went."""

    def __init__(self, pack_tokens: int) -> None:
        self.pack_tokens = pack_tokens
        self.packs: list[Pack] = []
        self.where: dict[int, list[tuple[int, int]]] = {}

    def cut(self, nodes: Sequence[Node], *, context: int, level: int) -> None:
        """Pack the small subtrees together, in order; give the large ones a spine of kept tokens and go below it."""
        small = [node for node in nodes if node.size <= self.pack_tokens]
        large = [node for node in nodes if node.size > self.pack_tokens]
        while small:
            taken, small = self._take(small, self.pack_tokens)
            self._emit([], taken, context=context, level=level)
        for node in large:
            self._spine(node, context=context, level=level)

    def _spine(self, node: Node, *, context: int, level: int) -> None:
        width = self.pack_tokens
        pieces = [node.tokens[start : start + width] for start in range(0, len(node.tokens), width)]
        self.where[id(node)] = []
        depth = node.depth
        rest = sorted(node.children, key=lambda child: child.size > width)  # small ones first, stable
        for number, piece in enumerate(pieces):
            taken: list[Node] = []
            if number == len(pieces) - 1:
                small = [child for child in rest if child.size <= width]
                taken, left = self._take(small, width - len(piece))
                rest = left + [child for child in rest if child.size > width]
            self._emit([(node, piece, depth)], taken, context=context, level=level)
            context += len(piece)
            depth += len(piece)
            level += 1
        self.cut(rest, context=context, level=level)

    @staticmethod
    def _take(nodes: list[Node], room: int) -> tuple[list[Node], list[Node]]:
        used = 0
        for count, node in enumerate(nodes):
            used += node.size
            if used > room:
                return nodes[:count], nodes[count:]
        return nodes, []

    def _emit(
        self, spine: list[tuple[Node, list[int], int]], subtrees: list[Node], *, context: int, level: int
    ) -> None:
        tokens: list[int] = []
        positions: list[int] = []
        parents: list[int] = []
        number = len(self.packs)

        def put(ids: list[int], depth: int, parent: int) -> list[tuple[int, int]]:
            first = len(tokens)
            tokens.extend(ids)
            positions.extend(range(depth, depth + len(ids)))
            parents.extend([parent, *range(first, first + len(ids) - 1)])
            return [(number, first + offset) for offset in range(len(ids))]

        for node, piece, depth in spine:
            self.where[id(node)] += put(piece, depth, -1)
        keep = len(tokens)
        for subtree in subtrees:
            ends: dict[int, int] = {}
            stack = [(subtree, keep - 1)]
            while stack:
                node, parent = stack.pop()
                self.where[id(node)] = put(node.tokens, node.depth, parent)
                ends[id(node)] = len(tokens) - 1
                stack.extend((child, ends[id(node)]) for child in reversed(node.children))
        self.packs.append(
            Pack(
                tokens=tuple(tokens),
                positions=tuple(positions),
                parents=tuple(parents),
                keep=keep,
                context=context,
                level=level,
            )
        )


def _common(left: Tokens, right: Tokens) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count


def _split(node: Node, at: int) -> None:
    lower = Node(tokens=node.tokens[at:], depth=node.depth + at, children=node.children, ends=node.ends)
    node.tokens = node.tokens[:at]
    node.children = [lower]
    node.ends = []


def _measure(root: Node) -> None:
    for node in reversed(list(root.walk())):
        node.size = len(node.tokens) + sum(child.size for child in node.children)


def _collect(
    root: Node,
    above: list[tuple[int, int]],
    where: dict[int, list[tuple[int, int]]],
    names: dict[int, int],
    placed: list[list[tuple[int, int]]],
) -> None:
    stack = [(root, above)]
    while stack:
        node, path = stack.pop()
        here = path + where[id(node)]
        for end in node.ends:
            placed[names[end]] = here
        stack.extend((child, here) for child in node.children)
