"""The job of an audit: where its run stands. (The governance of an audit is another machine.)

    queued ──▶ running ──▶ done
      │ ▲         │ │
      │ │         │ └────▶ failed ──┐
      │ │         ▼                 │
      │ │     cancelling            │ resume: the unfinished chunks of the same run
      │ │         │                 │
      ▼ │         ▼                 │
     cancelled ◀──┘                 │
        │                           │
        └──────────▶ queued ◀───────┘

A run that lost its process stays *running* until somebody resumes it: only its chunks have leases. A cancelled or
failed run is incomplete: its chunks are kept, and it may be resumed. Only a done run has measurements.
"""

from __future__ import annotations

from django.db.models import TextChoices


class JobState(TextChoices):
    """Where a run stands."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    CANCELLING = "cancelling", "Stopping"
    CANCELLED = "cancelled", "Stopped"
    FAILED = "failed", "Failed"
    DONE = "done", "Done"

    @property
    def colour(self) -> str:
        """The name of the colour pages show it in; never the only sign of the state."""
        return COLOURS[self]

    @property
    def sources(self) -> frozenset[JobState]:
        """The states from which this one can be reached."""
        return frozenset(state for state, targets in TRANSITIONS.items() if self in targets)


COLOURS = {
    JobState.QUEUED: "grey",
    JobState.RUNNING: "blue",
    JobState.CANCELLING: "amber",
    JobState.CANCELLED: "amber",
    JobState.FAILED: "red",
    JobState.DONE: "green",
}

ACTIVE = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING})
TERMINAL = frozenset({JobState.DONE})
INCOMPLETE = frozenset(JobState) - TERMINAL

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.CANCELLING, JobState.FAILED, JobState.DONE}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.FAILED, JobState.DONE}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.DONE: frozenset(),
}
