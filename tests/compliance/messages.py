"""The messages that workers are called by, kept instead of sent: tests of rows need no broker."""

from __future__ import annotations

from typing import Any

import pytest

from compliance.celery import app


def keep_messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Name of the task and key of the row of every call, in their order."""
    found: list[tuple[str, int]] = []

    def send(name: str, arguments: tuple[int], **_: Any) -> None:
        found.append((name, arguments[0]))

    monkeypatch.setattr(app, "send_task", send)
    return found
