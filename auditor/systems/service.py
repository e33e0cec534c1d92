"""``service:NAME``: a decision service, any HTTP application that takes an application's fields and gives a decision.

Its steps are asked one after the other, each kept under a hash of its own. So an application that was handed in is not
handed in twice, whenever the run was stopped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Unpack

from auditor.exceptions import StorageError
from auditor.readouts.amount import read_amount
from auditor.readouts.choice import Choice, read_choice
from auditor.readouts.reading import ReadAnswer
from auditor.readouts.reasons import read_reasons
from auditor.systems.abilities import Abilities, Readout
from auditor.systems.asking import Finish, Response
from auditor.systems.conduct import Errand, HandledAnswer, Handling
from auditor.systems.exceptions import CannotAsk, Rejected, WireError
from auditor.systems.listed_system import ListedSystem, Opening
from auditor.systems.prices import MILLION
from auditor.systems.request_store import KeptAnswer
from auditor.systems.service_listing import Condition, ListedService, ServiceStep, WhereToRead
from auditor.systems.service_paths import scalar
from auditor.systems.service_templates import Value, fill, fill_path
from auditor.systems.statuses import judge_status, told_error
from auditor.systems.transport import Arrived, Outgoing
from auditor.systems.wire import read_json, twice

REPEATS = 5
WELL = frozenset({200, 201, 202, 203})


@dataclass(frozen=True, kw_only=True)
class ServiceRequest:
    """An application's fields; occasion and replicate keep answers apart and are not sent."""

    fields: Mapping[str, Value]
    occasion: str = "case"
    replicate: int = 0


@dataclass(frozen=True, kw_only=True)
class ServiceAnswer:
    """What a service decided; ``None`` for what it is not asked for.

    ``text``: the body of the last step's answer. ``keys``: the hash under which each step's is kept.
    """

    choice: ReadAnswer[Choice] | None
    amount: ReadAnswer[Decimal] | None
    reasons: ReadAnswer[tuple[str, ...]] | None
    text: str
    keys: tuple[str, ...] = ()


@dataclass
class _Under:
    """An application under way: what is known for its next step, and what its last step answered, not yet parsed.

    A chunk may be many applications, and an answer may be large: parsed answers are let go as soon as they are read.
    """

    request: ServiceRequest
    values: dict[str, Value]
    body: bytes = b""
    keys: list[str] = field(default_factory=list)
    refused: bool = False


class Service(ListedSystem[ListedService]):
    """A listed service.

    Parameters
    ----------
    name, listed
        As the file of systems has them.
    example
        Fields of a made-up application, with which abilities are probed.
    others
        See ``ListedSystem``.
    """

    def __init__(
        self,
        name: str,
        listed: ListedService,
        *,
        example: Mapping[str, Value],
        **others: Unpack[Opening],
    ) -> None:
        super().__init__(f"service:{name}", listed, **others)
        self._example = example
        self._places: dict[str, str] = {}
        """Where an application waits, by the hash of the request that asks there: the hash of the one before it."""
        self._price = int(Decimal(str(listed.prices.request)) * MILLION) if listed.prices else 0

    @property
    def identity(self) -> Mapping[str, Any]:
        """What is asked and how, as plain data without a key."""
        return {
            "service": self.source.partition(":")[2],
            "url": self._line.transport.pinned.address.url,
            "headers": sorted(self.listed.headers),
            "steps": [{"method": step.method, "path": step.path, "body": step.body} for step in self.listed.steps],
        }

    def probe(self) -> Abilities:
        """See ``System``: the example is handed in a few times."""
        read = self.listed.read
        answers = self.ask(
            [ServiceRequest(fields=self._example, occasion="probe", replicate=index) for index in range(REPEATS)]
        )
        said = Counter(
            tuple(part and part.value for part in (answer.choice, answer.amount, answer.reasons)) for answer in answers
        )
        paths = {Readout.CHOICE: read.choice, Readout.AMOUNT: read.amount, Readout.REASONS: read.reasons}
        lacking = {str(name): "no path is listed for it" for name, path in paths.items() if path is None}
        return Abilities(
            readouts=frozenset(name for name, path in paths.items() if path is not None),
            asked=len(answers),
            alike=said.most_common(1)[0][1],
            lacking={**lacking, "log_odds": "a service returns decisions, not log-probabilities"},
        )

    def ask(self, requests: Sequence[ServiceRequest]) -> list[ServiceAnswer]:
        """See ``System``: each step for all applications, before the next."""
        under = [_Under(request, dict(request.fields)) for request in requests]
        last = len(self.listed.steps) - 1
        for index, step in enumerate(self.listed.steps):
            going = [one for one in under if not one.refused]
            errands = [self._errand(one, index, step) for one in going]
            if step.until is not None:
                self._one_place_each(index, going, errands)
            # Two requests that are alike have one hash, and one answer.
            kept = self._asker.ask(
                errands, _judge(step, price=self._price, read=self.listed.read if index == last else None)
            )
            for one, answer in zip(going, kept, strict=True):
                self._take(one, step, answer)
        return [self._read(one) for one in under]

    def _one_place_each(self, index: int, going: Sequence[_Under], errands: Sequence[Errand]) -> None:
        """Refuse a service that has two applications wait at one place: they would be given one decision."""
        for one, errand in zip(going, errands, strict=True):
            if one.keys and self._places.setdefault(errand.key, one.keys[-1]) != one.keys[-1]:
                what = f"gave two applications one place to ask at (step {index + 1})"
                raise Rejected(self.source, f"{what}; nobody knows whose decision is there")

    def _errand(self, under: _Under, index: int, step: ServiceStep) -> Errand:
        try:
            path = fill_path(step.path, under.values)
            body = None if step.body is None else fill(step.body, under.values)
        except KeyError as error:
            raise CannotAsk(
                self.source, f"step {index + 1} asks for {error}, which the application does not have"
            ) from None
        except ValueError as error:
            raise CannotAsk(self.source, f"cannot be asked this ({error})") from None
        record = {
            "system": self.identity,
            "step": index,
            "path": path,
            "body": body,
            "occasion": under.request.occasion,
            "replicate": under.request.replicate,
        }
        return self.sealed(
            record,
            body,
            make=lambda content: Outgoing(method=step.method, path=path, headers=self._headers(), content=content),
            reserve=lambda _: self._price,
        )

    def _take(self, under: _Under, step: ServiceStep, kept: KeptAnswer) -> None:
        answer = self._parsed(kept.body)
        under.body = kept.body
        under.keys.append(kept.key)
        under.refused = step.refused_if is not None and step.refused_if.holds(answer)
        under.values |= {name: path.find(answer) for name, path in step.take.items()}

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            return read_json(body)
        except WireError as error:
            raise StorageError(f"{self.source}: a kept answer cannot be read ({error})") from error

    def _read(self, under: _Under) -> ServiceAnswer:
        read, answer = self.listed.read, self._parsed(under.body)
        found = read.choice.find(answer) if read.choice else None
        said = scalar(found)
        finish = Finish.REFUSED if under.refused or (said is not None and said in read.refused) else Finish.STOP
        return ServiceAnswer(
            choice=read_choice(Response(text=said or "", finish=finish), read.choice_grammar())
            if read.choice
            else None,
            amount=read_amount(_value(read.amount.find(answer), finish), read.amount_grammar())
            if read.amount
            else None,
            reasons=read_reasons(_value(read.reasons.find(answer), finish), read.reason_grammar())
            if read.reasons
            else None,
            text=under.body.decode("utf-8"),
            keys=tuple(under.keys),
        )

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self.listed.headers}
        return {**headers, **self._line.headers(header="Authorization", prefix="Bearer ")}


def _judge(step: ServiceStep, *, price: int, read: WhereToRead | None) -> Callable[[Errand, Arrived], HandledAnswer]:
    """``read``: of the last step, where the decision stands."""
    polls: Counter[str] = Counter()

    def judge(errand: Errand, answer: Arrived) -> HandledAnswer:
        if answer.status not in WELL:
            return judge_status(answer)
        try:
            content = _unambiguous(answer.body)
        except WireError as error:
            return HandledAnswer(Handling.AGAIN, str(error))
        refused, trouble = _holds(step.refused_if, content), _failed(step, content)
        if refused and _holds(step.failed_if, content):
            refused, trouble = False, "the service says both that it refused and that it failed"
        if not refused and not trouble and step.until is not None and not step.until.holds(content):
            polls[errand.key] += 1
            if polls[errand.key] < step.at_most:
                return HandledAnswer(Handling.LATER, "not ready yet", wait=step.every)
            trouble = f"not ready after {step.at_most} questions"
        if not refused and trouble:
            return HandledAnswer(Handling.AGAIN, trouble)
        if not refused and read is not None and content.get("error") and not _decides(read, content):
            return HandledAnswer(Handling.AGAIN, "an error and no decision", told_error(answer.body))
        return HandledAnswer(Handling.KEEP, cost=price)

    return judge


def _unambiguous(body: bytes) -> dict[str, Any]:
    content = read_json(body)
    if at := twice(content):
        raise WireError(f"{at} stands twice in the answer, with different values")
    return content


def _failed(step: ServiceStep, content: dict[str, Any]) -> str:
    """Why a whole answer is a failure; empty if it is none."""
    if step.failed_if is not None and step.failed_if.holds(content):
        return f"the service says it failed ({step.failed_if.path.text})"
    if step.until is not None and not step.until.holds(content):
        return ""
    # An empty one would ask at another place: at all applications, where one is meant.
    missing = [path.text for path in step.take.values() if not (scalar(path.find(content)) or "").strip()]
    return f"nothing to take at {missing[0]}" if missing else ""


def _holds(condition: Condition | None, content: dict[str, Any]) -> bool:
    return condition is not None and condition.holds(content)


def _decides(read: WhereToRead, content: dict[str, Any]) -> bool:
    """Whether anything stands where the decision is read."""
    return any(path is not None and path.find(content) is not None for path in (read.choice, read.amount, read.reasons))


def _value(found: Any, finish: Finish) -> Response:
    """A value as the object that a grammar with a key reads."""
    return Response(text=json.dumps({} if found is None else {"value": found}), finish=finish)
