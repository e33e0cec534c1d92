"""Every change of state or evidence: one function, one guard, one event, one transaction."""

from compliance.actions.audits import (
    begin_audit,
    confirm_stopped,
    fail_audit,
    finish_audit,
    force_stop,
    freeze_audit,
    request_audit,
    retry_audit,
    start_ungoverned_audit,
    stop_audit,
)
from compliance.actions.registry import register_data, register_model, register_plan

__all__ = [
    "begin_audit",
    "confirm_stopped",
    "fail_audit",
    "finish_audit",
    "force_stop",
    "freeze_audit",
    "register_data",
    "register_model",
    "register_plan",
    "request_audit",
    "retry_audit",
    "start_ungoverned_audit",
    "stop_audit",
]
