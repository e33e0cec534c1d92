"""``endpoint:NAME``: a language model behind a listed address, asked in its dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack
from urllib.parse import urlencode

from auditor.exceptions import StorageError
from auditor.systems.abilities import Abilities
from auditor.systems.asking import Finish, Request, Response, Usage
from auditor.systems.conduct import Errand, HandledAnswer, Handling
from auditor.systems.dialects import DIALECTS
from auditor.systems.exceptions import WireError
from auditor.systems.listed_system import ListedSystem, Opening
from auditor.systems.listing import ListedEndpoint
from auditor.systems.prices import CostEstimate, MeasuredUse, Prices, estimate
from auditor.systems.probe import plain, probe
from auditor.systems.request_store import KeptAnswer
from auditor.systems.statuses import filtered, judge_status, told_error
from auditor.systems.transport import Arrived, Outgoing
from auditor.systems.wire import read_json


def body_of(listed: ListedEndpoint, request: Request) -> dict[str, Any]:
    """The body in which a listed endpoint is asked something, as JSON.

    Raises
    ------
    CannotAsk
        If its dialect has no words for it.
    """
    extra = {**listed.extra, **dict.fromkeys(listed.without)}
    return DIALECTS[listed.dialect].write(request, model=listed.model, extra=extra)


class EndpointSystem(ListedSystem[ListedEndpoint]):
    """A listed endpoint.

    Parameters
    ----------
    name, listed
        As the file of systems has them.
    others
        See ``ListedSystem``.
    """

    def __init__(
        self,
        name: str,
        listed: ListedEndpoint,
        **others: Unpack[Opening],
    ) -> None:
        super().__init__(f"endpoint:{name}", listed, **others)
        self.dialect = DIALECTS[listed.dialect]
        self.prices = Prices() if listed.prices is None else listed.prices.prices()
        query = urlencode(listed.query)
        self._path = self.dialect.path + (f"?{query}" if query else "")

    @property
    def identity(self) -> Mapping[str, Any]:
        """What is asked and how, as plain data without a key."""
        return {
            "endpoint": self.source.partition(":")[2],
            "dialect": self.dialect.name,
            "url": self._line.transport.pinned.address.url,
            "query": dict(sorted(self.listed.query.items())),
            "model": self.listed.model,
            "headers": sorted(self.listed.headers),
            "extra": dict(sorted(self.listed.extra.items())),
            "without": sorted(self.listed.without),
        }

    def probe(self) -> Abilities:
        """See ``System``."""
        return probe(self.ask, self.dialect)

    def estimate(self, lengths: Sequence[int], *, max_tokens: int, replicates: int) -> CostEstimate:
        """What a run comes to, before it starts; by what the probe showed, if there was one. Asks nothing.

        Parameters
        ----------
        lengths
            Characters of each prompt, the system prompt with them.
        max_tokens, replicates
            The longest answer, and how often each prompt is asked.
        """
        return estimate(
            lengths,
            max_tokens=max_tokens,
            replicates=replicates,
            prices=self.prices,
            measured=self.measured(),
            concurrency=self.conduct.concurrency,
            a_second=self.conduct.a_second,
        )

    def measured(self) -> MeasuredUse | None:
        """What the probe's plain questions took; ``None`` before it. Asks nothing."""
        requests = plain(self.dialect)
        kept = self.store.kept(self.errand(request).key for request in requests)
        answers = [self.read(requests[0], answer) for answer in kept.values()]
        seconds = self.store.seconds()
        if not answers or seconds is None:
            return None
        return MeasuredUse(
            characters=sum(len(requests[0].prompt) for answer in answers if answer.usage.prompt),
            prompt_tokens=sum(answer.usage.prompt or 0 for answer in answers),
            answers=sum(1 for answer in answers if answer.usage.answer),
            answer_tokens=sum(answer.usage.answer or 0 for answer in answers),
            seconds=seconds,
        )

    def ask(self, requests: Sequence[Request]) -> list[Response]:
        """See ``System``."""
        errands = [self.errand(request) for request in requests]
        asked = {errand.key: request for errand, request in zip(errands, requests, strict=True)}
        heard: dict[str, tuple[bytes, Response]] = {}

        def judge(errand: Errand, answer: Arrived) -> HandledAnswer:
            judged, response = self._judge(asked[errand.key], answer)
            if response is not None:
                heard[errand.key] = answer.body, response
            return judged

        answers = []
        for request, kept in zip(requests, self._asker.ask(errands, judge), strict=True):
            body, response = heard.get(kept.key, (None, None))
            # What was read to judge it need not be read again, unless another process kept its answer first.
            answers.append(response if response is not None and body is kept.body else self.read(request, kept))
        return answers

    def errand(self, request: Request) -> Errand:
        """A request as it goes out, with the hash it is kept under.

        Raises
        ------
        CannotAsk
            If the dialect has no words for it, or a field an administrator added is no plain JSON.
        """
        body = body_of(self.listed, request)
        record = {
            "system": self.identity,
            "body": body,
            "occasion": request.occasion,
            "replicate": request.replicate,
        }
        return self.sealed(
            record,
            body,
            make=lambda content: Outgoing(path=self._path, headers=self._headers(), content=content),
            reserve=lambda content: self.prices.most(characters=len(content), max_tokens=request.max_tokens),
        )

    def read(self, request: Request, kept: KeptAnswer) -> Response:
        """What a kept answer says.

        Raises
        ------
        StorageError
            If it is none that this dialect keeps: the store is of other code.
        """
        if kept.status != 200:
            return Response(finish=Finish.FILTERED, finish_said="content_filter", trouble="a content filter")
        try:
            return self.dialect.read(request, read_json(kept.body))
        except WireError as error:
            raise StorageError(f"{self.source}: a kept answer cannot be read ({error})") from error

    def _judge(self, request: Request, answer: Arrived) -> tuple[HandledAnswer, Response | None]:
        if filtered(answer):
            return HandledAnswer(Handling.KEEP), None
        if answer.status != 200:
            return judge_status(answer), None
        try:
            response = self.dialect.read(request, read_json(answer.body))
        except WireError as error:
            return HandledAnswer(Handling.AGAIN, str(error), told_error(answer.body)), None
        return HandledAnswer(Handling.KEEP, cost=self.prices.cost(_counted(response))), response

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", **self.dialect.headers, **self.listed.headers}
        return {**headers, **self._line.headers(header=self.dialect.key_header, prefix=self.dialect.key_prefix)}


def _counted(response: Response) -> Usage:
    """The tokens of an answer; a count of none where there were some is no count, and costs what was set aside."""
    usage = response.usage
    silent = not (response.text or response.thinking or response.refusal or response.tool)
    return Usage(usage.prompt or None, usage.answer if usage.answer or silent else None)
