"""OAuth client credentials: a token from a listed token address, renewed before it runs out."""

from __future__ import annotations

import base64
import math
import threading
import time
from collections.abc import Callable, Collection
from urllib.parse import quote, urlencode

from auditor.systems.conduct import asked_wait
from auditor.systems.exceptions import Paused, Rejected, TokenDelayed, WireError
from auditor.systems.keys import SHORTEST, Key, KeySource, Scrubber
from auditor.systems.retries import passes
from auditor.systems.transport import Arrived, Outgoing, Transport
from auditor.systems.wire import maybe, read_json, said

EARLY_SECONDS = 30.0
"""A token is renewed so long before its end, since a request takes its time; one that lasts less than twice as long,
at half of it."""
UNTOLD_SECONDS = 300.0
"""Where nobody says how long a token lasts, or says that it is over already."""


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
        self._late: tuple[float, TokenDelayed] | None = None

    def key(self) -> Key:
        """A token that is good for a while; threads share one.

        Raises
        ------
        TokenDelayed
            If the authorisation server gives none for the moment.
        Rejected
            If it gives none.
        """
        came = self._clock()
        with self._lock:
            if self._token is None or self._clock() >= self._end:
                if self._late is not None and self._late[0] >= came:  # whoever waited meanwhile need not wait again
                    raise self._late[1].again()
                try:
                    self._token, self._end = self._fetch()
                except TokenDelayed as late:
                    self._late = self._clock(), late
                    raise
            return self._token

    def forget(self, carried: Collection[str]) -> None:
        """Fetch a new one next time, if it is the token in one of these headers that was refused.

        Another thread may have fetched one meanwhile, and servers may end the old one where they give out a new one.
        """
        with self._lock:
            if self._token is not None and any(header.endswith(self._token.reveal()) for header in carried):
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
        self._transport.hide(secret, user=self._client)  # before anything of an error is cut
        pair = f"{quote(self._client, safe='')}:{quote(secret.reveal(), safe='')}"  # RFC 6749, 2.3.1
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        headers = {
            "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer = self._transport.send(Outgoing(path="", headers=headers, content=urlencode(form).encode()))
        if not isinstance(answer, Arrived):
            note = f"no token: {self._scrub.text(answer.note)}"
            raise Paused(self._where, note) if answer.lasting else TokenDelayed(self._where, note)
        if answer.status != 200:
            note = f"no token: the authorisation server answers {answer.status}"
            if passes(answer.status):
                raise TokenDelayed(self._where, note, asked_wait(answer))
            raise Rejected(self._where, note)
        try:
            content = read_json(answer.body)
            token, seconds = said(content, "access_token"), maybe(content, "expires_in", kind=float)
        except WireError as error:
            raise TokenDelayed(self._where, f"no token: {error}") from None
        # A short one would be found by chance in answers, and taken out of them.
        if len(token) < SHORTEST or not token.isprintable() or not token.isascii():
            raise Rejected(self._where, "no token: the authorisation server's answer holds none")
        key = Key(token)
        self._scrub.add(key)
        told = seconds is not None and math.isfinite(seconds) and seconds > 0
        lasts = seconds if told and seconds is not None else UNTOLD_SECONDS
        return key, self._clock() + lasts - min(EARLY_SECONDS, lasts / 2)
