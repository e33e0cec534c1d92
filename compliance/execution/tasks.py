"""What Celery can be asked to do: thin, ids in, one call out."""

from __future__ import annotations

from compliance.celery import app
from compliance.execution import workers
from compliance.execution.dispatch import REAP, REGISTER, WORK_ON


@app.task(name=WORK_ON)
def work_on(audit: int) -> None:
    """A worker is called for an audit."""
    workers.work(audit)


@app.task(name=REGISTER)
def register(registration: int, left_behind: bool = False) -> None:
    """A worker is called for a registration. ``left_behind`` comes with messages of versions before 0.3 only."""
    workers.register(registration)


@app.task(name=REAP)
def reap() -> None:
    """Audits without a living worker are looked for, and workers called."""
    workers.reap()
