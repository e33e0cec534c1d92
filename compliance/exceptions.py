"""What can go wrong on the site, as one tree. Users see the message of these and nothing else.

ComplianceError
├── StateError        the record is not in a state that allows this (somebody else may have been faster)
│   └── OvertakenError   somebody else changed it since it was read
└── EvidenceError     somebody tried to change or delete what must stay, or it is not what was recorded
"""

from __future__ import annotations


class ComplianceError(Exception):
    """Root of every error the site raises on purpose. Its text is one line, fit to be shown."""


class StateError(ComplianceError):
    """The record is not in a state that allows this."""


class OvertakenError(StateError):
    """Somebody else changed the record since it was read."""


class EvidenceError(ComplianceError):
    """Evidence cannot be changed or deleted, and is shown only as it was recorded."""
