"""A listed address with the key that goes with it: what endpoints and services have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from auditor.exceptions import ModelError
from auditor.systems.addresses import parse_address, pin
from auditor.systems.keys import Key, KeyFile, KeySource, Scrubber
from auditor.systems.listing import Listed, OAuth
from auditor.systems.oauth import ClientCredentials
from auditor.systems.transport import Outgoing, Transport


class Line:
    """Opens the way to a listed system; close it after use.

    Parameters
    ----------
    where
        Names the system in errors.
    listed
        As the file of systems has it.
    keys
        Where the key, or the secret of ``oauth``, is kept; ``None``: in the file that is listed.
    connections
        At a time.

    Raises
    ------
    ModelError
        If the address may not be asked or cannot be resolved, or a file of keys or certificates cannot be used.
    """

    def __init__(self, where: str, listed: Listed, *, keys: KeySource | None, connections: int) -> None:
        self.scrub = Scrubber()
        self._listed = listed
        address = parse_address(listed.url, networks=listed.networks, where=f"{where}: url")
        self._credentials: ClientCredentials | None = None
        self._keys = keys
        if keys is None and listed.key_file:
            self._keys = KeyFile(Path(listed.key_file), where)
        if listed.oauth is not None:
            self._credentials = self._oauth(where, listed.oauth, keys)
        self._known: Key | None = None
        self.key()  # a file that holds none is told before anything is asked
        self.transport = Transport(
            pin(address, where=where),
            where=where,
            scrub=self.scrub,
            tls=listed.tls(),
            seconds=listed.seconds,
            connections=connections,
        )

    @property
    def renew(self) -> Callable[[Outgoing], None] | None:
        """Forgets the key or token that a request carried, so that the next has a new one; ``None`` without any."""
        return None if self._keys is None and self._credentials is None else self._forget

    def key(self) -> str | None:
        """The secret for the header; ``None`` if it needs none, or a token, which is fetched when it is needed."""
        if self._credentials is not None or self._keys is None:
            return None
        if self._known is None:
            self._known = self._keys.key()
            self.scrub.add(self._known)
        return self._known.reveal()

    def headers(self, *, header: str, prefix: str) -> dict[str, str]:
        """The header with the key or token; none if the system needs none.

        Parameters
        ----------
        header, prefix
            Of the dialect; those that are listed stand over them. Tokens go into ``Authorization``.
        """
        secret = self.key()
        if self._credentials is not None:
            header, prefix, secret = "Authorization", "Bearer ", self._credentials.key().reveal()
        if secret is None:
            return {}
        listed = self._listed
        prefix = prefix if listed.key_prefix is None else listed.key_prefix
        return {listed.key_header or header: f"{prefix}{secret}"}

    def break_off(self, why: str) -> None:
        """End what is under way at once, a token being fetched too, and send nothing more."""
        self.transport.break_off(why)
        if self._credentials is not None:
            self._credentials.break_off(why)

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()
        if self._credentials is not None:
            self._credentials.close()

    def _forget(self, refused: Outgoing) -> None:
        self._known = None
        if self._credentials is not None:
            self._credentials.forget(refused.headers.values())

    def _oauth(self, where: str, oauth: OAuth, keys: KeySource | None) -> ClientCredentials:
        listed = self._listed
        if keys is None and not oauth.secret_file:
            raise ModelError(f"{where}: oauth.secret_file", "is missing", "a file with the client's secret")
        token = parse_address(oauth.token_url, networks=listed.networks, where=f"{where}: oauth.token_url")
        return ClientCredentials(
            Transport(pin(token, where=where), where=where, scrub=Scrubber(), tls=listed.tls(), seconds=listed.seconds),
            client=oauth.client_id,
            secret=keys or KeyFile(Path(oauth.secret_file), where),
            scope=oauth.scope,
            where=where,
            scrub=self.scrub,
        )
