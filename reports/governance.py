"""The governance record of an audit: who asked for what, when, and under which rules. A report prints it."""

from __future__ import annotations

from auditor.hashed import Hashed

COMPLETE = "complete"


class DesignApproval(Hashed):
    """Who approved the design, when and why."""

    by: str
    at: str | None = None
    reason: str = ""


class Signature(Hashed):
    """A person who signed that they have read the evidence."""

    name: str = ""
    role: str = ""
    meaning: str = ""
    signed_at: str | None = None


class Governance(Hashed):
    """``audit`` of ``result.json``.

    Attributes
    ----------
    audit_id, title
        Its number in the register, and the title of its plan.
    governed
        Whether a second person had approved the design before the run was asked for.
    status
        ``complete`` once all of it was scored and concluded.
    started_at, finished_at
        Times (ISO 8601, UTC).
    requested_by, command
        Who asked for it, and the command that repeats it.
    design_approval
        ``None`` for an ungoverned run.
    runs_on_this_model
        How many runs the register holds on this model, failed and withdrawn ones included.
    events_head
        The head of the event chain when the report was set.
    signatures
        Who signed.
    """

    audit_id: str
    title: str
    governed: bool
    status: str
    started_at: str | None = None
    finished_at: str | None = None
    requested_by: str | None = None
    design_approval: DesignApproval | None = None
    command: str | None = None
    runs_on_this_model: int | None = None
    events_head: str | None = None
    signatures: tuple[Signature, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all of it was scored and concluded."""
        return self.status == COMPLETE
