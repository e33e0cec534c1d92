"""One request to a pinned address: TLS checked against its name, no redirect, no proxy, bounded in time and size.

What arrives is whole or it is a fault: half an answer, one that lies about its length and one that takes too long are
never read. Keys are taken out of everything before anybody sees it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx2

from auditor.exceptions import ModelError
from auditor.systems.addresses import Pinned
from auditor.systems.deadline import BrokenOffError, Connections, Deadline, TimedBackend
from auditor.systems.keys import Key, Scrubber

CONNECT_SECONDS = 10.0
_LONGEST = 200
"""Characters of what the library says of a fault."""
LARGEST_ANSWER = 8 << 20
"""Bytes. The likeliest tokens of a long answer take a few hundred kilobytes."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Files an administrator named: a certificate authority of one's own (it alone is trusted then), a certificate to
    show and its key."""

    authority: str = ""
    certificate: str = ""
    key: str = ""

    def context(self, *, where: str) -> ssl.SSLContext:
        """How certificates are checked.

        Raises
        ------
        ModelError
            If a file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.authority or None)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key or None, password=_no_password)
        except (OSError, ValueError) as error:
            names = ", ".join(Path(name).name for name in (self.authority, self.certificate, self.key) if name)
            raise ModelError(where, f"its certificates cannot be used ({error})", f"PEM files ({names})") from None
        return context


@dataclass(frozen=True, slots=True)
class Arrived:
    """A whole answer: status, headers with names in lower case, body; without keys."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """No whole answer, and why. ``reached``: the request may have arrived. ``lasting``: trying again is no use."""

    note: str
    reached: bool
    lasting: bool = False


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What is sent: the path behind the base URL with its query, headers, and the body."""

    method: str = "POST"
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # one of them is the key
    content: bytes = field(default=b"", repr=False)


class Transport:
    """Sends to one pinned address. Threads may share it; close it after use."""

    def __init__(
        self,
        pinned: Pinned,
        *,
        where: str,
        scrub: Scrubber,
        tls: Tls = Tls(),
        seconds: float = 60.0,
        largest: int = LARGEST_ANSWER,
        connections: int = 8,
    ) -> None:
        self.pinned = pinned
        self._scrub = scrub
        self._seconds = seconds
        self._largest = largest
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        timeout = httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS), pool=None)
        self._deadline = Deadline()
        verify = tls.context(where=where) if pinned.address.scheme == "https" else True
        transport = httpx2.HTTPTransport(verify=verify, trust_env=False, limits=limits)
        # The library has no other place to hand it in; a test drips headers to see that it holds.
        pool: Any = transport._pool
        self._pool = pool
        self._connections = Connections()
        self._why_broken_off = ""
        pool._network_backend = TimedBackend(pool._network_backend, self._deadline, self._connections)
        self._client = httpx2.Client(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            # One request leaves nothing behind for the next: applications must not meet each other's sessions.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=timeout,
            headers={"Host": pinned.address.authority, "User-Agent": "plumbline", "Accept-Encoding": "identity"},
        )

    def hide(self, key: Key, *, user: str = "") -> None:
        """Take this key too out of what comes back; see ``Scrubber``."""
        self._scrub.add(key, user=user)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def break_off(self, why: str) -> None:
        """End what is under way at once, and send nothing more; a connection being made ends by its own time-out."""
        self._why_broken_off = why
        self._connections.break_off()

    def send(self, outgoing: Outgoing) -> Arrived | Fault:
        """Send once."""
        try:
            arrived = self._send(outgoing)
        except BrokenOffError:
            arrived = Fault("", reached=False)
        if isinstance(arrived, Fault) and self._connections.broken_off:
            return Fault(f"broken off: {self._why_broken_off}", reached=arrived.reached, lasting=True)
        return arrived

    def _send(self, outgoing: Outgoing) -> Arrived | Fault:
        end = self._deadline.end = time.monotonic() + self._seconds
        request = self._client.build_request(
            outgoing.method,
            f"{self.pinned.origin}{self.pinned.address.path}{outgoing.path}",
            headers={**outgoing.headers},
            content=outgoing.content,
            # The connection goes to the number; the certificate must be the name's.
            extensions={"sni_hostname": self.pinned.address.host},
        )
        try:
            response = self._client.send(request, stream=True)
            try:
                return self._whole(response, end)
            finally:
                response.close()
        except httpx2.ConnectTimeout:
            return Fault("nobody took the connection in time", reached=False)
        except (httpx2.TimeoutException, TimeoutError):
            return Fault(f"no whole answer within {self._seconds:g} s", reached=True)
        except httpx2.ConnectError as error:
            return self._no_connection(error)
        except httpx2.RemoteProtocolError as error:
            return Fault(f"the answer broke off or is not valid HTTP ({self._words(error)})", reached=True)
        except (httpx2.HTTPError, OSError) as error:  # the second: this process has no handle left
            return Fault(f"the connection broke ({self._words(error)})", reached=True)

    def _whole(self, response: httpx2.Response, end: float) -> Arrived | Fault:
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            return Fault("the answer is compressed, which was not asked for", reached=True, lasting=True)
        parts, size = [], 0
        stream: Any = response.stream  # the connection is given back by closing it, not by its end
        for part in stream:
            size += len(part)
            if size > self._largest:
                return Fault(f"the answer is larger than {self._largest} bytes", reached=True, lasting=True)
            if time.monotonic() > end:
                return Fault(f"no whole answer within {self._seconds:g} s", reached=True)
            parts.append(part)
        if behind := self._behind(response):
            # It would be read as the answer to whatever is asked next on this connection, of another application.
            response.extensions["network_stream"].spent = True
            if behind.strip(b"\r\n"):
                return Fault("more came than one whole answer", reached=True)
        if self._connections.broken_off and _ends_with_the_connection(response):
            return Fault("", reached=True)  # what ended it was this side: it may be half an answer
        headers = {name.lower(): self._scrub.text(value) for name, value in response.headers.items()}
        return Arrived(response.status_code, headers, self._scrub.data(b"".join(parts)))

    def _behind(self, response: httpx2.Response) -> bytes:
        """What was read of the connection and is no part of this answer, which is whole."""
        mine = response.extensions["network_stream"]
        pool: Any = self._pool
        for connection in pool.connections:
            # The library throws these bytes away nowhere and shows them nowhere; a test sees that it holds.
            http = getattr(connection, "_connection", None)
            if http is not None and http._network_stream is mine:
                return bytes(http._h11_state.trailing_data[0])
        return b""

    def _no_connection(self, error: httpx2.ConnectError) -> Fault:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                why = cause.verify_message
                return Fault(f"its certificate is not accepted ({self._scrub.text(why)})", reached=False, lasting=True)
            cause = cause.__cause__ or cause.__context__
        return Fault(f"nobody can be reached ({self._words(error)})", reached=False)

    def _words(self, error: Exception) -> str:
        # Cut last: half a key is nothing that could be found.
        return self._scrub.text(" ".join(str(error).split()))[:_LONGEST] or type(error).__name__


def _ends_with_the_connection(response: httpx2.Response) -> bool:
    """Whether nothing but the connection's end says where an answer ends."""
    chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
    return "content-length" not in response.headers and not chunked


def _no_password() -> str:
    # Without this, OpenSSL would ask at the terminal.
    raise ValueError("the key of the certificate is encrypted")
