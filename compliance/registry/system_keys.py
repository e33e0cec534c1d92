"""Keys of listed systems, for the engine: read from the sealed store at the moment they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import connection

from auditor.exceptions import ModelError
from auditor.systems.keys import Key, KeySource
from auditor.systems.listing import Listed
from auditor.systems.opening import ListedSystems
from compliance.models import SystemKey, SystemState
from compliance.models.rows import TeamRows
from compliance.registry.key_ring import RingKey, Sealed
from compliance.registry.system_tables import destination_of
from compliance.registry.systems import listed_systems


@dataclass(frozen=True)
class SealedKey:
    """A `KeySource`: the key of a system that is listed. Each time it is asked, the row is read anew.

    It opens for the destination of the version that was opened: where another one took its place meanwhile, the key
    that was set for that is not sent to the address before it.
    """

    kind: str
    name: str
    destination: Mapping[str, str]
    made_in: int = field(default_factory=threading.get_ident, repr=False, compare=False)

    def key(self) -> Key:
        """The key.

        Raises
        ------
        ModelError
            If the system is not listed, or its key is not set or does not open; the text holds nothing of it.
        """
        try:
            return self.sealed().key()
        finally:
            # A thread that asks a system anew after a refusal has a connection of its own, which nobody else closes.
            if threading.get_ident() != self.made_in:
                connection.close()

    def sealed(self) -> RingKey:
        """The key as it is kept, which a child process may be given.

        Raises
        ------
        ModelError
            If the system is not listed, or its key is not set.
        """
        source = f"{self.kind}:{self.name}"
        row = _keys(self.kind, self.name).first()
        if row is None:
            raise ModelError(source, "has no key", "one that an administrator sets on its page")
        sealed = Sealed(ring_key=row.ring_key, data=bytes(row.sealed))
        return RingKey(sealed, self.destination, source, Path(settings.KEYS_FILE))


def keys_for(source: str, opened: Listed) -> SealedKey | None:
    """Where the key of a system comes from, as it was opened; ``None`` for one that is asked without a key."""
    kind, _, name = source.partition(":")
    if opened.oauth is None and not _keys(kind, name).exists():
        return None
    return SealedKey(kind, name, destination_of(source, opened))


def site_systems(*, team_id: int | None) -> ListedSystems:
    """What workers may ask for a team: the systems that are listed for it, with the keys that were set there."""
    keys: Callable[[str, Listed], KeySource | None] = keys_for
    return ListedSystems(partial(listed_systems, team_id=team_id), keys=keys)


def _keys(kind: str, name: str) -> TeamRows[SystemKey]:
    return SystemKey.objects.filter(listing__kind=kind, listing__name=name, listing__state=SystemState.LISTED)
