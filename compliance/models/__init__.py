"""The rows: what was audited, how the run stands, what it found, who may see it, and what happened in which order."""

from compliance.models.accounts import KeptForm, LockOut, SecondFactor, SignIn
from compliance.models.approvals import VersionDecision, VersionState
from compliance.models.audits import Audit, AuditChunk, ChunkState, Priority
from compliance.models.events import ChainHead, Event, EventPayload
from compliance.models.findings import FindingNote, FindingRecord, NotePurpose, Sighting
from compliance.models.notices import (
    DeliveryState,
    MailAddress,
    MailDelivery,
    Notice,
    NoticeChoice,
    NoticeCursor,
    Webhook,
    WebhookDelivery,
)
from compliance.models.packs import PolicyPackReview, PolicyPackVersion
from compliance.models.plans import PlanDecision, PlanDraft
from compliance.models.registrations import Registration, RegistrationState
from compliance.models.results import FindingRow, MeasurementRow
from compliance.models.schedules import AuditSchedule, Reminder, ScheduleState
from compliance.models.systems import SystemKey, SystemListing, SystemState
from compliance.models.teams import DEFAULT_TEAM, AccountLink, FirstRunLink, Membership, Release, Team, default_team
from compliance.models.versions import (
    Approval,
    DataSetVersion,
    DesignState,
    LanguageModel,
    LanguageModelVersion,
    PlanVersion,
)
from compliance.models.views import SavedView
from compliance.models.workers import Worker

__all__ = [
    "DEFAULT_TEAM",
    "AccountLink",
    "Approval",
    "Audit",
    "AuditChunk",
    "AuditSchedule",
    "ChainHead",
    "ChunkState",
    "DataSetVersion",
    "DeliveryState",
    "DesignState",
    "Event",
    "EventPayload",
    "FindingNote",
    "FindingRecord",
    "FindingRow",
    "FirstRunLink",
    "KeptForm",
    "LanguageModel",
    "LanguageModelVersion",
    "LockOut",
    "MailAddress",
    "MailDelivery",
    "MeasurementRow",
    "Membership",
    "NotePurpose",
    "Notice",
    "NoticeChoice",
    "NoticeCursor",
    "PlanDecision",
    "PlanDraft",
    "PlanVersion",
    "PolicyPackReview",
    "PolicyPackVersion",
    "Priority",
    "Registration",
    "RegistrationState",
    "Release",
    "Reminder",
    "SavedView",
    "ScheduleState",
    "SecondFactor",
    "Sighting",
    "SignIn",
    "SystemKey",
    "SystemListing",
    "SystemState",
    "Team",
    "VersionDecision",
    "VersionState",
    "Webhook",
    "WebhookDelivery",
    "Worker",
    "default_team",
]
