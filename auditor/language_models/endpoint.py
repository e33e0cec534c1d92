"""A language model behind an OpenAI-compatible address, asked for text.

Addresses are listed in ``endpoints.toml`` in the folder of the model store. That file is the administrator's leave:
what is asked holds pieces of applications, and they go to no address but those it lists.

    [describer]
    url = "https://models.example.internal/v1"
    model = "llama-3.3-70b-instruct"
    key_file = "/run/secrets/describer"     # optional: a file with the bearer token
    seconds = 60                            # optional: how long one answer may take
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from auditor.exceptions import ModelError

if TYPE_CHECKING:
    import httpx

FILE = "endpoints.toml"
PAUSES = (1.0, 4.0)
"""Seconds before the second and the third try of a request that found nobody, or somebody too busy."""

_HERE = ("127.0.0.1", "localhost", "::1")


class Endpoint(BaseModel):
    """One table of the file: ``url`` up to ``/chat/completions``, ``model`` as the server calls it, the file with the
    key, and how many ``seconds`` one answer may take."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    url: str
    model: Annotated[str, Field(min_length=1)]
    key_file: str = ""
    seconds: Annotated[float, Field(gt=0, le=600)] = 60.0

    @field_validator("url")
    @classmethod
    def _keeps_what_is_sent_to_itself(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:  # a port that is no number raises ValueError when it is read
            raise ValueError("expected an address with a host")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
            raise ValueError("expected an https:// address, or http:// on this machine")
        if parts.username or parts.password or parts.query:
            raise ValueError("expected an address without a user, password or query; a key goes into key_file")
        return url.rstrip("/")


def read_endpoint(file: Path, name: str) -> Endpoint:
    """The endpoint of this name.

    Raises
    ------
    ModelError
        If the file is not there or cannot be read, or does not list it as it should.
    """
    asked = f"endpoint:{name}"
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(asked, "no administrator has listed it", f"a table [{name}] in {file.name}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(file.name, f"cannot be read ({error})", "TOML with a table for each endpoint") from error
    if name not in tables:
        raise ModelError(asked, "no administrator has listed it", f"a table [{name}] in {file.name}")
    try:
        return Endpoint.model_validate(tables[name])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *(str(part) for part in first["loc"])])
        raise ModelError(f"{file.name}: {key}", str(first["msg"]).removeprefix("Value error, ")) from error


class EndpointTextModel:
    """An endpoint as a model that answers with text; close it after use, or use it in a ``with`` statement.

    It decodes greedily as far as the server obeys. Unlike a model of the store it need not answer the same twice.
    """

    def __init__(self, name: str, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        import httpx

        self.where = f"endpoint:{name}"
        self.endpoint = endpoint
        self.identity = {"endpoint": name, "url": endpoint.url, "model": endpoint.model}
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {self._key()}"} if endpoint.key_file else {}
        self._client = httpx.Client(headers=headers, timeout=endpoint.seconds, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def answer(self, prompt: str, *, tokens: int) -> str:
        """At most so many tokens.

        Raises
        ------
        ModelError
            If after three tries nobody answered, or the answer is a refusal or no chat completion.
        """
        asked = {
            "model": self.endpoint.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "temperature": 0,
            "seed": 0,
        }
        answer = self._ask(asked)
        try:
            content: Any = answer.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            content = None
        if not isinstance(content, str):
            raise ModelError(self.where, "answered in another form", "a chat completion with a message")
        return content

    def _ask(self, asked: dict[str, Any]) -> httpx.Response:
        import httpx

        trouble = ""
        for pause in (0.0, *PAUSES):
            if pause:
                self._sleep(pause)
            try:
                answer = self._client.post(f"{self.endpoint.url}/chat/completions", json=asked)
            except httpx.HTTPError as error:
                trouble = f"did not answer ({str(error) or type(error).__name__})"
                continue
            if answer.status_code == httpx.codes.OK:
                return answer
            trouble = f"answered {answer.status_code} {answer.reason_phrase}"
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS and answer.status_code < 500:
                break
        raise ModelError(self.where, trouble, "an OpenAI-compatible server")

    def _key(self) -> str:
        try:
            key = Path(self.endpoint.key_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(self.where, f"its key_file cannot be read ({error})", "a file with the key") from error
        if not key or not key.isprintable() or not key.isascii():
            raise ModelError(self.where, "its key_file holds no key", "one line")
        return key
