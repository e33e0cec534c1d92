"""Real servers on this machine that take what the site sends: mail by SMTP, requests by HTTP."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class MailServer:
    """What arrived. ``refused``: addresses that it takes no mail for."""

    port: int = 0
    arrived: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A mail server that speaks as much SMTP (RFC 5321) as a client needs to hand a mail over."""
    state = MailServer()

    class Session(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            people: list[str] = []
            self.say("220 here")
            while line := self.rfile.readline():
                verb, _, rest = line.decode().strip().partition(" ")
                match verb.upper():
                    case "EHLO" | "HELO" | "RSET" | "MAIL":
                        people = []
                        self.say("250 OK")
                    case "RCPT":
                        address = rest.partition("<")[2].partition(">")[0]
                        if address in state.refused:
                            self.say("550 nobody here is called so")
                        else:
                            people.append(address)
                            self.say("250 OK")
                    case "DATA":
                        self.say("354 go on")
                        lines: list[bytes] = []
                        while (part := self.rfile.readline()) != b".\r\n":
                            lines.append(part.removeprefix(b".") if part.startswith(b"..") else part)
                        mail = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                        assert isinstance(mail, EmailMessage)
                        state.arrived.append((people, mail))
                        self.say("250 taken")
                    case "QUIT":
                        self.say("221 bye")
                        return
                    case _:
                        self.say("502 not known")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        state.port = server.server_address[1]
        with _serving(server):
            yield state


@dataclass
class Hook:
    """What arrived at a receiver of webhooks, and the statuses it answers with: in turn, then 204."""

    url: str = ""
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    hangs: threading.Event | None = None


@contextmanager
def hook_server() -> Iterator[Hook]:
    """A receiver of webhooks."""
    state = Hook()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.arrived.append((dict(self.headers.items()), body))
            if state.hangs is not None:
                state.hangs.wait(30)
            self.send_response(state.statuses.pop(0) if state.statuses else 204)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_address[1]}/plumbline"
        with _serving(server):
            yield state


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
