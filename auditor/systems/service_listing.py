"""The table of a decision service: its steps, and where in the last answer the decision stands.

[service.origination]
url = "https://origination.example.internal/api"
key_file = "/run/secrets/origination"

[[service.origination.steps]]
path = "/applications"
body = {income = "{income}", purpose = "{loan_purpose}"}
take = {id = "$.application.id"}

[[service.origination.steps]]
method = "GET"
path = "/applications/{id}"
until = {path = "$.status", is = ["DONE"]}

[service.origination.read]
choice = "$.decision"
favourable = ["APPROVED"]
adverse = ["DECLINED"]
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from auditor.exceptions import ModelError
from auditor.readouts.amount import AmountGrammar
from auditor.readouts.choice import ChoiceGrammar
from auditor.readouts.reasons import ReasonGrammar
from auditor.systems.listing import Listed, ListedTable, one_line, read_tables
from auditor.systems.service_paths import JsonPath, parse_path, scalar
from auditor.systems.service_templates import Value, names

Place = Annotated[JsonPath, BeforeValidator(lambda text: parse_path(text) if isinstance(text, str) else text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]


class Condition(ListedTable):
    """Something that may hold of an answer: at the path stands one of these texts, or, without them, anything."""

    path: Place
    is_: Texts = Field(default=(), alias="is")

    def holds(self, answer: Any) -> bool:
        """Whether it does."""
        found = self.path.find(answer)
        if not self.is_:
            return found is not None
        return scalar(found) in self.is_


class ServiceStep(ListedTable):
    """One request. ``take``: values for later steps. ``until``: asked again, ``every`` so many seconds, until it holds,
    ``at_most`` so often. ``failed_if``, ``refused_if``: what the service says by its answer, not by its status."""

    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    path: str = ""
    body: dict[str, Any] | None = None
    take: dict[str, Place] = Field(default_factory=dict)
    until: Condition | None = None
    every: Annotated[float, Field(gt=0, le=3600)] = 1.0
    at_most: Annotated[int, Field(ge=1, le=3600)] = 60
    failed_if: Condition | None = None
    refused_if: Condition | None = None

    @field_validator("path")
    @classmethod
    def _stays_there(cls, path: str) -> str:
        if path and not path.startswith("/"):
            raise ValueError("expected a path that begins with /")
        return path

    @model_validator(mode="after")
    def _fits(self) -> ServiceStep:
        if self.method == "GET" and self.body is not None:
            raise ValueError("expected no body of a GET")
        list(names([self.path, self.body or {}]))
        return self

    def asks_for(self) -> set[str]:
        """Fields and taken values it needs."""
        return set(names([self.path, self.body or {}]))


class WhereToRead(ListedTable):
    """Where the decision stands in the last answer, and in which words."""

    choice: Place | None = None
    favourable: Texts = ()
    adverse: Texts = ()
    refused: Texts = ()
    amount: Place | None = None
    unit: str = ""
    marks: Texts = ()
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    least: float = 0.0
    most: float = 1e15
    reasons: Place | None = None
    codes: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> WhereToRead:
        if self.choice is None and self.amount is None:
            raise ValueError("expected a path for choice or amount")
        if self.amount is not None and not self.unit:
            raise ValueError("expected the unit of the amount")
        if self.choice is not None:
            self.choice_grammar()
        if self.amount is not None:
            self.amount_grammar()
        return self

    def choice_grammar(self) -> ChoiceGrammar:
        """For the text at ``choice``."""
        return ChoiceGrammar(favourable=self.favourable, adverse=self.adverse)

    def amount_grammar(self) -> AmountGrammar:
        """For the value at ``amount``."""
        return AmountGrammar(
            unit=self.unit,
            marks=self.marks,
            decimal=self.decimal,
            thousands=self.thousands,
            least=Decimal(str(self.least)),
            most=Decimal(str(self.most)),
            key="value",
        )

    def reason_grammar(self) -> ReasonGrammar:
        """For the value at ``reasons``."""
        return ReasonGrammar(codes=self.codes, key="value", most=100)


class ListedService(Listed):
    """``[service.NAME]``. ``example``: fields of a made-up application, which the probe hands in."""

    steps: Annotated[
        tuple[ServiceStep, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
    ]
    read: WhereToRead
    example: dict[str, Value] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _in_order(self) -> ListedService:
        if not self.steps:
            raise ValueError("expected at least one step")
        taken: set[str] = set()
        for step in self.steps:
            again = taken & step.take.keys()
            if again:
                raise ValueError(f"expected new names in take; {min(again)!r} was taken before")
            taken |= step.take.keys()
        return self

    def fields(self) -> set[str]:
        """The fields of an application that its steps ask for."""
        needed: set[str] = set()
        taken: set[str] = set()
        for step in self.steps:
            needed |= step.asks_for() - taken
            taken |= step.take.keys()
        return needed


def read_service(file: Path, name: str, *, fields: frozenset[str] | None = None) -> ListedService:
    """The service of this name.

    Parameters
    ----------
    file, name
        The file of systems and the table in it.
    fields
        Those the applications have; ``None``: not known yet.

    Raises
    ------
    ModelError
        If it is not listed, or not as it should be, or asks for a field the applications do not have.
    """
    where = f"{file.name}: service.{name}"
    try:
        listed = ListedService.model_validate(read_tables(file, "service", name))
    except ValidationError as error:
        raise one_line(error, where=where) from None
    unknown = sorted(listed.fields() - fields) if fields is not None else []
    if unknown:
        raise ModelError(
            f"{where}.steps", f"asks for {{{unknown[0]}}}, which is not a field", ", ".join(sorted(fields or ()))
        )
    return listed
