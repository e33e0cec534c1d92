"""Where commands write."""

from __future__ import annotations

from collections.abc import Callable

from django.core.management.base import OutputWrapper

from compliance.shown import shown


class Lines(OutputWrapper):
    """Where a command writes: what others chose is shown, not obeyed."""

    def __init__(self, out: OutputWrapper) -> None:
        super().__init__(out)  # type: ignore[arg-type]

    def write(  # type: ignore[override]  # Django writes nothing back, where a stream says how much it wrote
        self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None
    ) -> None:
        """Write a text, or several lines."""
        super().write(shown(msg), style_func, ending)

    def exactly(self, text: str) -> None:
        """Write a text that programs read, as it is."""
        super().write(text, ending="")
