"""The table of a system as an administrator types it, read by the engine's own reader, and what the site adds to that.

Who types it may not read this machine: keys are set on the system's page, and certificates lie in one folder.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from django.conf import settings
from django.utils.translation import gettext_noop
from pydantic import ValidationError

from auditor.canonical import sha256_bytes
from auditor.exceptions import ModelError
from auditor.systems.addresses import Address, parse_address, pin
from auditor.systems.listing import Listed, ListedEndpoint, keys_in, one_line, texts_in
from auditor.systems.service_listing import ListedService

READERS: dict[str, type[ListedEndpoint | ListedService]] = {"endpoint": ListedEndpoint, "service": ListedService}
LONGEST = 50_000
DEEPEST = 20
MOST_KEYS = 300
#: Strings and comments whole, so that no mark in them counts; an unclosed string reaches to where it could have ended.
_MARKS = re.compile(
    r'''"""(?:\\.|[^\\])*?(?:"""|\Z)|"(?:\\.|[^"\\\n])*"?|'{3}.*?(?:'{3}|\Z)|'[^'\n]*'?|\#[^\n]*|[.=,\n\[\]{}]''',
    re.DOTALL,
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
FORM = gettext_noop("one table, [endpoint.NAME] or [service.NAME]")
TEAM_PREFIX = "team-"
WHERE = "table"


@dataclass(frozen=True, kw_only=True)
class SystemTable:
    """What a table says: of which system, typed, and as it stands in the text."""

    kind: str
    name: str
    listed: ListedEndpoint | ListedService
    plain: dict[str, Any]

    @property
    def source(self) -> str:
        """The source that names it."""
        return f"{self.kind}:{self.name}"

    @property
    def destination(self) -> dict[str, str]:
        """Where its key would be sent, and how: a key that was set for one destination is not sent to another."""
        return destination_of(self.source, self.listed)


def destination_of(source: str, listed: Listed) -> dict[str, str]:
    """See ``SystemTable.destination``."""
    oauth = listed.oauth
    return {
        "source": source,
        "url": listed.url,
        "header": listed.key_header,
        "authority_file": listed.authority_file,
        "token_url": oauth.token_url if oauth else "",
        "client_id": oauth.client_id if oauth else "",
    }


def team_table(text: str, *, team_id: int | None) -> SystemTable:
    """Read the table of one system of a team; errors as those of `read_table` and `refuse_strange_certificates`."""
    found = read_table(text)
    refuse_strange_certificates(found.listed, team_id=team_id, where=f"{found.kind}.{found.name}")
    return found


def read_table(text: str) -> SystemTable:
    """Read the table of one system.

    Raises
    ------
    ModelError
        In one line: the key, what is wrong with it, what was expected. Values are not repeated, since one of them may
        be a secret in the wrong place.
    """
    refuse_unseen(text, where=WHERE)
    tables = _tables(text)
    kind, name = _named(tables)
    table, where = tables[kind][name], f"{kind}.{name}"
    try:
        listed = READERS[kind].model_validate(table)
    except ValidationError as error:
        raise one_line(error, where=where) from None
    _can_be_probed(listed, where)
    for part in texts_in(table):  # written as \u202e, what is not seen stands in no text
        refuse_unseen(part, where=where)
    _no_key_material(table, where)
    _no_files(listed, where)
    _may_be_asked(listed.url, listed, where=f"{where}.url")
    if listed.oauth is not None:
        _may_be_asked(listed.oauth.token_url, listed, where=f"{where}.oauth.token_url")
    return SystemTable(kind=kind, name=name, listed=listed, plain=tables)


def refuse_strange_certificates(listed: Listed, *, team_id: int | None, where: str) -> None:
    """Refuse a client certificate that is not the team's own: what one team shows to a server, no other may show.

    A trusted authority is public and may be shared, but for what lies in the folder of another team.

    Raises
    ------
    ModelError
        With the key and the folder that was expected.
    """
    folder = Path(settings.CERTIFICATE_FOLDER).resolve()
    own = folder / team_folder(team_id)
    for key in ("certificate_file", "certificate_key_file"):
        path = getattr(listed, key)
        if path and not Path(path).resolve().is_relative_to(own):
            raise ModelError(
                f"{where}.{key}",
                gettext_noop("is not in the folder of the team"),
                f"a path below {team_folder(team_id)}/ there",
            )
    if not listed.authority_file:
        return
    below = Path(listed.authority_file).resolve().relative_to(folder).parts
    if len(below) > 1 and below[0].startswith(TEAM_PREFIX) and below[0] != team_folder(team_id):
        raise ModelError(
            f"{where}.authority_file",
            gettext_noop("is in the folder of another team"),
            gettext_noop("one that is shared, or its own"),
        )


def team_folder(team_id: int | None) -> str:
    """The folder below ``PLUMBLINE_CERTIFICATES`` that holds the client certificates of a team."""
    return f"{TEAM_PREFIX}{team_id}"


def refuse_unseen(text: str, *, where: str) -> None:
    """Refuse marks that are not seen, or turn what is seen: whoever approves reads what the machine reads.

    Raises
    ------
    ModelError
        With the number of the first of them.
    """
    for mark in text:
        if mark not in "\n\t" and unicodedata.category(mark) in ("Cc", "Cf"):
            raise ModelError(
                where, f"holds U+{ord(mark):04X}, which is not seen", gettext_noop("marks that can be read")
            )


def _tables(text: str) -> dict[str, Any]:
    _refuse_costly(text)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(WHERE, f"is not valid TOML ({error})", FORM) from None
    except RecursionError:
        raise _too_deep() from None
    _refuse_large(tables)
    return tables


def _refuse_costly(text: str) -> None:
    """Refuse a text that readers of TOML would take long over; this takes one look at each of its marks."""
    if len(text) > LONGEST:
        raise ModelError(WHERE, f"has more than {LONGEST:,} characters", FORM)
    open_, dots, keys = 0, 0, 0
    for mark in _MARKS.findall(text):
        open_ += (mark in "[{") - (mark in "]}")
        if mark[0] not in "\"'":  # a name in quotes may stand between two dots
            dots = dots + 1 if mark == "." else 0
        keys += mark == "="
        if max(open_, dots) > DEEPEST:
            raise _too_deep()
    if keys > MOST_KEYS:
        raise _too_many()


def _refuse_large(tables: dict[str, Any]) -> None:
    """Count what was read: tables of many headers, and dots and brackets together."""
    layer: list[dict[str, Any] | list[Any]] = [tables]
    depth, keys = 0, 0
    while layer:
        depth += 1
        keys += sum(len(part) for part in layer if isinstance(part, dict))
        below = [inner for part in layer for inner in (part.values() if isinstance(part, dict) else part)]
        layer = [part for part in below if isinstance(part, (dict, list))]
        if depth > DEEPEST:
            raise _too_deep()
    if keys > MOST_KEYS:
        raise _too_many()


def _too_deep() -> ModelError:
    return ModelError(WHERE, f"is nested deeper than {DEEPEST}", FORM)


def _too_many() -> ModelError:
    return ModelError(WHERE, f"has more than {MOST_KEYS} keys", FORM)


def text_sha256(text: str) -> str:
    """The hash by which events name a table."""
    return sha256_bytes(text.encode())


def with_prices(text: str, prices: dict[str, Any]) -> str:
    """The text with these prices in its table; comments and order stay.

    Raises
    ------
    ModelError
        If it is not the table of a system, or has prices already.
    """
    _tables(text)  # which bounds what it may cost
    try:
        document = tomlkit.parse(text)
    except (tomlkit.exceptions.TOMLKitError, ValueError) as error:
        raise ModelError(WHERE, f"is not valid TOML ({error})", FORM) from None
    kind, name = _named(document.unwrap())
    table: Any = document[kind]
    if "prices" in table[name]:
        raise ModelError(
            f"{kind}.{name}.prices",
            gettext_noop("stand in the table and below it"),
            gettext_noop("them in one of the two places"),
        )
    table[name]["prices"] = prices
    return tomlkit.dumps(document)


def _named(tables: dict[str, Any]) -> tuple[str, str]:
    """Kind and name of the one table there is."""
    if set(tables) - set(READERS) or len(tables) != 1:
        raise ModelError(WHERE, f"holds {_some(tables)} at its top", FORM)
    (kind,) = tables
    inside = tables[kind]
    if not isinstance(inside, dict) or len(inside) != 1:
        raise ModelError(WHERE, f"holds {_some(inside if isinstance(inside, dict) else {})} below {kind}", FORM)
    (name,) = inside
    if not isinstance(inside[name], dict):
        raise ModelError(WHERE, f"{kind}.{name} is not a table", FORM)
    if not NAME.fullmatch(name):
        expected = gettext_noop("letters, digits, dashes and underscores, at most 60, the first a letter or digit")
        raise ModelError(WHERE, f"the name {name[:80]!r} cannot be used", expected)
    return kind, name


def _some(tables: dict[str, Any]) -> str:
    return ", ".join(repr(name) for name in sorted(tables)[:3]) or "nothing"


def _can_be_probed(listed: Listed, where: str) -> None:
    missing = sorted(listed.fields() - listed.example.keys()) if isinstance(listed, ListedService) else []
    if missing:
        raise ModelError(
            f"{where}.example", f"lacks {missing[0]!r}", gettext_noop("a made-up application, which the probe hands in")
        )


def _no_key_material(table: dict[str, Any], where: str) -> None:
    for name in keys_in(table):
        raise ModelError(
            f"{where}: {name}",
            gettext_noop("looks like a key"),
            gettext_noop("none here: it is set on the page of the system"),
        )


def _no_files(listed: Listed, where: str) -> None:
    """A path that a page took could read any file of this machine, and send it to the address beside it."""
    named = {"key_file": listed.key_file, "oauth.secret_file": listed.oauth.secret_file if listed.oauth else ""}
    for key, path in named.items():
        if path:
            raise ModelError(
                f"{where}.{key}",
                gettext_noop("names a file"),
                gettext_noop("none: the key is set on the page of the system"),
            )
    folder = Path(settings.CERTIFICATE_FOLDER).resolve()
    for key in ("authority_file", "certificate_file", "certificate_key_file"):
        path = getattr(listed, key)
        if path and not (Path(path).is_absolute() and Path(path).resolve().is_relative_to(folder)):
            raise ModelError(
                f"{where}.{key}",
                gettext_noop("is outside its folder"),
                gettext_noop("a path below PLUMBLINE_CERTIFICATES"),
            )


def _may_be_asked(url: str, listed: Listed, *, where: str) -> Address:
    """Names are resolved by whoever opens the system; a number that may not be asked is told at once."""
    address = parse_address(url, networks=listed.networks, where=where)
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return address
    pin(address, where=where, resolve=lambda host, _: [host])
    return address
