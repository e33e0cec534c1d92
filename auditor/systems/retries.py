"""What an HTTP status means for the next try, and how long to wait before it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Busy, or broken for the moment.
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Full jitter: a wait drawn evenly from zero to a ceiling that doubles with each try.

    Attributes
    ----------
    tries
        How often one request is sent at most.
    first, longest
        Seconds: the ceiling of the first wait, and of any.
    seed
        The same seed, request and try give the same wait.
    """

    tries: int = 6
    first: float = 1.0
    longest: float = 60.0
    seed: int = 0

    def wait(self, key: str, failed: int) -> float:
        """Seconds before the next try of a request that failed so many times, at least once."""
        ceiling = min(self.longest, self.first * 2.0 ** min(failed - 1, 60))
        return random.Random(f"{self.seed}:{key}:{failed}").uniform(0.0, ceiling)


def retry_after(text: str | None, *, now: datetime) -> float | None:
    """Seconds that ``Retry-After`` asks for; ``None`` if it is not there or is neither a number nor a date.

    >>> retry_after("7", now=datetime(2026, 1, 1, tzinfo=UTC))
    7.0
    >>> retry_after("Thu, 01 Jan 2026 00:01:00 GMT", now=datetime(2026, 1, 1, tzinfo=UTC))
    60.0
    """
    if text is None:
        return None
    try:
        seconds = float(text.strip())
    except ValueError:
        try:
            date = parsedate_to_datetime(text.strip())
        except (ValueError, TypeError):
            return None
        seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
