"""Addresses: https or this machine, every number allowed, resolved once, no redirect, certificates of the name."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.exceptions import ModelError
from auditor.systems.addresses import parse_address, pin
from auditor.systems.keys import Scrubber
from auditor.systems.transport import Arrived, Fault, Outgoing, Tls, Transport
from tests.systems.answering import answering, wait_until
from tests.systems.faults import Fault as Wire
from tests.systems.faults import always


def numbers(*found: str) -> Callable[[str, int], list[str]]:
    return lambda _host, _port: list(found)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://models.example/v1", "is not encrypted"),
        ("http://127.0.0.1.example/v1", "is not encrypted"),
        ("http://localhost.example/v1", "is not encrypted"),
        ("ftp://models.example", "is not encrypted"),
        ("file:///etc/passwd", "is not an address"),
        ("https:///v1", "is not an address"),
        ("https://a:0/v1", "is not an address"),
        ("https://a:x/v1", "Port could not be cast"),
        ("https://[::1/v1", "Invalid IPv6 URL"),
        ("https://user:word@a/v1", "carries a user, password"),
        ("https://@a/v1", "carries a user, password"),
        ("https://a/v1?key=1", "carries a user, password, query"),
        ("https://a/v1#x", "carries a user, password, query or fragment"),
        ("https://a b/v1", "is not an address"),
        ("https://пример/v1", "is not an address"),
    ],
)
def test_what_may_not_be_asked_is_refused_in_one_line(url: str, what: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_address(url, where="endpoint:x: url")
    assert str(caught.value).startswith("endpoint:x: url: ")
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("10.1.2.3", "not public"),
        ("192.168.0.1", "not public"),
        ("127.0.0.1", "not public"),
        ("::1", "not public"),
        ("169.254.1.1", "not public"),
        ("100.64.0.1", "not public"),
        ("fe80::1", "not public"),
        ("fd00::1", "not public"),
        ("::ffff:10.0.0.1", "not public"),
        ("64:ff9b::a00:1", "not public"),
        ("2002:a00:1::1", "not public"),
        ("0.0.0.0", "no address of one machine"),
        ("224.0.0.1", "no address of one machine"),
        ("169.254.169.254", "hands out credentials"),
        ("::ffff:169.254.169.254", "hands out credentials"),
        ("fd00:ec2::254", "hands out credentials"),
        ("168.63.129.16", "hands out credentials"),
        ("169.254.170.23", "hands out credentials"),
        ("192.0.0.192", "hands out credentials"),
        ("fd20:ce::254", "hands out credentials"),
        ("fec0::1", "not public"),
    ],
)
def test_a_name_that_leads_to_a_number_that_is_not_public_is_refused(number: str, why: str) -> None:
    address = parse_address("https://models.example/v1", where="x")
    for found in ([number], ["93.184.215.14", number]):
        with pytest.raises(ModelError, match=why):
            pin(address, where="endpoint:x", resolve=numbers(*found))


def test_a_private_range_is_open_where_it_is_listed_and_credentials_never_are() -> None:
    address = parse_address("https://models.internal/v1", networks=["10.20.0.0/16"], where="x")
    assert str(pin(address, where="x", resolve=numbers("10.20.1.1")).number) == "10.20.1.1"
    with pytest.raises(ModelError, match=r"models.internal is 10.21.1.1, in a range that is not public; expected"):
        pin(address, where="x", resolve=numbers("10.21.1.1"))
    everywhere = parse_address("https://models.internal/v1", networks=["0.0.0.0/0", "::/0"], where="x")
    for number in ("169.254.169.254", "169.254.170.23", "fd00:ec2::23", "fd20:ce::254"):
        with pytest.raises(ModelError, match="hands out credentials"):
            pin(everywhere, where="x", resolve=numbers(number))


def test_this_machine_is_asked_without_encryption_and_no_other_by_its_name() -> None:
    here = parse_address("http://localhost:8000/v1", networks=["10.0.0.0/8"], where="x")
    assert str(pin(here, where="x", resolve=numbers("::1", "127.0.0.1")).number) == "127.0.0.1"
    for elsewhere in ("93.184.215.14", "10.1.2.3"):
        with pytest.raises(ModelError, match=f"localhost is {elsewhere}, not this machine"):
            pin(here, where="x", resolve=numbers(elsewhere))


@given(number=st.ip_addresses())
def test_without_a_listed_range_only_public_numbers_are_asked(number: object) -> None:
    address = parse_address("https://models.example", where="x")
    try:
        pinned = pin(address, where="x", resolve=numbers(str(number)))
    except ModelError:
        return
    assert pinned.number.is_global
    assert not pinned.number.is_multicast


def test_a_name_is_resolved_once_and_pointing_it_elsewhere_later_leads_nowhere() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.9"]

    with answering(faults=always(Wire(wire="status", code=200, content={}))) as server:
        port = server.url.rpartition(":")[2].removesuffix("/v1")
        address = parse_address(f"http://localhost:{port}/v1", where="x")
        transport = Transport(pin(address, where="x", resolve=resolve), where="x", scrub=Scrubber())
        for _ in range(2):
            assert isinstance(transport.send(Outgoing(path="/chat/completions", content=b"{}")), Arrived)
        transport.close()
        assert asked == ["localhost"]
        assert {one.headers["Host"] for one in server.asked} == {f"localhost:{port}"}


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with answering(faults=always(Wire(wire="status", code=200, content={}))) as server:
        found = sent(server.url)
    assert isinstance(found, Arrived)


def sent(url: str, *, tls: Tls = Tls(), host: str = "") -> Arrived | Fault:  # noqa: B008
    address = parse_address(url.replace("127.0.0.1", host) if host else url, networks=["127.0.0.0/8"], where="x")
    pinned = pin(address, where="x", resolve=numbers("127.0.0.1"))
    transport = Transport(pinned, where="x", scrub=Scrubber(), tls=tls, seconds=5)
    try:
        return transport.send(Outgoing(path="/chat/completions", content=b"{}"))
    finally:
        transport.close()


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    elsewhere = Wire(wire="status", code=307, headers={"Location": "http://127.0.0.1:9/"})
    with answering(faults=always(elsewhere)) as server:
        found = sent(server.url)
    assert isinstance(found, Arrived)
    assert found.status == 307


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's certificate for models.example, and a client's."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
    for name in ("models.example", "client"):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text(f"subjectAltName=DNS:{name}\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder


def serving(folder: Path, *, client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "models.example.pem", folder / "models.example.key")
    if client:
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_certificate_is_checked_against_the_name_though_the_number_is_pinned(certificates: Path) -> None:
    own = Tls(authority=str(certificates / "ca.pem"))
    with answering(tls=serving(certificates), faults=always(Wire(wire="status", code=200, content={}))) as server:
        assert isinstance(sent(server.url, tls=own, host="models.example"), Arrived)
        other = sent(server.url, tls=own, host="other.example")
        unknown = sent(server.url, host="models.example")
    for found in (other, unknown):
        assert isinstance(found, Fault)
        assert found.lasting
        assert "its certificate is not accepted" in found.note


def test_a_client_certificate_is_shown(certificates: Path) -> None:
    own = Tls(authority=str(certificates / "ca.pem"))
    with_one = Tls(
        authority=own.authority, certificate=str(certificates / "client.pem"), key=str(certificates / "client.key")
    )
    wire = always(Wire(wire="status", code=200, content={}))
    with answering(tls=serving(certificates, client=True), faults=wire) as server:
        assert isinstance(sent(server.url, tls=with_one, host="models.example"), Arrived)
        assert isinstance(sent(server.url, tls=own, host="models.example"), Fault)


def test_an_encrypted_request_under_way_is_broken_off_and_no_other_goes_out(certificates: Path) -> None:
    own = Tls(authority=str(certificates / "ca.pem"))
    with answering(tls=serving(certificates), faults=always(Wire(wire="hang"))) as server:
        url = server.url.replace("127.0.0.1", "models.example")
        pinned = pin(parse_address(url, networks=["127.0.0.0/8"], where="x"), where="x", resolve=numbers("127.0.0.1"))
        transport = Transport(pinned, where="x", scrub=Scrubber(), tls=own, seconds=600)
        with ThreadPoolExecutor(1) as thread:
            under_way = thread.submit(transport.send, Outgoing(path="/chat/completions", content=b"{}"))
            wait_until(lambda: len(server.asked) == 1)
            transport.break_off("withdrawn")
            found = under_way.result(timeout=5)
        later = transport.send(Outgoing(path="/chat/completions", content=b"{}"))
        transport.close()
    assert found == Fault("broken off: withdrawn", reached=True, lasting=True)
    assert later == Fault("broken off: withdrawn", reached=False, lasting=True)
    assert len(server.asked) == 1


def test_a_first_part_whose_end_was_this_sides_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        pinned = pin(parse_address(url, networks=["127.0.0.0/8"], where="x"), where="x", resolve=numbers("127.0.0.1"))
        transport = Transport(pinned, where="x", scrub=Scrubber(), tls=Tls(), seconds=600)
        with ThreadPoolExecutor(1) as thread:
            under_way = thread.submit(transport.send, Outgoing(path="/", content=b"{}"))
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"decision": "approve"}')
                time.sleep(0.3)
                transport.break_off("withdrawn")
                found = under_way.result(timeout=5)
        transport.close()
    assert found == Fault("broken off: withdrawn", reached=True, lasting=True)


def test_certificates_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for tls in (Tls(authority=str(tmp_path / "ca.pem")), Tls(authority=str(tmp_path / "none.pem"))):
        with pytest.raises(
            ModelError, match=r"^x: its certificates cannot be used \(.*\); expected PEM files \(\w+.pem"
        ):
            tls.context(where="x")


def test_a_cookie_is_not_carried_from_one_request_to_the_next() -> None:
    wire = Wire(wire="status", code=200, content={}, headers={"Set-Cookie": "session=1; Path=/"})
    with answering(faults=always(wire)) as server:
        address = parse_address(server.url, where="x")
        transport = Transport(pin(address, where="x"), where="x", scrub=Scrubber())
        for _ in range(2):
            assert isinstance(transport.send(Outgoing(path="/chat/completions", content=b"{}")), Arrived)
        transport.close()
    assert all("Cookie" not in asked.headers for asked in server.asked)
