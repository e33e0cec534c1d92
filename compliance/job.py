"""The job of an audit: where its run stands. (The governance of an audit is another machine.)

    requested ─▶ queued ──▶ running ──▶ done
      │ ▲ │       │ ▲         │ │
      │ │ │       │ │         │ └────▶ failed ──┐
      │ │ └───────┼─┼─────────┼──────▶   │      │
      │ │         │ │         ▼          │      │ resume: the unfinished chunks of the same run,
      │ │         │ │     cancelling     │      │ or its preparation if it was not frozen yet
      │ │         │ │         │          │      │
      ▼ │         ▼ │         ▼          │      │
     cancelled ◀────┴───◀─────┘          │      │
        │                                │      │
        └──────────▶ requested, queued ◀─┴──────┘

*Requested*: somebody asked for it on the site; a worker prepares and freezes it, then it is *queued*. The command line
freezes first and starts at *queued*. A run whose process was lost stays *running*: its chunks have leases, and the
reaper calls another worker. A cancelled or failed run is incomplete: its chunks are kept, and it may be resumed. Only a
done run has measurements.
"""

from __future__ import annotations

from django.db.models import TextChoices


class JobState(TextChoices):
    """Where a run stands."""

    REQUESTED = "requested", "Requested"
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
    JobState.REQUESTED: "grey",
    JobState.QUEUED: "grey",
    JobState.RUNNING: "blue",
    JobState.CANCELLING: "amber",
    JobState.CANCELLED: "amber",
    JobState.FAILED: "red",
    JobState.DONE: "green",
}

#: Nobody works on it yet; a stop takes effect at once.
WAITING = frozenset({JobState.REQUESTED, JobState.QUEUED})
#: A worker that is called may work on it.
WORKABLE = WAITING | {JobState.RUNNING}
ACTIVE = WORKABLE | {JobState.CANCELLING}
RESUMABLE = frozenset({JobState.CANCELLED, JobState.FAILED})
TERMINAL = frozenset({JobState.DONE})
INCOMPLETE = frozenset(JobState) - TERMINAL

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.REQUESTED: frozenset({JobState.QUEUED, JobState.CANCELLED, JobState.FAILED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.CANCELLING, JobState.FAILED, JobState.DONE}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.FAILED, JobState.DONE}),
    JobState.CANCELLED: frozenset({JobState.REQUESTED, JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.REQUESTED, JobState.QUEUED}),
    JobState.DONE: frozenset(),
}
