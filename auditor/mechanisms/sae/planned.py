"""What a run's dictionary follows from, frozen when the run is prepared: words, settings, text, hashes of files."""

from __future__ import annotations

import random
from pathlib import Path

from auditor.canonical import sha256_file
from auditor.exceptions import ModelError, PlanError, reason_of
from auditor.mechanisms.sae.declared import files_of
from auditor.mechanisms.sae.files import read_stored
from auditor.mechanisms.sae.places import expected_of, known_to_differ
from auditor.mechanisms.sae.rows import HELD_OUT, DictionaryApplication, DictionaryPayload
from auditor.mechanisms.sae.settings import SECTION, DictionarySettings, dictionary_settings
from auditor.testing.chunks import PlanContext


def dictionary_payload(asked: PlanContext) -> DictionaryPayload:
    """All that a run's dictionary follows from, beside the model: put it into every payload that needs the dictionary.

    Raises
    ------
    PlanError
        If a setting does not fit, or a file it names cannot be read.
    """
    settings = dictionary_settings(asked.plan)
    clusters = list(asked.clusters)
    random.Random(f"{asked.plan.cases.seed}/{SECTION}").shuffle(clusters)
    variants = tuple((item.field, group) for item in asked.plan.attributes for group in item.groups)
    applications: list[DictionaryApplication] = []
    tokens = 0
    for cluster in clusters:
        case = cluster.cases[0]
        earliest = min((case.spans[item.field][0] for item in asked.plan.attributes), default=0)
        whole = asked.count_tokens(case.prompt)
        tokens += whole + round(len(variants) * whole * (1 - earliest / max(1, len(case.prompt))))
        if tokens > settings.tokens and len(applications) >= HELD_OUT:
            break
        words = asked.words[cluster.application.id]
        own = {name: words[name] for name in asked.fields}
        applications.append(DictionaryApplication(id=cluster.application.id, words=own))
    return DictionaryPayload(
        settings=settings,
        seed=asked.plan.cases.seed,
        applications=tuple(applications),
        variants=variants,
        text=_text(settings),
        files=_files(settings, asked.plan.run.model),
    )


def dictionary_tokens(wanted: DictionaryPayload, asked: PlanContext) -> int:
    """An estimate of the tokens that reading and training cost, for the plan of a chunk."""
    settings = wanted.settings
    read = min(settings.tokens, sum(asked.count_tokens(cluster.cases[0].prompt) for cluster in asked.clusters))
    return read + (0 if settings.path else settings.steps * settings.batch // 50)


def _text(settings: DictionarySettings) -> str:
    if not settings.text:
        return ""
    where = f"settings.{SECTION}.text"
    try:
        with Path(settings.text).expanduser().open(encoding="utf-8") as file:
            # No tokenizer makes a token of more than a few dozen characters of ordinary text.
            return file.read(16 * settings.text_tokens)
    except OSError as error:
        raise PlanError(where, f"{settings.text}: cannot be read: {reason_of(error)}", "a text file") from error
    except UnicodeDecodeError as error:
        raise PlanError(where, f"{settings.text}: is not UTF-8 (byte {error.start})", "a text file in UTF-8") from error


def _files(settings: DictionarySettings, source: str) -> dict[str, str]:
    """The hashes of the files, which are read once here so that what does not fit is said before the run begins."""
    if not settings.path:
        return {}
    where = f"settings.{SECTION}.path"
    folder = Path(settings.path).expanduser()
    names = files_of(folder)
    try:
        hashes = {name: sha256_file(folder / name) for name in names}
    except OSError as error:
        what = f"{error.filename or folder}: cannot be read: {reason_of(error)}"
        raise PlanError(where, what, f"a folder with {' and '.join(names)}") from error
    try:
        stored = read_stored(folder)
        stored.autoencoder(mean_norm=1.0)
        differs = known_to_differ(stored.declared, settings, source=source, folder=str(folder))
    except ModelError as error:
        raise PlanError(where, f"{error.where}: {error.what}", error.expected) from error
    if differs and not settings.foreign:
        raise PlanError(where, differs, expected_of(stored.declared))
    return hashes
