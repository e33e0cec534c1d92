"""Keys: read where they are kept, shown nowhere, and taken out of whatever a server sends back."""

from __future__ import annotations

import base64
import json
import re
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
    """Takes keys out of texts, in the forms in which a server may echo them. Keys are added as they come up.

    Each mark of a key may stand for itself or be escaped, whatever the others are: servers escape some marks and not
    others, in JSON, in addresses, in HTML, and once more where an answer is quoted in another.
    """

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        self._mixed: dict[str, tuple[re.Pattern[str], re.Pattern[bytes]]] = {}
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
        mixed = "".join(_any_form(part) for part in re.findall(r"\\+|[^\\]", secret))
        with self._lock:
            self._mixed = {**self._mixed, secret: (re.compile(mixed), re.compile(mixed.encode()))}
            self._forms = tuple(sorted({*self._forms, *forms}, key=lambda form: (-len(form), form)))

    def text(self, text: str) -> str:
        """A text without keys."""
        for mixed, _ in self._mixed.values():
            text = mixed.sub(MARK, text)
        for form in self._forms:
            text = text.replace(form, MARK)
        return text

    def data(self, data: bytes) -> bytes:
        """Bytes without keys; bytes that hold none come back as they are."""
        if any(escape in data for escape in _ESCAPES):  # most answers hold none, and are many
            for _, mixed in self._mixed.values():
                data = mixed.sub(MARK.encode(), data)
        for form in self._forms:
            data = data.replace(form.encode(), MARK.encode())
        return data


_ESCAPES = (b"\\", b"%", b"&#")


def _any_form(mark: str) -> str:
    """A pattern for one mark of a key, itself or escaped. Repeats are bounded: a server may send a million of them.

    Backslashes in a row are one mark: each by itself, they could be shared out in too many ways.
    """
    if mark.startswith("\\"):
        one = r"(?:\\(?:(?:u00|x)5[cC])?|%(?:25){0,2}5[cC]|&#(?:0{0,4}92|[xX]0{0,4}5[cC]);?)"
        return f"{one}{{{len(mark)},{8 * len(mark)}}}"
    code, own = ord(mark), r"\\{0,4}" + re.escape(mark)
    in_hex = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{code:02x}")
    return rf"(?:{own}|\\{{1,4}}(?:u00|x){in_hex}|%(?:25){{0,2}}{in_hex}|&#(?:0{{0,4}}{code}|[xX]0{{0,4}}{in_hex});?)"
