"""The German of the site: gathers what is marked for translation, and compiles what is translated.

    python -m scripts.translations           take new texts into compliance/locale, drop what nobody says, compile
    python -m scripts.translations --check   change nothing; say what is missing, one line each, and end with 1
    python -m scripts.translations --plain   name what templates say and nobody has marked

Texts are marked in Django's own way: ``{% translate %}`` and ``{% blocktranslate trimmed %}`` in templates, ``gettext``
and its relatives in Python. Babel reads them, so no program besides Python is needed.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import django
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).parents[1]
SITE = ROOT / "compliance"
PO = SITE / "locale" / "de" / "LC_MESSAGES" / "django.po"
MO = PO.with_suffix(".mo")
KEYWORDS = {
    "_": None, "gettext": None, "gettext_lazy": None, "gettext_noop": None,
    "ngettext": (1, 2), "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2), "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3), "npgettext_lazy": ((1, "c"), 2, 3),
}  # fmt: skip
#: What a translation must keep: %(name)s, %s, {name} and what stands between backquotes.
KEPT = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}|`[^`]*`")
#: Tags whose inside is marked, or is no text; and what else is no text.
MARKED = re.compile(
    r"{%\s*comment\b.*?{%\s*endcomment\s*%}|{%\s*blocktrans(?:late)?\b.*?{%\s*endblocktrans(?:late)?\s*%}"
    r"|<(script|style|code|pre)\b.*?</\1>|<(\w+)[^>]*\btranslate=\"no\".*?</\2>|{#.*?#}|<!--.*?-->",
    re.DOTALL,
)
SAID_IN_TAGS = re.compile(r"\b(?:title|alt|placeholder|aria-label)=\"([^\"]*)\"")
NO_TEXT = re.compile(r"{%.*?%}|{{.*?}}|<[^>]*>|&\w+;", re.DOTALL)
HEAD = "# What the site says, in German. Taken in and compiled by python -m scripts.translations."
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
LETTERS = re.compile(r"[^\W\d_]{2,}")
NAMES = frozenset({"Plumbline", "UTC", "CSV", "XLSX", "JSON", "TOML", "PDF", "URL", "SHA", "CEST"})


def gathered() -> Catalog:
    """Every text that is marked, with the files that say it."""
    catalog = Catalog(locale="de", project="Plumbline", charset="utf-8", fuzzy=False, header_comment=HEAD)
    # No clock in it: the same texts give the same file.
    catalog.creation_date = catalog.revision_date = BEGAN
    for path in sorted((*SITE.rglob("*.py"), *SITE.rglob("*.html"))):
        source = path.read_text("utf-8")
        if path.suffix == ".html":
            # What is no text becomes a row of X; its indentation means nothing, and Python's tokens would ask for one.
            source = "\n".join(line.strip() for line in templatize(source, origin=str(path)).splitlines())
        for _, text, _, context in extract("python", io.BytesIO(source.encode()), keywords=KEYWORDS):
            catalog.add(text, locations=[(path.relative_to(ROOT).as_posix(), None)], context=context)
    for text in borrowed():
        catalog.add(text, locations=[("reports", None)])
    from compliance.field_names import CONTEXT

    for text in named():
        catalog.add(text, locations=[("compliance/models", None)], context=CONTEXT)
    return catalog


def borrowed() -> Iterator[str]:
    """Words of reports that pages say by themselves, such as the names of conclusions and of what became of a case."""
    from compliance.words import borrowed_words

    yield from borrowed_words()


def named() -> Iterator[str]:
    """Names of registers and their columns; of one without a page of the administration the name alone.

    That one is named where an account is deleted, or given a permission.
    """
    from django.apps import apps
    from django.contrib import admin
    from django.utils import translation

    from compliance.field_names import names, names_of_register

    with translation.override(None):
        models = list(apps.get_app_config("compliance").get_models())
        yield from names(model for model in models if model in admin.site._registry)
        for model in models:
            yield from names_of_register(model)


def translated() -> Catalog:
    """The catalogue as it is kept."""
    if not PO.exists():
        return Catalog(locale="de", charset="utf-8")
    with PO.open("rb") as file:
        return read_po(file, locale="de", domain="django")


def update() -> Catalog:
    """Take over what is translated, drop what nobody says, add what is new."""
    found, kept = gathered(), translated()
    for message in found:
        old = kept.get(message.id, context=message.context) if message.id else None
        if old is not None:
            message.string = old.string
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, found, width=110, omit_header=False, sort_output=True, include_lineno=False)
    MO.write_bytes(compiled(translated()))
    return found


def compiled(catalog: Catalog) -> bytes:
    """What Django reads."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def missing() -> Iterator[str]:
    """What keeps the German from being complete, one line each."""
    kept = translated()
    for message in gathered():
        if not message.id:
            continue
        german = kept.get(message.id, context=message.context)
        if german is None or not all(strings(german)) or "fuzzy" in german.flags:
            yield f"no German: {texts(message)[0]!r}"
        else:
            yield from _changed(german)
    if not MO.exists() or MO.read_bytes() != compiled(kept):
        yield f"{MO.relative_to(ROOT)}: is older than its .po; expected python -m scripts.translations to be run"


def texts(message: Message) -> tuple[str, ...]:
    """The English of a message: one form, or singular and plural."""
    return tuple(message.id) if isinstance(message.id, (tuple, list)) else (message.id,)


def strings(message: Message) -> tuple[str, ...]:
    """Its German."""
    return tuple(message.string) if isinstance(message.string, (tuple, list)) else (message.string,)


def _changed(message: Message) -> Iterator[str]:
    """Where a translation lost or invented a value that is put in; a singular may say *one* in words."""
    wanted = set(KEPT.findall(texts(message)[-1]))
    for number, german in enumerate(strings(message)):
        here = set(KEPT.findall(german))
        if here - wanted or (wanted - here and number == len(strings(message)) - 1):
            yield f"values differ: {texts(message)[-1]!r} has {sorted(wanted)}, {german!r} has {sorted(here)}"


def plain() -> Iterator[tuple[str, str]]:
    """Texts of templates that are not marked: the file, and the text."""
    for path in sorted((SITE / "templates").rglob("*.html")):
        source = MARKED.sub(" ", path.read_text("utf-8"))
        said = [NO_TEXT.sub("\n", source)]
        said += [NO_TEXT.sub(" ", text) for text in SAID_IN_TAGS.findall(source)]
        for line in "\n".join(said).splitlines():
            words = [word for word in LETTERS.findall(line) if word not in NAMES]
            if words:
                yield path.relative_to(ROOT).as_posix(), line.strip()


def main(arguments: list[str]) -> int:
    """Run as a command."""
    if "--plain" in arguments:
        lines = [f"{path}: {text}" for path, text in plain()]
    elif "--check" in arguments:
        lines = list(missing())
    else:
        update()
        lines = list(missing())
    print("\n".join(lines) or "every text has its German")
    return int(bool(lines))


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compliance.settings")
    django.setup()
    sys.exit(main(sys.argv[1:]))
