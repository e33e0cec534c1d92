"""What an audit would cost, from a sample that takes a web request: prompts, tokens, minutes, memory.

A handful of applications are rendered and tokenised as the run will do it, and counted up. Nothing here loads torch.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from auditor.applications import Applications
from auditor.counterfactuals import make_clusters, select
from auditor.decision_sources import is_decision_file
from auditor.exceptions import DataError, InputError
from auditor.model_manifest import ModelManifest, SystemIdentity
from auditor.plan import Plan
from compliance.audits.asked_estimates import AskedEstimate, asked_estimate, clusters_for, listed_table
from compliance.audits.binding import bound_plan
from compliance.audits.describing_notes import describing_notes
from compliance.audits.pace import Pace, pace_of
from compliance.execution.job import JobState
from compliance.models import Audit, AuditChunk, ChunkState, DataSetVersion, LanguageModelVersion, PlanVersion
from compliance.plans.counting import NOT_COUNTED, count
from compliance.registry.keeping import kept
from reports.labels import labels_of_tests

SAMPLE = 12
NOT_KEPT = gettext_noop(
    "No quick sample of these data is kept: they are large, or came before samples did. The worker counts them."
)
CHUNKS = 24
RUNS = 5
BATCH = 50
SCORING = ("shared", "unshared", "asked", "drift")
WEIGHTS = ("shared", "unshared")
#: Where nothing was measured yet: 450 tokens a second for 135 million parameters on two cores (docs/performance.md).
STATED_PARAMETERS_A_SECOND = 450 * 135e6
BYTES_A_PARAMETER = 4
BYTES_BESIDE = 1.3e9


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """About how much work an audit is. ``problem`` says in one line why it cannot be estimated.

    ``fits`` is false if plan and data do not fit together: such an audit cannot be run and is not started.

    ``seconds`` of scoring, and of the tests on internals where a run of this design was finished before; else those
    tests are ``uncounted``. ``low`` and ``high`` are the range that the chunks and runs it rests on would give, and
    ``basis`` names them. ``measured`` if the rate comes from earlier runs of the same model, or from the probe of a
    system that answers, of which ``asked`` says what asking comes to; ``memory`` in bytes.
    """

    prompts: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    measured: bool = False
    basis: str = ""
    memory: float | None = None
    uncounted: tuple[str, ...] = ()
    problem: str = ""
    fits: bool = True
    asked: AskedEstimate | None = None

    @property
    def minutes(self) -> float | None:
        """Minutes of work."""
        return None if self.seconds is None else self.seconds / 60

    @property
    def minutes_words(self) -> str:
        """Minutes to one digit; a dash where they are not known."""
        if self.minutes is None:
            return "–"
        return "< 0.1" if self.minutes < 0.05 else f"{self.minutes:.1f}"

    @property
    def gibibytes(self) -> float | None:
        """Memory of one worker."""
        return None if self.memory is None else self.memory / 2**30


def estimate(*, plan: PlanVersion, model: LanguageModelVersion, data: DataSetVersion) -> Estimate:
    """Estimate an audit; whatever does not fit together is found out here or, at the latest, when it is prepared."""
    if is_decision_file(model.source):
        return _of_decisions(plan=plan, model=model, data=data)
    identity = system_of(model)
    if identity is not None:
        return _of_a_system(identity, plan=plan, model=model, data=data)
    learnt = learnt_pace(model)
    parameters = _parameters(model)
    memory = parameters * BYTES_A_PARAMETER + BYTES_BESIDE if parameters else None
    applications = kept(data)
    if applications is None:
        return Estimate(memory=memory, problem=_(NOT_KEPT))
    try:
        bound = bound_plan(plan, model=model, data=data)
        prompts, tokens, longest = _sample(bound, model, applications, where=str(plan))
        team = model.language_model.team_id
        described = describing_notes(bound, team_id=team, characters=longest, where=str(plan))
    except InputError as error:
        return Estimate(memory=memory, problem=str(error), fits=False)
    silent = tokens is None and tokenizer_file(model) is not None
    known = tokens if learnt is not None and tokens else None
    from auditor.catalogue import on_outputs

    inside = tuple(labels_of_tests().get(name, name) for name in bound.tests.run if not on_outputs(name))
    spent = seconds_inside(plan) if inside else Inside(seconds=0.0, low=0.0, high=0.0, runs=0)
    scored = None if known is None or learnt is None else learnt.over(known)
    beside = spent or Inside(seconds=0.0, low=0.0, high=0.0, runs=0)
    seconds, low, high = (
        (None, None, None)
        if scored is None
        else (scored[0] + beside.seconds, scored[1] + beside.low, scored[2] + beside.high)
    )
    return Estimate(
        prompts=prompts,
        tokens=tokens,
        seconds=seconds,
        low=low if learnt is not None and learnt.chunks else None,
        high=high if learnt is not None and learnt.chunks else None,
        measured=learnt is not None and learnt.own,
        basis=_basis(learnt, beside) if seconds is not None else "",
        memory=memory,
        uncounted=inside if spent is None else (),
        problem="; ".join([*([_(NOT_COUNTED)] if silent else []), *described]),
    )


def _of_decisions(*, plan: PlanVersion, model: LanguageModelVersion, data: DataSetVersion) -> Estimate:
    """Nobody is asked; what can be said before the file is read is whether all three belong together."""
    try:
        bound = bound_plan(plan, model=model, data=data)
        if model.sha256 != data.fingerprint:
            what = "is audited by its own decisions, and another data set is chosen"
            raise DataError(model.source, what, f"the data set with fingerprint {model.sha256[:12]}")
        protected = [item["name"] for item in data.mapping["fields"] if item["role"] == "protected"]
        likely = [item["attribute"] for item in data.mapping.get("decisions", {}).get("probabilities", ())]
        for attribute in bound.attributes:
            if attribute.field not in (*protected, *likely):
                what = f"{attribute.field!r} is not a protected field of the decision file"
                raise DataError(f"{plan}: attributes", what, f"one of: {', '.join(protected)}")
    except InputError as error:
        return Estimate(problem=str(error), fits=False)
    return Estimate(prompts=0, tokens=0)


def system_of(model: LanguageModelVersion) -> SystemIdentity | None:
    """What a version is if it is a system that answers; ``None`` for weights, and for a manifest nobody can read."""
    try:
        return model.described.identity.system
    except InputError:
        return None


def _of_a_system(
    identity: SystemIdentity, *, plan: PlanVersion, model: LanguageModelVersion, data: DataSetVersion
) -> Estimate:
    try:
        table = listed_table(model)  # first: what is withdrawn is not estimated, whatever is kept of the data
        applications = kept(data)
        if applications is None:
            return Estimate(problem=_(NOT_KEPT))
        bound = bound_plan(plan, model=model, data=data)
        chosen = select(bound, applications, seen=frozenset(), where=str(plan)).records
        clusters = clusters_for(bound, identity, applications, chosen[:SAMPLE], where=str(plan))
        asked = asked_estimate(bound, model.described, identity, table, clusters, chosen=len(chosen), where=str(plan))
    except InputError as error:
        return Estimate(problem=str(error), fits=False)
    minutes = asked.cost.minutes
    return Estimate(
        prompts=asked.questions,
        tokens=asked.tokens or None,
        seconds=None if minutes is None else minutes * 60,
        measured=minutes is not None,
        problem="; ".join(asked.notes),
        asked=asked,
    )


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Seconds that the tests on internals took in the newest finished run of a design, and the range over ``runs``."""

    seconds: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """Seconds a token of scoring: what ``chunks`` of this installation took, of the model itself (``own``) or of others
    in proportion to parameters; without any chunk, what is stated.
    """

    pace: Pace
    chunks: int
    own: bool

    def over(self, tokens: int) -> tuple[float, float, float]:
        """Seconds of so many tokens: about, at least, at most."""
        return self.pace.middle * tokens, self.pace.low * tokens, self.pace.high * tokens


def seconds_inside(plan: PlanVersion) -> Inside | None:
    """What the tests on internals took in the newest finished runs of this design; ``None`` if there was none."""
    runs = Audit.objects.filter(plan__design_sha256=plan.design_sha256, state=JobState.DONE).order_by("-serial")
    keys = list(runs.values_list("pk", flat=True)[:RUNS])
    if not keys:
        return None
    spent = dict.fromkeys(keys, 0.0)
    rows = AuditChunk.objects.filter(audit__in=keys, state=ChunkState.DONE).exclude(kind__in=SCORING)
    for key, result in rows.values_list("audit", "result").iterator(BATCH):
        spent[key] += _seconds(result)
    return Inside(seconds=spent[keys[0]], low=min(spent.values()), high=max(spent.values()), runs=len(keys))


def learnt_pace(model: LanguageModelVersion) -> Learnt | None:
    """How fast a model is scored: by its own runs here, else by those of others, else as stated for its size."""
    own = _rates(AuditChunk.objects.filter(audit__model=model))
    if own:
        return Learnt(pace=pace_of([rate for rate, _ in own]), chunks=len(own), own=True)
    parameters = _parameters(model)
    if not parameters:
        return None
    # Scoring costs a token in proportion to the parameters; tests on internals and systems that answer do not count.
    others = _rates(AuditChunk.objects.exclude(audit__model=model).filter(kind__in=WEIGHTS))
    sizes = LanguageModelVersion.objects.in_bulk({key for _, key in others})
    found = [rate / size * parameters for rate, key in others if (size := _parameters(sizes[key]))]
    if found:
        return Learnt(pace=pace_of(found), chunks=len(found), own=False)
    stated = parameters / STATED_PARAMETERS_A_SECOND
    return Learnt(pace=Pace(middle=stated, low=stated, high=stated, chunks=0), chunks=0, own=False)


def _rates(chunks: QuerySet[AuditChunk]) -> list[tuple[float, int]]:
    """Seconds a token of the newest scored chunks among these, each with the key of its model."""
    # Scoring alone: tests on internals state their tokens by estimate.
    done = chunks.filter(state=ChunkState.DONE, kind__in=SCORING, tokens__gt=0).order_by("-audit__serial", "-index")
    rows = done.values_list("tokens", "audit__model", "result")[:CHUNKS]
    timed = [(_seconds(result) / tokens, key) for tokens, key, result in rows]
    return [(rate, key) for rate, key in timed if rate > 0]


def _basis(learnt: Learnt | None, inside: Inside) -> str:
    """What an estimate rests on, in words."""
    if learnt is None:
        return ""
    if not learnt.chunks:
        words = _("stated rate, two cores: nothing was finished here yet")
    else:
        line = (
            ngettext("{count} chunk of this model here", "{count} chunks of this model here", learnt.chunks)
            if learnt.own
            else ngettext(
                "{count} chunk of other models, by their size here",
                "{count} chunks of other models, by their size here",
                learnt.chunks,
            )
        )
        words = line.format(count=learnt.chunks)
    if not inside.runs:
        return words
    line = ngettext(
        "{words}; tests on internals as in {count} run of this design",
        "{words}; tests on internals as in {count} runs of this design",
        inside.runs,
    )
    return line.format(words=words, count=inside.runs)


def _seconds(result: bytes | memoryview | None) -> float:
    if result is None:
        return 0.0  # of a chunk that is not done
    return float(json.loads(zlib.decompress(result)).get("seconds", 0.0))


def _parameters(model: LanguageModelVersion) -> int:
    """Parameters of a model; for an adapter those of its base, 0 where the manifest does not say."""
    seen = set()
    try:
        manifest: ModelManifest | None = model.described
        while manifest is not None:
            if count := manifest.identity.parameters:
                return count
            base = manifest.identity.base_sha256
            if not base or base in seen:
                return 0
            seen.add(base)
            manifest = _manifest(base)
    except InputError:  # a manifest of another version says nothing here; the page still estimates the rest
        return 0
    return 0


def misfit(*, plan: PlanVersion, model: LanguageModelVersion, data: DataSetVersion) -> str:
    """The line that says why plan and data do not fit together; empty if they do, or nobody can tell here."""
    found = estimate(plan=plan, model=model, data=data)
    return "" if found.fits else found.problem


def _sample(
    plan: Plan, model: LanguageModelVersion, applications: Applications, *, where: str
) -> tuple[int, int | None, int]:
    """Prompts and distinct tokens, counted up from the first applications; characters of the longest."""
    chosen = select(plan, applications, seen=frozenset(), where=where).records
    clusters = make_clusters(plan, applications, chosen[:SAMPLE], chat=None, where=where)
    share = len(chosen) / len(clusters)
    again = min(plan.noise.reask, len(chosen))
    prompts = round(sum(len(cluster.cases) for cluster in clusters) * share) + again
    longest = max((len(case.prompt) for cluster in clusters for case in cluster.cases), default=0)
    path = tokenizer_file(model)
    if path is None:
        return prompts, None, longest
    answers = (*plan.prompt.answers.favourable, *plan.prompt.answers.adverse)
    groups = [[case.prompt + answer for case in cluster.cases for answer in answers] for cluster in clusters]
    counts = count(path, groups=groups, texts=[cluster.cases[0].prompt for cluster in clusters])
    if counts is None:
        return prompts, None, longest
    return prompts, round(sum(counts.distinct) * share) + again * max(counts.lengths), longest


def tokenizer_file(model: LanguageModelVersion) -> Path | None:
    """Where the tokenizer of a stored model is, its base's for an adapter; ``None`` if it is not on this machine."""
    folder: Path | None = _folder(model.sha256)
    while folder is not None and not (folder / "tokenizer.json").is_file():
        manifest = _manifest(folder.name)
        base = manifest.identity.base_sha256 if manifest is not None else None
        folder = _folder(base) if base else None
    return folder / "tokenizer.json" if folder else None


def _folder(sha256: str) -> Path:
    return Path(settings.MODEL_FOLDER) / "models" / sha256


def _manifest(sha256: str) -> ModelManifest | None:
    path = _folder(sha256) / "manifest.json"
    return ModelManifest.read(path.read_bytes(), where=str(path)) if path.is_file() else None
