"""Localisation on circuits that were planted: the power of each method on true nodes, and its false alarms.

Not a comparison with a peer but with the truth: models trained so that two fields can only pass known heads, with
variants of the same function whose work two heads share, or where one head works against another. Every method names
nodes on changes of one field; the head that carries the other field moves the margin and must not be named. False
alarms are counted there, on all other nodes, and with the differences of other pairs, which no node can carry.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.rows import Row

SEEDS = range(6)
PAIRS = 24
CHANGED = {"value": "another value", "names": "names exchanged"}


def run() -> Iterable[Row]:
    """Power by the share of the effect that a head carries; then a method, kind and contrast a row, over all seeds."""
    from tests.mechanisms.planted_circuits import KINDS, power_by_share, study

    for (method, contrast, share), (hits, of) in power_by_share(SEEDS, pairs=PAIRS).items():
        yield Row(
            name=f"known circuit: {method}, a head with {share:.0%} of the effect, {CHANGED[contrast]}",
            ours=hits / of,
            peer=None,
            ratio=None,
            agreement=None,
            unit="share of heads named",
            n=of,
            extra={"power": hits / of, "share_of_effect": share, "pairs": PAIRS},
        )

    for (method, kind, contrast), tally in study(KINDS, SEEDS, pairs=PAIRS).items():
        yield Row(
            name=f"known circuit: {method}, {kind}, {CHANGED[contrast]}",
            ours=tally.found / tally.true,
            peer=None,
            ratio=None,
            agreement=None,
            unit="share of true nodes named",
            n=len(SEEDS),
            extra={
                "power": tally.found / tally.true,
                "true_nodes": tally.true,
                "false_alarms_distractor": tally.distractor / tally.distractors,
                "false_alarms_others": tally.others / tally.other_nodes,
                "false_alarms_permuted": tally.null / tally.null_nodes,
                "pairs": PAIRS,
            },
        )
