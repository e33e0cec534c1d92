"""OAuth client credentials: a token from a listed token address, renewed before it runs out."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

from auditor.systems.exceptions import Paused, Rejected, WireError
from auditor.systems.keys import SHORTEST, Key, KeySource, Scrubber
from auditor.systems.transport import Arrived, Outgoing, Transport
from auditor.systems.wire import maybe, read_json, said

EARLY_SECONDS = 30.0
"""A token is renewed so long before its end, since a request takes its time."""


class ClientCredentials:
    """A ``KeySource`` whose key is an access token.

    Parameters
    ----------
    transport
        To the token address, with a scrubber of its own: one that knows the tokens would take a token that is given
        out twice from the answer. Nothing of its answers is kept or shown.
    client, secret, scope
        As the authorisation server knows them; the secret from its own source.
    where
        Named in errors.
    scrub
        Is told the secret and every token.
    clock
        Seconds that never run back.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        client: str,
        secret: KeySource,
        scope: str = "",
        where: str,
        scrub: Scrubber,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._client = client
        self._secret = secret
        self._scope = scope
        self._where = where
        self._scrub = scrub
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Key | None = None
        self._end = 0.0

    def key(self) -> Key:
        """A token that is good for a while; threads share one.

        Raises
        ------
        SystemStopped
            If the authorisation server gives none.
        """
        with self._lock:
            if self._token is None or self._clock() >= self._end:
                self._token, self._end = self._fetch()
            return self._token

    def forget(self) -> None:
        """Fetch a new one next time: the old one was refused."""
        with self._lock:
            self._token = None

    def break_off(self, why: str) -> None:
        """End a token's fetching at once, and fetch no other."""
        self._transport.break_off(why)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _fetch(self) -> tuple[Key, float]:
        secret = self._secret.key()
        self._scrub.add(secret, user=self._client)
        pair = f"{quote(self._client, safe='')}:{quote(secret.reveal(), safe='')}"  # RFC 6749, 2.3.1
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        headers = {
            "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer = self._transport.send(Outgoing(path="", headers=headers, content=urlencode(form).encode()))
        if not isinstance(answer, Arrived):
            raise Paused(self._where, f"no token: {self._scrub.text(answer.note)}")
        if answer.status != 200:
            raise Rejected(self._where, f"no token: the authorisation server answers {answer.status}")
        try:
            content = read_json(answer.body)
            token, seconds = said(content, "access_token"), maybe(content, "expires_in", kind=float)
        except WireError as error:
            raise Rejected(self._where, f"no token: {error}") from None
        # A short one would be found by chance in answers, and taken out of them.
        if len(token) < SHORTEST or not token.isprintable() or not token.isascii():
            raise Rejected(self._where, "no token: the authorisation server's answer holds none")
        key = Key(token)
        self._scrub.add(key)
        lasts = 300.0 if seconds is None else seconds
        return key, self._clock() + max(0.0, lasts - EARLY_SECONDS)
