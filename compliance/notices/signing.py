"""What a webhook's request carries, so that its receiver knows who sent it and whether it came before."""

from __future__ import annotations

import hashlib
import hmac

DELIVERY, TIMESTAMP, SIGNATURE = "Plumbline-Delivery", "Plumbline-Timestamp", "Plumbline-Signature"


def signature(secret: str, *, timestamp: str, body: bytes) -> str:
    """``v1=`` and the HMAC-SHA256, in hexadecimal, over the timestamp, a full stop and the body."""
    signed = timestamp.encode() + b"." + body
    return f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def headers(secret: str, *, delivery: str, timestamp: str, body: bytes) -> dict[str, str]:
    """The headers of one attempt. ``delivery`` is the same at every attempt, ``timestamp`` is seconds since 1970."""
    return {
        "Content-Type": "application/json",
        DELIVERY: delivery,
        TIMESTAMP: timestamp,
        SIGNATURE: signature(secret, timestamp=timestamp, body=body),
    }
