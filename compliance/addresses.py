"""What stands for a row in an address."""

from __future__ import annotations

from django.urls import register_converter


class Key:
    """The number of a row: as many digits as every database keeps in one. A longer one is no address, so 404."""

    regex = "[0-9]{1,18}"

    def to_python(self, text: str) -> int:
        """As views take it."""
        return int(text)

    def to_url(self, key: int) -> str:
        """As it is written."""
        return str(key)


register_converter(Key, "key")
