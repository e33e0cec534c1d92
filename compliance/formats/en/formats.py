"""The administration says days and times as every other page does."""

from __future__ import annotations

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i \\U\\T\\C"
