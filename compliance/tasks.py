"""What Celery can be asked to do: thin, ids in, one call out."""

from __future__ import annotations

from compliance import workers
from compliance.celery import app


@app.task(name="compliance.work_on")
def work_on(audit: int) -> None:
    """A worker is called for an audit."""
    workers.work(audit)


@app.task(name="compliance.register")
def register(registration: int, left_behind: bool = False) -> None:
    """A worker is called for a registration. ``left_behind`` comes with messages of versions before 0.3 only."""
    workers.register(registration)


@app.task(name="compliance.reap")
def reap() -> None:
    """Audits without a living worker are looked for, and workers called."""
    workers.reap()
