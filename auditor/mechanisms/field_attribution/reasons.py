"""What lowered an adverse decision's margin most, in the words of the fields.

Modelled on the principal reasons of an adverse action notice (12 CFR 1002.9(b)(2): specific, and no more than are
needed; the official commentary speaks of four), but not such a notice: these sentences describe a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.mechanisms._shared.players import Player

MOST_REASONS = 4
NOTICE = (
    "These sentences say which fields lowered the margin of this model most, against the reference named. They are not "
    "the creditor's reasons for a decision, and no notice of adverse action follows from them."
)


def principal(effects: Mapping[str, float], players: Sequence[Player]) -> tuple[Player, ...]:
    """The up to four players that lowered the margin most, the strongest first; none that did not lower it.

    Parameters
    ----------
    effects
        By player's name, in nats; a player without an effect is no reason.
    players
        In the order of the prompt, which settles ties.
    """
    lowering = [player for player in players if effects.get(player.name, 0.0) < 0]
    return tuple(sorted(lowering, key=lambda player: effects[player.name])[:MOST_REASONS])


def sentence(player: Player, *, words: Mapping[str, str], reference: Mapping[str, str], effect: float) -> str:
    """One reason in words.

    Parameters
    ----------
    words, reference
        The words of the application and of the reference, by field.
    effect
        In nats, below 0.
    """
    here = ", ".join(words[name] for name in player.fields)
    there = ", ".join(reference[name] for name in player.fields)
    return f"{player.label}: {here}, where the reference has {there}, lowered the margin by {-effect:.2f} nats"
