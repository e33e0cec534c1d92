"""Requests that nobody on this site made: a link followed from another site, or a file fetched ahead of a click."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.http import HttpRequest

#: What a browser says of a request that began on a page of this site, or in the bar of addresses.
OWN = ("same-origin", "none")


def from_elsewhere(request: HttpRequest) -> bool:
    """Whether another site, or a program that reads ahead, made this request.

    Browsers say so themselves in ``Sec-Fetch-Site``; where an old one does not, the page before it says it. Whoever
    sends neither, such as a command line, asks for themselves.
    """
    if "prefetch" in (request.headers.get("Sec-Purpose", "") or request.headers.get("Purpose", "")).lower():
        return True
    site = request.headers.get("Sec-Fetch-Site", "")
    if site:
        return site not in OWN
    before = urlsplit(request.headers.get("Referer", "")).netloc
    return bool(before) and before != request.get_host()
