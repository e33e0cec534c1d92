"""Keys: read where they are kept, shown nowhere, and taken out of whatever a server sends back."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, quote_plus

from auditor.exceptions import ModelError, reason_of

SHORTEST = 8
"""Characters. A shorter key would be found by chance in answers, and taken out of them."""
MARK = "[key]"


class Key:
    """A secret that no ``repr``, ``str``, format, pickle or comparison shows."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def reveal(self) -> str:
        """The secret, for the one header it goes into."""
        return self._secret

    def __repr__(self) -> str:
        return f"Key({MARK})"

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a key is not pickled")


class KeySource(Protocol):
    """Where a key is kept: a file here, the site's encrypted store elsewhere."""

    def key(self) -> Key:
        """The key.

        Raises
        ------
        ModelError
            If it cannot be had; the text holds nothing of it.
        """
        ...


def is_key(text: str) -> bool:
    """Whether a text can be a key: one line of ASCII without a space, long enough not to be met by chance."""
    return len(text) >= SHORTEST and text.isprintable() and text.isascii() and " " not in text


@dataclass(frozen=True)
class KeyFile:
    """A file with one line, the key."""

    path: Path
    where: str

    def key(self) -> Key:
        """The key, read anew."""
        try:
            text = self.path.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:  # its text would show bytes of the file
            raise ModelError(self.where, "its key_file holds no text", "a file with the key") from None
        except OSError as error:
            raise ModelError(
                self.where, f"its key_file cannot be read ({reason_of(error)})", "a file with the key"
            ) from None
        if not is_key(text):
            raise ModelError(self.where, "its key_file holds no key", f"one line of at least {SHORTEST} characters")
        return Key(text)


class Scrubber:
    """Takes keys out of texts, in the forms in which a server may echo them. Keys are added as they come up."""

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def add(self, key: Key, *, user: str = "") -> None:
        """Take this key out from now on; with ``user``, also the two as HTTP's basic scheme writes them.

        OAuth has both percent-encoded in it (RFC 6749, 2.3.1).
        """
        secret = key.reveal()
        pairs = (f"{user}:{secret}", f"{quote(user, safe='')}:{quote(secret, safe='')}") if user else ()
        basic = [base64.b64encode(pair.encode()).decode() for pair in pairs]
        encoded = base64.b64encode(secret.encode()).decode()
        json_forms = {
            json.dumps(secret)[1:-1],
            secret.replace("/", "\\/"),
            "".join(f"\\u{ord(mark):04x}" for mark in secret),
        }
        forms = {secret, quote(secret, safe=""), quote_plus(secret), encoded, encoded.rstrip("="), *json_forms, *basic}
        with self._lock:
            self._forms = tuple(sorted({*self._forms, *forms}, key=lambda form: (-len(form), form)))

    def text(self, text: str) -> str:
        """A text without keys."""
        for form in self._forms:
            text = text.replace(form, MARK)
        return text

    def data(self, data: bytes) -> bytes:
        """Bytes without keys; bytes that hold none come back as they are."""
        for form in self._forms:
            data = data.replace(form.encode(), MARK.encode())
        return data
