"""Codes of an authenticator app: time-based one-time passwords (RFC 6238), SHA-1, six digits, thirty seconds.

These are the values every app takes. The functions are pure; what was used before, the row of the account keeps.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import struct
from urllib.parse import quote, urlencode

SECRET_BYTES = 20  # as RFC 4226 recommends
STEP_SECONDS = 30
DIGITS = 6
AHEAD = 1  # periods by which the clock of a device may differ
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 random bits: their hashes need no salt


def new_secret() -> str:
    """A secret to be shared with a device, in base 32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def code_of(secret: str, step: int, *, digits: int = DIGITS) -> str:
    """The code of a period.

    >>> code_of(base64.b32encode(b"12345678901234567890").decode(), 59 // 30, digits=8)
    '94287082'
    """
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    at = digest[-1] & 0x0F
    number = int(struct.unpack(">I", digest[at : at + 4])[0]) & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}}"


def matching_step(secret: str, code: str, *, now: float, after: int) -> int | None:
    """The period whose code this is, if it is about now and later than ``after``; else ``None``.

    Parameters
    ----------
    now
        Seconds since 1970.
    after
        The period of the newest code that was taken: a code works once.
    """
    told, here = "".join(code.split()), int(now) // STEP_SECONDS
    found = None
    for step in range(here - AHEAD, here + AHEAD + 1):  # all are compared: how long it takes tells nothing
        if hmac.compare_digest(code_of(secret, step).encode(), told.encode()) and step > after:
            found = step
    return found


def address_for_apps(secret: str, *, account: str, issuer: str) -> str:
    """What the picture holds that an app reads."""
    asked = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(f'{issuer}:{account}')}?{asked}"


def new_recovery_codes() -> list[str]:
    """Ten codes, each good for one login without the device."""
    return [_grouped(base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()) for _ in range(RECOVERY_CODES)]


def plain_code(code: str) -> str:
    """A recovery code as it is hashed, however it was typed."""
    return "".join(character for character in code.upper() if character.isalnum())


def _grouped(code: str) -> str:
    text = code.lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
