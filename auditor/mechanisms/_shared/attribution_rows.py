"""What every field did to the decision of an application, as rows. Needs no torch."""

from __future__ import annotations

from auditor.testing.rows import Row


class Reference(Row):
    """What an application is compared with: by name, and the words every field changes to."""

    name: str
    words: dict[str, str]


class Attributed(Row):
    """One application.

    Attributes
    ----------
    id
        The application's.
    margin
        As filed, in nats.
    values
        In nats, by method and player; a player that could not be compared or did not play has none.
    """

    id: str
    margin: float
    values: dict[str, dict[str, float]]
