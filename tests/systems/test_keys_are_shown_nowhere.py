"""Keys reach one header and nothing else: no repr, no error, no log, no evidence, even if a server echoes them."""

from __future__ import annotations

import base64
import json
import pickle
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auditor.exceptions import AuditorError, ModelError
from auditor.systems.addresses import parse_address, pin
from auditor.systems.asking import Request
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.exceptions import Paused
from auditor.systems.keys import MARK, Key, KeyFile, Scrubber
from auditor.systems.listing import FILE, read_listed
from auditor.systems.oauth import ClientCredentials
from auditor.systems.transport import Outgoing, Transport
from tests.systems.answering import answering
from tests.systems.faults import Fault, always
from tests.systems.listed import endpoint, listed, new_store
from tests.systems.raw_bytes import raw_server

SECRET = "sk-proj/ab+cd=ef_0123"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    return tmp_path / "key"


def forms(secret: str) -> list[str]:
    return [
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        secret.replace("/", "\\/"),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"user:{secret}".encode()).decode(),
        oauth_pair("user", secret),
    ]


def oauth_pair(user: str, secret: str) -> str:
    """RFC 6749, 2.3.1: both percent-encoded, which is what the header of a token request has."""
    return base64.b64encode(f"{quote(user, safe='')}:{quote(secret, safe='')}".encode()).decode()


@given(
    secret=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    around=st.text(max_size=10),
)
def test_every_form_in_which_a_server_may_echo_a_key_is_taken_out(secret: str, around: str) -> None:
    scrub = Scrubber()
    scrub.add(Key(secret), user="user")
    for form in forms(secret):
        shown = scrub.text(f"{around}{form}{around}")
        assert secret not in shown.replace(MARK, "\0")
        assert form not in shown.replace(MARK, "\0")
        assert scrub.data(f"{around}{form}".encode()) == scrub.text(f"{around}{form}").encode()


@given(
    secret=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    ways=st.lists(
        st.sampled_from(["{0}", "\\u{1:04x}", "\\u{1:04X}", "\\\\u{1:04x}", "%{1:02X}", "&#{1};", "&#x{1:x};"])
    ),
)
def test_a_key_is_taken_out_whichever_of_its_marks_are_escaped(secret: str, ways: list[str]) -> None:
    scrub = Scrubber()
    scrub.add(Key(secret))
    plain = ["{0}"] * len(secret)
    form = "".join(way.format(mark, ord(mark)) for mark, way in zip(secret, [*ways, *plain], strict=False))
    around = f'{{"text": "{form}", "more": "\\\\"}}'
    for shown in (scrub.text(around), scrub.data(around.encode()).decode()):
        assert shown == around.replace(form, MARK)


def test_a_key_longer_than_what_is_shown_of_a_fault_is_not_cut_and_shown(tmp_path: Path) -> None:
    long = "sk-" + "Ab9-" * 200
    (tmp_path / "key").write_text(long)
    broken = f"HTTP/1.1 200 OK\r\nX {long}\r\n\r\n".encode()
    with raw_server(lambda *_: (broken, False)) as server, new_store(tmp_path) as store:
        with (
            endpoint(server.url, store, tries=1, key_file=str(tmp_path / "key")) as system,
            pytest.raises(Paused) as caught,
        ):
            system.ask([Request(prompt="p")])
        for said in (str(caught.value), json.dumps(store.failures())):
            assert MARK in said
            assert long[:12] not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key_header", "Host"),
        ("key_header", "X-Key: a\r\nX-More"),
        ("key_header", "Prüfung"),
        ("key_prefix", "Bearer \r\nX-More: "),
        ("key_prefix", "Prüfung "),
        ("headers", {"X-Team": "a\r\nX-More: b"}),
        ("headers", {"X-Team": "Prüfung"}),
        ("headers", {"Prüfung": "x"}),
        ("headers", {"X-Team": " x "}),
    ],
)
def test_what_would_be_another_header_is_refused_when_it_is_listed(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=r"expected (a header of one's own|ASCII in one line)"):
        listed("https://models.example/v1", **{name: value})


def test_a_request_that_is_printed_shows_neither_its_key_nor_its_application() -> None:
    outgoing = Outgoing(path="/x", headers={"Authorization": f"Bearer {SECRET}"}, content=b'{"income": 31000}')
    assert repr(outgoing) == "Outgoing(method='POST', path='/x')"


def test_a_key_has_no_text_of_its_own() -> None:
    key = Key(SECRET)
    assert {repr(key), str(key), f"{key}"} == {f"Key({MARK})"}
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


@pytest.mark.parametrize(
    "content", [b"", b"short", b"two words of text", b"line\nline\nline", b"\xff\xfe\x00\x01abcdefgh"]
)
def test_a_file_that_holds_no_key_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ModelError, match=r"^endpoint:x: its key_file holds no (key|text); expected") as caught:
        KeyFile(tmp_path / "key", "endpoint:x").key()
    assert not content or content.decode("latin1") not in str(caught.value)
    with pytest.raises(ModelError, match=r"cannot be read \(no such file or directory\)"):
        KeyFile(tmp_path / "none", "endpoint:x").key()


@pytest.mark.parametrize(
    ("dialect", "header", "value"),
    [("chat_completions", "Authorization", f"Bearer {SECRET}"), ("anthropic_messages", "x-api-key", SECRET)],
)
def test_a_key_goes_out_in_its_header_and_comes_back_in_nothing(
    tmp_path: Path, key_file: Path, dialect: str, header: str, value: str
) -> None:
    echo = {"error": {"message": f"the key {SECRET} of {quote(SECRET, safe='')} is odd"}}
    wire = Fault(wire="status", code=403, content=echo, headers={"X-Echo": SECRET})
    with answering(faults=always(wire)) as server, new_store(tmp_path) as store:
        with endpoint(server.url, store, dialect=dialect, key_file=str(key_file)) as system:
            with pytest.raises(AuditorError) as caught:
                system.ask([Request(prompt="p")])
            assert str(caught.value) == (f"endpoint:x: answers 403 Forbidden: the key {MARK} of {MARK} is odd")
            assert SECRET not in json.dumps(system.identity)
        assert server.asked[0].headers.get(header) == value
        failures = store.failures()
    assert SECRET not in json.dumps(failures)
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.iterdir() if file != key_file)


def test_a_key_that_an_answer_echoes_is_not_in_evidence(tmp_path: Path, key_file: Path) -> None:
    text = f"your key is {SECRET}"
    content = {"choices": [{"finish_reason": "stop", "message": {"content": text}}], "model": SECRET}
    with (
        answering(faults=always(Fault(wire="status", code=200, content=content))) as server,
        new_store(tmp_path) as store,
        endpoint(server.url, store, key_file=str(key_file)) as system,
    ):
        [answer] = system.ask([Request(prompt="p")])
        evidence = b"".join(store.evidence())
    assert (answer.text, answer.model) == (f"your key is {MARK}", MARK)
    assert SECRET.encode() not in evidence
    assert json.dumps(SECRET)[1:-1].encode() not in evidence


def test_a_key_in_the_wrong_place_of_the_file_is_refused_and_not_shown(tmp_path: Path) -> None:
    lines = (
        f'headers = {{"Authorization" = "{SECRET}"}}',
        f'key = "{SECRET}"',
        f'key_file = ["{SECRET}"]',
        f'query = {{key = "{SECRET}"}}',
        f'extra = {{auth = {{api_key = "{SECRET}"}}}}',
    )
    for line in lines:
        text = f'[endpoint.x]\ndialect = "completions"\nurl = "https://a/v1"\nmodel = "m"\n{line}\n'
        (tmp_path / FILE).write_text(text)
        with pytest.raises(ModelError) as caught:
            read_listed(tmp_path / FILE, "x")
        assert SECRET not in str(caught.value)
        assert str(caught.value).startswith(f"{FILE}: endpoint.x.")


def test_client_credentials_fetch_a_token_renew_it_and_show_neither(tmp_path: Path, key_file: Path) -> None:
    tokens = ["token-number-one", "token-number-two"]
    given: list[str] = []

    def faults(asked: object) -> Fault | None:
        path, headers, body = asked.path, asked.headers, asked.body  # type: ignore[attr-defined]
        if path == "/token":
            user = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
            assert user == f"plumbline:{quote(SECRET, safe='')}"
            assert body == "grant_type=client_credentials&scope=models"
            given.append(tokens[len(given)])
            return Fault(wire="status", code=200, content={"access_token": given[-1], "expires_in": 3600})
        if headers["Authorization"] != "Bearer token-number-two":
            return Fault(wire="status", code=401, content={"error": headers["Authorization"]})
        return None

    with answering(faults=faults) as server, new_store(tmp_path) as store:
        oauth = {
            "token_url": server.url.replace("/v1", "/token"),
            "client_id": "plumbline",
            "secret_file": str(key_file),
            "scope": "models",
        }
        with endpoint(server.url, store, oauth=oauth) as system:
            assert system.ask([Request(prompt="p")])[0].text
            assert system.ask([Request(prompt="q")])[0].text
        assert given == tokens  # the second because the first was refused, and none after that
        assert store.failures() == {f"answers 401 Unauthorized: Bearer {MARK}": 1}


def test_a_token_that_is_found_in_answers_by_chance_is_refused(tmp_path: Path, key_file: Path) -> None:
    def faults(asked: object) -> Fault | None:
        token = asked.path == "/token"  # type: ignore[attr-defined]
        return Fault(wire="status", code=200, content={"access_token": "a"}) if token else None

    with answering(faults=faults) as server, new_store(tmp_path) as store:
        address = server.url.replace("/v1", "/token")
        oauth = {"token_url": address, "client_id": "plumbline", "secret_file": str(key_file)}
        with (
            endpoint(server.url, store, oauth=oauth) as system,
            pytest.raises(AuditorError, match="no token: the authorisation server's answer holds none"),
        ):
            system.ask([Request(prompt="p")])


def test_a_key_that_was_exchanged_while_a_run_went_on_is_read_anew_once(tmp_path: Path, key_file: Path) -> None:
    new = "sk-proj/the-new-one"

    def faults(asked: object) -> Fault | None:
        good = asked.headers["Authorization"] == f"Bearer {new}"  # type: ignore[attr-defined]
        return None if good else Fault(wire="status", code=401, content={"error": {"message": "expired"}})

    with (
        answering(faults=faults) as server,
        new_store(tmp_path) as store,
        endpoint(server.url, store, key_file=str(key_file)) as system,
    ):
        with pytest.raises(AuditorError, match=r"^endpoint:x: answers 401 Unauthorized: expired$"):
            system.ask([Request(prompt="p")])
        assert len(server.asked) == 2
        key_file.write_text(new)
        assert system.ask([Request(prompt="p")])[0].text
        assert len(server.asked) == 2 + 2


def test_a_secret_may_come_from_another_place_than_a_file(tmp_path: Path) -> None:
    class Kept:
        def key(self) -> Key:
            return Key(SECRET)

    def faults(asked: object) -> Fault | None:
        if asked.path == "/token":  # type: ignore[attr-defined]
            return Fault(wire="status", code=200, content={"access_token": "token-number-one"})
        return None

    oauth = {"client_id": "plumbline"}
    with answering(faults=faults) as server, new_store(tmp_path) as store:
        values = listed(server.url, oauth={**oauth, "token_url": server.url.replace("/v1", "/token")})
        with EndpointSystem("x", values, store=store, keys=Kept()) as system:
            assert system.ask([Request(prompt="p")])[0].text
        assert [asked.headers["Authorization"][:6] for asked in server.asked] == ["Basic ", "Bearer"]
        with pytest.raises(ModelError, match=r"^endpoint:x: oauth.secret_file: is missing"):
            EndpointSystem("x", values, store=store)
        with EndpointSystem("x", listed(server.url), store=store, keys=Kept()) as system:
            system.ask([Request(prompt="q")])
        assert server.asked[-1].headers["Authorization"] == f"Bearer {SECRET}"


def test_an_authorisation_server_that_answers_with_the_secret_in_a_broken_line_shows_it_to_nobody() -> None:
    class Kept:
        def key(self) -> Key:
            return Key(SECRET)

    def answer() -> None:
        connection, _ = server.accept()
        head = connection.recv(65536).split(b"\r\n")
        (told,) = [line.split(b" ")[-1] for line in head if line.lower().startswith(b"authorization")]
        connection.sendall(b"HTTP/1.1 200 OK\r\n(" + told + b")\r\n\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        address = parse_address(f"http://127.0.0.1:{server.getsockname()[1]}/token", where="x")
        transport = Transport(pin(address, where="x"), where="x", scrub=Scrubber())
        with pytest.raises(Paused, match="no token: the answer broke off") as caught:
            ClientCredentials(transport, client="plumb/line", secret=Kept(), where="x", scrub=Scrubber()).key()
        transport.close()
        thread.join()
    assert MARK in str(caught.value)
    pair = f"{quote('plumb/line', safe='')}:{quote(SECRET, safe='')}"
    assert base64.b64encode(pair.encode()).decode() not in str(caught.value)
