"""What a dialect is: how a request is written, how an answer is read. A dialect is one file with one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.systems.asking import Request, Response
from auditor.systems.exceptions import CannotAsk


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one family of servers is spoken to.

    Attributes
    ----------
    name
        As it is written in the file of systems.
    path
        What follows the base URL.
    key_header, key_prefix
        How a key is carried, unless the file of systems says otherwise.
    headers
        What every request carries.
    cannot
        The fields of a request that it has no words for.
    body
        The request as JSON; ``extra`` is merged over it.
    read
        An answer with status 200 for its request. Raises ``WireError`` if it is none.
    """

    name: str
    path: str
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    headers: Mapping[str, str]
    cannot: frozenset[str]
    body: Callable[[Request, str], dict[str, Any]]
    read: Callable[[Request, Mapping[str, Any]], Response]

    def write(self, request: Request, *, model: str, extra: Mapping[str, Any] = {}) -> dict[str, Any]:
        """The body of a request.

        Parameters
        ----------
        request
            What is asked.
        model
            As the server calls it.
        extra
            Fields an administrator added; they stand over those of the dialect, and ``null`` takes a field away.

        Raises
        ------
        CannotAsk
            If the request holds something the dialect has no words for.
        """
        asked = {
            "system": bool(request.system),
            "temperature": request.temperature is not None,
            "seed": request.seed is not None,
            "top": request.top > 0,
            "form": request.form is not None,
            "continuations": bool(request.continuations),
        }
        for name, wanted in asked.items():
            if wanted and name in self.cannot:
                raise CannotAsk(f"dialect {self.name}", f"has no words for {name}")
        body = {**self.body(request, model), **extra}
        return {key: value for key, value in body.items() if value is not None}
