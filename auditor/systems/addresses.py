"""Where a request may go: to a listed address alone, over https or on this machine, to the number it resolved to once.

A name is resolved when a system is opened, every number it has must be allowed, and connections go to the first of them
for as long as it is open. So a name that is pointed elsewhere meanwhile (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from auditor.exceptions import ModelError

Number = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

#: Services of clouds that hand out the machine's own credentials; no network that is listed opens them.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, kw_only=True)
class Address:
    """A base URL taken apart. ``networks`` are the private ranges an administrator opened for it."""

    scheme: str
    host: str
    port: int
    path: str
    networks: tuple[Network, ...] = ()

    @property
    def authority(self) -> str:
        """Host and, where it is not the usual one, port: what the ``Host`` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """An address with the one number that connections go to."""

    address: Address
    number: Number

    @property
    def origin(self) -> str:
        """The URL a connection is made to; the host's name goes into ``Host`` and into the check of its certificate."""
        number = f"[{self.number}]" if self.number.version == 6 else str(self.number)
        return f"{self.address.scheme}://{number}:{self.address.port}"


def parse_address(url: str, *, networks: Sequence[str] = (), where: str) -> Address:
    """A base URL that may be asked.

    Raises
    ------
    ModelError
        If it is no https address (or http on this machine), or carries a user, a password, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ModelError(where, f"{error}", "an address") from None
    host = (parts.hostname or "").rstrip(".")
    if not host or port == 0 or not url.isascii() or any(mark.isspace() for mark in url):
        raise ModelError(where, "is not an address", "https:// and a host")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here(host)):
        what = f"{parts.scheme}://{host} is not encrypted"
        raise ModelError(where, what, "an https:// address, or http:// on this machine")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ModelError(
            where, "carries a user, password, query or fragment", "them elsewhere; a key goes into key_file"
        )
    try:
        ranges = tuple(ipaddress.ip_network(text) for text in networks)
    except ValueError as error:
        raise ModelError(where, f"networks: {error}", "ranges such as 10.20.0.0/16") from None
    path = parts.path.rstrip("/")
    return Address(scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme], path=path, networks=ranges)


def is_here(host: str) -> bool:
    """Whether a host is this machine by name."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def pin(address: Address, *, where: str, resolve: Resolve | None = None) -> Pinned:
    """Resolve an address once.

    Raises
    ------
    ModelError
        If it cannot be resolved, or one of its numbers may not be asked.
    """
    try:
        found = [_plain(ipaddress.ip_address(text)) for text in (resolve or _resolve)(address.host, address.port)]
    except (OSError, ValueError) as error:
        raise ModelError(where, f"{address.host} cannot be resolved ({error})") from None
    if not found:
        raise ModelError(where, f"{address.host} cannot be resolved (no number)")
    for number in found:
        if why := _forbidden(number, address):
            raise ModelError(where, f"{address.host} is {number}, {why}", "a public address, or its range in networks")
    # `localhost` is often ::1 first, and servers on this machine listen on 127.0.0.1.
    return Pinned(address=address, number=min(found, key=lambda number: is_here(address.host) and number.version))


def _forbidden(number: Number, address: Address) -> str:
    """Why a number may not be asked; empty if it may."""
    if number in _METADATA:
        return "where a cloud hands out credentials"
    if is_here(address.host):
        # It may be asked without encryption, and so nowhere else.
        return "" if number.is_loopback else "not this machine"
    if number.is_multicast or number.is_unspecified or (number.is_reserved and not number.is_loopback):
        return "no address of one machine"
    if any(number in network for network in address.networks):
        return ""
    here = isinstance(number, ipaddress.IPv6Address) and number.is_site_local  # which Python holds to be global
    return "" if number.is_global and not here else "in a range that is not public"


def _plain(number: Number) -> Number:
    """An IPv4 number that is written as IPv6 (mapped, NAT64, 6to4) as what it leads to."""
    if isinstance(number, ipaddress.IPv6Address):
        if number.ipv4_mapped is not None:
            return number.ipv4_mapped
        if number.sixtofour is not None:
            return number.sixtofour
        if number in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
    return number


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
