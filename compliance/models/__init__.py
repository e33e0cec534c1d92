"""The rows: what was audited, how the run stands, what it found, and what happened in which order."""

from compliance.models.audits import Audit, AuditChunk, ChunkState, Priority
from compliance.models.events import ChainHead, Event, EventPayload
from compliance.models.results import FindingRow, MeasurementRow
from compliance.models.versions import DataSetVersion, LanguageModelVersion, PlanVersion
from compliance.models.workers import Worker

__all__ = [
    "Audit",
    "AuditChunk",
    "ChainHead",
    "ChunkState",
    "DataSetVersion",
    "Event",
    "EventPayload",
    "FindingRow",
    "LanguageModelVersion",
    "MeasurementRow",
    "PlanVersion",
    "Priority",
    "Worker",
]
