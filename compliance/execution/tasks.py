"""What Celery can be asked to do: thin, ids in, one call out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from compliance.celery import app
from compliance.execution import notifying, workers
from compliance.execution.dispatch import NOTIFY, REAP, REGISTER, WORK_ON

Work = TypeVar("Work", bound=Callable[..., None])


def _task(name: str) -> Callable[[Work], Work]:
    """What makes a function a task. Celery has no types; here it gets one."""
    made: Callable[[Work], Work] = app.task(name=name)
    return made


@_task(WORK_ON)
def work_on(audit: int) -> None:
    """An audit was enqueued."""
    workers.work(audit)


@_task(REGISTER)
def register(registration: int, left_behind: bool = False) -> None:
    """A registration was enqueued. ``left_behind`` comes with messages of versions before 0.3 only."""
    workers.register(registration)


@_task(REAP)
def reap() -> None:
    """Audits without a living worker are looked for and enqueued."""
    workers.reap()


@_task(NOTIFY)
def notify() -> None:
    """People are told of what happened, and what waits to arrive elsewhere is sent."""
    notifying.notify()
