"""What an HTTP status means for the next try, and how long to wait before it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Busy, or changing at the moment.
_BUSY = frozenset({408, 409, 425, 429})
#: Of the server, and the same tomorrow: it does not know the method, or the version of HTTP.
_FOR_GOOD = frozenset({501, 505})


def passes(status: int) -> bool:
    """Whether a status may be another in a moment: busy, or broken, also by what stands before the server (520 to 599).

    >>> [status for status in (400, 408, 413, 429, 500, 501, 522) if passes(status)]
    [408, 429, 500, 522]
    """
    return status in _BUSY or (status >= 500 and status not in _FOR_GOOD)


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
    """Seconds that ``Retry-After`` asks for; ``None`` if it is not there or is neither a number nor a date to come.

    A server whose clock is behind names a moment that is over: that is no leave to ask again at once.

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
    return seconds if math.isfinite(seconds) and seconds > 0 else None
