"""Every change of state or evidence: one function, one guard, one event, one transaction."""

from compliance.actions.audits import (
    begin_audit,
    confirm_stopped,
    fail_audit,
    finish_audit,
    start_ungoverned_audit,
    stop_audit,
)
from compliance.actions.packs import load_shipped_packs, review_pack
from compliance.actions.people import (
    add_member,
    become_first_administrator,
    name_team,
    release_audit,
    remove_member,
    withdraw_release,
)
from compliance.actions.registrations import (
    begin_registration,
    fail_registration,
    finish_registration,
    keep_mapping,
    keep_upload,
    note_received,
    request_model,
    request_upload,
    try_again,
)
from compliance.actions.registry import (
    decide_on_language_model,
    describe_language_model,
    open_language_model,
    register_data,
    register_model,
    register_plan,
)

__all__ = [
    "add_member",
    "become_first_administrator",
    "begin_audit",
    "begin_registration",
    "confirm_stopped",
    "decide_on_language_model",
    "describe_language_model",
    "fail_audit",
    "fail_registration",
    "finish_audit",
    "finish_registration",
    "keep_mapping",
    "keep_upload",
    "load_shipped_packs",
    "name_team",
    "note_received",
    "open_language_model",
    "register_data",
    "register_model",
    "register_plan",
    "release_audit",
    "remove_member",
    "request_model",
    "request_upload",
    "review_pack",
    "start_ungoverned_audit",
    "stop_audit",
    "try_again",
    "withdraw_release",
]
