"""The file of systems that an administrator wrote: addresses, dialects, models, keys' files, conduct, prices.

    [endpoint.underwriter]
    dialect = "chat_completions"          # completions, responses, anthropic_messages
    url = "https://models.example.internal/v1"
    model = "llama-3.3-70b-instruct"
    key_file = "/run/secrets/underwriter"

docs/systems.md lists all keys. What is asked holds applications, and they go to no address but those of this file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from auditor.exceptions import ModelError
from auditor.systems.breaker import Fuse
from auditor.systems.conduct import Conduct
from auditor.systems.dialects import DIALECTS
from auditor.systems.prices import MILLION, Prices
from auditor.systems.retries import Backoff
from auditor.systems.transport import Tls

FILE = "systems.toml"
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
_SECRET = ("authorization", "api-key", "apikey", "token", "secret", "cookie", "password")

_KEYS = frozenset(
    ("key", "api-key", "apikey", "token", "access-token", "secret", "client-secret", "password", "authorization")
)

_CONDUCT = frozenset(
    [
        "seconds",
        "concurrency",
        "requests_a_second",
        "most_requests",
        "most_money",
        "tries",
        "longest_wait",
        "failures_before_rest",
        "rest_seconds",
        "rests",
        "prices",
    ]
)

Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]


class ListedTable(BaseModel):
    """One table of the file: closed to unknown keys, no value is bent into another kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OAuth(ListedTable):
    """``[….oauth]``: client credentials. The token address is listed by standing here. Without ``secret_file`` the
    secret comes from whoever opens the system."""

    token_url: Text
    client_id: Text
    secret_file: str = ""
    scope: str = ""


class Rates(ListedTable):
    """``[….prices]``: per million tokens of prompts and answers, and per request."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    prompt: Annotated[float, Field(ge=0)] = 0.0
    answer: Annotated[float, Field(ge=0)] = 0.0
    request: Annotated[float, Field(ge=0)] = 0.0

    def prices(self) -> Prices:
        """As decimal numbers, as they were written."""
        return Prices(
            currency=self.currency,
            prompt=Decimal(str(self.prompt)),
            answer=Decimal(str(self.answer)),
            request=Decimal(str(self.request)),
        )


class Listed(ListedTable):
    """What endpoints and services have in common."""

    url: Text
    networks: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    key_file: str = ""
    key_header: str = ""
    key_prefix: str | None = None
    oauth: OAuth | None = None
    authority_file: str = ""
    certificate_file: str = ""
    certificate_key_file: str = ""
    seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    requests_a_second: Positive | None = None
    most_requests: Annotated[int, Field(ge=1)] | None = None
    most_money: Positive | None = None
    tries: Annotated[int, Field(ge=1, le=20)] = 6
    longest_wait: Annotated[float, Field(gt=0, le=3600)] = 300.0
    failures_before_rest: Annotated[int, Field(ge=1)] = 10
    rest_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    rests: Annotated[int, Field(ge=0, le=100)] = 3
    prices: Rates | None = None

    @field_validator("networks", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            folded = name.casefold()
            if not _own_header(name) or not _header_text(value):
                raise ValueError(f"expected a header of one's own; {name!r} is none")
            if any(word in folded for word in _SECRET):
                raise ValueError(f"expected no keys here; {name!r} is carried by key_file and key_header")
        return headers

    @field_validator("key_header")
    @classmethod
    def _carries_a_key(cls, name: str) -> str:
        if name and not _own_header(name):
            raise ValueError("expected a header of one's own, which carries the key and nothing else")
        return name

    @field_validator("key_prefix")
    @classmethod
    def _one_line(cls, prefix: str | None) -> str | None:
        if prefix is not None and not _header_text(f"{prefix}key"):
            raise ValueError("expected ASCII in one line before the key")
        return prefix

    @model_validator(mode="after")
    def _fits(self) -> Listed:
        if self.key_file and self.oauth:
            raise ValueError("expected key_file or oauth, not both")
        if self.most_money is not None and self.prices is None:
            raise ValueError("expected prices, since most_money is given")
        if self.certificate_key_file and not self.certificate_file:
            raise ValueError("expected certificate_file, since certificate_key_file is given")
        return self

    def asks_as(self, other: Listed) -> bool:
        """Whether the same is asked of the same address; conduct, caps and prices may differ."""
        return self.model_copy(update={name: getattr(other, name) for name in _CONDUCT}) == other

    def conduct(self) -> Conduct:
        """How it is asked."""
        return Conduct(
            concurrency=self.concurrency,
            a_second=self.requests_a_second,
            most_requests=self.most_requests,
            most_money=None if self.most_money is None else int(Decimal(str(self.most_money)) * MILLION),
            longest_wait=self.longest_wait,
            backoff=Backoff(tries=self.tries),
            fuse=Fuse(failures=self.failures_before_rest, seconds=self.rest_seconds, rests=self.rests),
        )

    def tls(self) -> Tls:
        """The certificates it is asked with."""
        return Tls(authority=self.authority_file, certificate=self.certificate_file, key=self.certificate_key_file)


class ListedEndpoint(Listed):
    """``[endpoint.NAME]``. ``extra``: fields put over those of the dialect; ``without``: fields left out of it."""

    dialect: str
    model: Text
    query: dict[str, str] = {}
    extra: dict[str, Any] = {}
    without: tuple[str, ...] = ()

    @field_validator("without", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("dialect")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DIALECTS:
            raise ValueError(f"expected one of {', '.join(sorted(DIALECTS))}")
        return name

    @field_validator("query", "extra")
    @classmethod
    def _no_keys(cls, fields: dict[str, Any]) -> dict[str, Any]:
        for name in _names(fields):
            if name.casefold().replace("_", "-") in _KEYS:
                raise ValueError(f"expected no keys here, since this is kept as evidence; {name!r} goes into key_file")
        return fields

    @field_validator("extra")
    @classmethod
    def _answers_whole(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if extra.get("stream"):
            raise ValueError("expected answers in one piece; stream is not read")
        if extra.get("n", 1) != 1:
            raise ValueError("expected one answer a request; replicates are asked one by one")
        return extra


def _own_header(name: str) -> bool:
    """Whether an administrator may send a header of this name."""
    return name.isascii() and name.replace("-", "").isalnum() and name.casefold() not in _OURS


def _header_text(text: str) -> bool:
    """Whether a header can hold this: ASCII in one line, with no space around it."""
    return text.isascii() and text.isprintable() and text == text.strip()


def keys_in(table: Mapping[str, Any]) -> list[str]:
    """Names in a table, however deep, under which a key stands. A ``{placeholder}`` or a path ``$.…`` is none."""
    return [
        name
        for name, value in _pairs(table)
        if name.casefold().replace("_", "-") in _KEYS
        and isinstance(value, str)
        and value
        and not value.startswith(("{", "$."))
    ]


def texts_in(value: Any) -> Iterator[str]:
    """All texts in a table, names too, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield str(name)
            yield from texts_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_in(part)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """All names in a table with what stands under them, however deep."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield str(name), part
            yield from _pairs(part)
    elif isinstance(value, list):
        for part in value:
            yield from _pairs(part)


def _names(value: Any) -> Iterator[str]:
    """All names in a table, however deep."""
    return (name for name, _ in _pairs(value))


def read_tables(file: Path, kind: str, name: str) -> Mapping[str, Any]:
    """The table of one system.

    Raises
    ------
    ModelError
        If the file is not there, cannot be read or does not list it.
    """
    asked, table = f"{kind}:{name}", f"a table [{kind}.{name}] in {file.name}"
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(asked, "no administrator has listed it", table) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ModelError(file.name, f"cannot be read ({error})", "TOML with a table for each system") from error
    kinds = tables.get(kind)
    found = kinds.get(name) if isinstance(kinds, dict) else None
    if not isinstance(found, dict):
        raise ModelError(asked, "no administrator has listed it", table)
    return found


def read_listed(file: Path, name: str) -> ListedEndpoint:
    """The endpoint of this name.

    Raises
    ------
    ModelError
        If it is not listed, or not as it should be: the file, the key, what was expected.
    """
    table = read_tables(file, "endpoint", name)
    try:
        return ListedEndpoint.model_validate(table)
    except ValidationError as error:
        raise one_line(error, where=f"{file.name}: endpoint.{name}") from None


def one_line(error: ValidationError, *, where: str) -> ModelError:
    """The first of what is wrong, with its key. The value is not shown: it may be a secret in the wrong place."""
    first = error.errors(include_input=False, include_url=False)[0]
    key = ".".join([where, *(str(part) for part in first["loc"])])
    return ModelError(key, str(first["msg"]).removeprefix("Value error, "))
