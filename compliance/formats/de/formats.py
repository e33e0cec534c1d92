"""German pages write numbers as reports do: two readers of one record see the same digits and the same point."""

from __future__ import annotations

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = ","
