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

    running ──▶ paused ──▶ queued: the system that is asked does not answer or refuses, or a cap is reached; resume

*Requested*: somebody asked for it on the site; a worker prepares and freezes it, then it is *queued*. The command line
freezes first and starts at *queued*. A run whose process was lost stays *running*: its chunks have leases, and the
reaper enqueues it again. A cancelled, paused or failed run is incomplete: its chunks are kept, and it may be
resumed. Only a done run has measurements.

A stop is final: from *cancelling* and *cancelled* no worker leads anywhere but to the end, whatever it was doing when
somebody pressed the button. What leads back is a person who asks to go on.
"""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class JobState(TextChoices):
    """Where a run stands."""

    REQUESTED = "requested", _("Requested")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    CANCELLING = "cancelling", _("Stopping")
    CANCELLED = "cancelled", _("Stopped")
    PAUSED = "paused", _("Paused")
    FAILED = "failed", _("Failed")
    DONE = "done", _("Done")

    @property
    def colour(self) -> str:
        """The name of the colour pages show it in; never the only sign of the state."""
        return COLOURS[self]

    @property
    def sources(self) -> frozenset[JobState]:
        """The states from which work leads to this one; out of a stop or a failure only ``RESUMABLE`` does."""
        return frozenset(s for s, targets in TRANSITIONS.items() if self in targets and s not in RESUMABLE)


COLOURS = {
    JobState.REQUESTED: "grey",
    JobState.QUEUED: "grey",
    JobState.RUNNING: "blue",
    JobState.CANCELLING: "amber",
    JobState.CANCELLED: "amber",
    JobState.PAUSED: "amber",
    JobState.FAILED: "red",
    JobState.DONE: "green",
}

#: Nobody scores anything of it yet; a stop takes effect at once.
WAITING = frozenset({JobState.REQUESTED, JobState.QUEUED})
#: A worker may work on it.
WORKABLE = WAITING | {JobState.RUNNING}
ACTIVE = WORKABLE | {JobState.CANCELLING}
#: A person may ask to go on; nobody else leads out of these.
RESUMABLE = frozenset({JobState.CANCELLED, JobState.PAUSED, JobState.FAILED})
TERMINAL = frozenset({JobState.DONE})
INCOMPLETE = frozenset(JobState) - TERMINAL

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.REQUESTED: frozenset({JobState.QUEUED, JobState.CANCELLED, JobState.FAILED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.CANCELLING, JobState.PAUSED, JobState.FAILED, JobState.DONE}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.FAILED}),
    JobState.CANCELLED: frozenset({JobState.REQUESTED, JobState.QUEUED}),
    JobState.PAUSED: frozenset({JobState.REQUESTED, JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.REQUESTED, JobState.QUEUED}),
    JobState.DONE: frozenset(),
}
