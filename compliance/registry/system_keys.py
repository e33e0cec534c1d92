"""Keys of listed systems, for the engine: read from the sealed store at the moment they are needed."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.exceptions import ModelError
from auditor.systems.keys import Key, KeySource
from compliance.exceptions import StateError
from compliance.models import SystemKey, SystemListing, SystemState
from compliance.models.rows import TeamRows
from compliance.registry.key_ring import Sealed, read_ring
from compliance.registry.system_tables import read_table


@dataclass(frozen=True)
class SealedKey:
    """A `KeySource`: the key of a system that is listed. Each time it is asked, the row is read anew."""

    kind: str
    name: str

    def key(self) -> Key:
        """The key.

        Raises
        ------
        ModelError
            If the system is not listed, or its key is not set or does not open; the text holds nothing of it.
        """
        source = f"{self.kind}:{self.name}"
        row = _keys(self.kind, self.name).select_related("listing").first()
        if row is None:
            raise ModelError(source, "has no key", "one that an administrator sets on its page")
        try:
            return Key(unsealed(row))
        except StateError as error:
            where, _, rest = str(error).partition(": ")
            raise ModelError(where, *rest.split("; expected ", 1)) from None


def keys_for(source: str) -> KeySource | None:
    """Where the key of a listed system comes from; ``None`` for one that is asked without a key."""
    kind, _, name = source.partition(":")
    listing = SystemListing.objects.filter(kind=kind, name=name, state=SystemState.LISTED).first()
    if listing is None:
        return None
    needed = read_table(listing.text).listed.oauth is not None
    return SealedKey(kind, name) if needed or _keys(kind, name).exists() else None


def unsealed(row: SystemKey) -> str:
    """The secret of a row.

    Raises
    ------
    StateError
        If it does not open.
    """
    sealed = Sealed(ring_key=row.ring_key, data=bytes(row.sealed))
    destination = read_table(row.listing.text).destination
    return read_ring().unseal(sealed, destination=destination, where=row.listing.source)


def _keys(kind: str, name: str) -> TeamRows[SystemKey]:
    return SystemKey.objects.filter(listing__kind=kind, listing__name=name, listing__state=SystemState.LISTED)
