"""Keys of listed systems, for the engine: read from the sealed store at the moment they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connection

from auditor.exceptions import ModelError
from auditor.systems.keys import Key, KeySource
from auditor.systems.opening import ListedSystems
from compliance.models import SystemKey, SystemListing, SystemState
from compliance.models.rows import TeamRows
from compliance.registry.key_ring import RingKey, Sealed
from compliance.registry.system_tables import read_table
from compliance.registry.systems import listed_systems


@dataclass(frozen=True)
class SealedKey:
    """A `KeySource`: the key of a system that is listed. Each time it is asked, the row is read anew."""

    kind: str
    name: str
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
        row = _keys(self.kind, self.name).select_related("listing").first()
        if row is None:
            raise ModelError(f"{self.kind}:{self.name}", "has no key", "one that an administrator sets on its page")
        return RingKey(
            Sealed(ring_key=row.ring_key, data=bytes(row.sealed)),
            read_table(row.listing.text).destination,
            row.listing.source,
            Path(settings.KEYS_FILE),
        )


def keys_for(source: str) -> SealedKey | None:
    """Where the key of a listed system comes from; ``None`` for one that is asked without a key."""
    kind, _, name = source.partition(":")
    listing = SystemListing.objects.filter(kind=kind, name=name, state=SystemState.LISTED).first()
    if listing is None:
        return None
    needed = read_table(listing.text).listed.oauth is not None
    return SealedKey(kind, name) if needed or _keys(kind, name).exists() else None


def site_systems() -> ListedSystems:
    """What the site's workers may ask: the systems that are listed on it, with the keys that were set there."""
    keys: Callable[[str], KeySource | None] = keys_for
    return ListedSystems(listed_systems, keys=keys)


def _keys(kind: str, name: str) -> TeamRows[SystemKey]:
    return SystemKey.objects.filter(listing__kind=kind, listing__name=name, listing__state=SystemState.LISTED)
