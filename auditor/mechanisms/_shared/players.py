"""Who plays: fields or groups of fields that change together, and the reference values they change to.

Pure: nothing here asks a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.exceptions import PlanError
from auditor.mechanisms._shared.references import TYPICAL
from auditor.testing.chunks import PlanContext

PROXIES = "proxies"
PROTECTED_ROLES = ("protected", "protected_proxy", "proxy")
PROXY_ROLES = ("protected_proxy", "proxy")


@dataclass(frozen=True, slots=True)
class Player:
    """A field, or fields that are taken as one. ``protected`` holds where one of them is protected or a proxy."""

    name: str
    label: str
    fields: tuple[str, ...]
    protected: bool

    def differs(self, words: Mapping[str, str], reference: Mapping[str, str]) -> bool:
        """Whether the reference changes anything."""
        return any(words[name] != reference[name] for name in self.fields)


def find_players(asked: PlanContext, *, groups: Mapping[str, Sequence[str]], where: str) -> tuple[Player, ...]:
    """Every field of the prompt in one player, in the order of the prompt.

    Fields of a group play as one, and so do all proxies that stand in no group: apart, each would be credited with what
    any of them could have told the model.

    Raises
    ------
    PlanError
        For a group with the name of a field, or with a field that is not in the prompt.
    """
    owner: dict[str, str] = {}
    for name, fields in groups.items():
        if name in asked.fields:
            raise PlanError(f"{where}.groups", f"group {name!r} has the name of a field", "a name of its own")
        for field in fields:
            if field not in asked.fields:
                raise PlanError(
                    f"{where}.groups.{name}", f"{field!r} is not in the prompt", f"one of: {', '.join(asked.fields)}"
                )
            owner[field] = name
    proxies = [name for name in asked.fields if asked.roles.get(name) in PROXY_ROLES and name not in owner]
    if len(proxies) > 1:
        owner |= dict.fromkeys(proxies, PROXIES)
    members: dict[str, list[str]] = {}
    for name in asked.fields:
        members.setdefault(owner.get(name, name), []).append(name)
    return tuple(_player(asked, name, fields, alone=name not in owner.values()) for name, fields in members.items())


def _player(asked: PlanContext, name: str, fields: Sequence[str], *, alone: bool) -> Player:
    labels = [asked.labels.get(field, field) for field in fields]
    return Player(
        name=name,
        label=labels[0] if alone else f"{name.replace('_', ' ')} ({', '.join(labels)})",
        fields=tuple(fields),
        protected=any(asked.roles.get(field) in PROTECTED_ROLES for field in fields),
    )


def reference_words(asked: PlanContext, *, reference: str, where: str) -> dict[str, str]:
    """The words every field of the prompt changes to.

    ``typical``: for a number the words of the middle application (the lower median of those that state it), for all
    else the words most applications have; an attribute of the plan takes the plan's reference group. Every word is one
    that an application has. Otherwise ``reference`` is the id of an application, and its words are taken.

    Raises
    ------
    PlanError
        If ``reference`` is no application of the run.
    """
    if reference != TYPICAL:
        if reference not in asked.words:
            raise PlanError(
                f"{where}.reference", f"no application {reference!r} in this run", f"{TYPICAL!r} or an application's id"
            )
        return {name: asked.words[reference][name] for name in asked.fields}
    groups = {attribute.field: attribute.reference for attribute in asked.plan.attributes}
    return {name: groups[name] if name in groups else _typical(asked, name) for name in asked.fields}


def _typical(asked: PlanContext, name: str) -> str:
    numbers: list[tuple[float, str]] = []
    words: list[str] = []
    stated: list[str] = []
    placebo = asked.plan.placebo is not None and asked.plan.placebo.field == name
    for cluster in asked.clusters:
        word = asked.words[cluster.application.id][name]
        value = float(word) if placebo else cluster.application.values.get(name)
        words.append(word)
        if value is not None:
            stated.append(word)
        if isinstance(value, int | float):
            numbers.append((float(value), word))
    if numbers:
        return sorted(numbers)[(len(numbers) - 1) // 2][1]
    counts = Counter(stated or words)
    # Equally common: the first of the alphabet, so that the order of the applications does not matter.
    return min(counts, key=lambda word: (-counts[word], word))


def changed(words: Mapping[str, str], reference: Mapping[str, str], players: Iterable[Player]) -> dict[str, str]:
    """The words of an application with these players at the reference."""
    return {**words, **{name: reference[name] for player in players for name in player.fields}}


def choose(
    players: Sequence[Player], effects: Mapping[str, float], *, wanted: Sequence[str], at_most: int
) -> tuple[Player, ...]:
    """The players of one application's game, in the order of the prompt.

    Parameters
    ----------
    players
        Those whose words the reference changes: the others are worth nothing in any game.
    effects
        Occlusion by player, nats.
    wanted
        Names of players, or of fields in them; if there are any, they alone play.
    at_most
        Otherwise: all that are protected, and the others of largest effect, as many as this leaves room for.
    """
    if wanted:
        return tuple(player for player in players if {player.name, *player.fields} & set(wanted))
    forced = [player for player in players if player.protected]
    others = sorted(
        (player for player in players if not player.protected),
        key=lambda player: (-abs(effects[player.name]), players.index(player)),
    )
    chosen = {player.name for player in (*forced, *others[: max(0, at_most - len(forced))])}
    return tuple(player for player in players if player.name in chosen)
