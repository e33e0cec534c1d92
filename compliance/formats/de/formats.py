"""German pages write numbers as reports do: two readers of one record see the same digits and the same point."""

from __future__ import annotations

DATE_FORMAT = "j. M Y"
DATETIME_FORMAT = "j. M Y, H:i \\U\\T\\C"
DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = ","
