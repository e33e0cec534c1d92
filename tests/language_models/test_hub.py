"""An hf: import fetches one commit's config, safetensors and tokenizer, and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from auditor.exceptions import ModelError
from auditor.language_models.store import ModelStore
from tests.language_models.tiny import save_tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The three questions huggingface_hub asks, answered from a folder: which commit, which files, and the files."""

    folder: Path
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/org/name/tree/"):
            self._send(json.dumps([self._entry(file) for file in sorted(self.folder.iterdir())]).encode())
        elif path in (f"/api/models/org/name/revision/{name}" for name in ("main", COMMIT)):
            files = [{"rfilename": file.name} for file in sorted(self.folder.iterdir())]
            self._send(json.dumps({"id": "org/name", "modelId": "org/name", "sha": COMMIT, "siblings": files}).encode())
        elif path.startswith(f"/org/name/resolve/{COMMIT}/"):
            self._send((self.folder / path.rpartition("/")[2]).read_bytes())
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _entry(self, file: Path) -> dict[str, object]:
        content = file.read_bytes()
        return {"type": "file", "path": file.name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    folder = save_tiny(tmp_path / "published")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04 never fetched")
    (folder / "modeling_x.py").write_text("raise SystemExit")
    handler = type("OneHub", (Hub,), {"folder": folder, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, here)
    monkeypatch.setattr(constants, "ENDPOINT", here)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield handler
    server.shutdown()
    server.server_close()


def test_a_commit_is_fetched_without_pickles_and_code(hub: type[Hub], tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "store")
    stored = store.import_model(f"hf:org/name@{COMMIT}")
    shutil.copytree(hub.folder, tmp_path / "clean", ignore=shutil.ignore_patterns("*.bin", "*.py"))
    assert stored.sha256 == store.import_model(f"dir:{tmp_path}/clean").sha256
    assert stored.manifest.imported.checks["commit"] == COMMIT
    assert not any("pytorch_model.bin" in path or "modeling_x.py" in path for path in hub.asked)


def test_a_commit_that_was_imported_needs_no_hub(hub: type[Hub], tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "store")
    first = store.import_model(f"hf:org/name@{COMMIT}")
    hub.asked.clear()
    assert store.import_model(f"hf:org/name@{COMMIT}") == first
    assert hub.asked == []


def test_a_branch_is_pinned_to_the_commit_it_points_to(hub: type[Hub], tmp_path: Path) -> None:
    stored = ModelStore(tmp_path / "store").import_model("hf:org/name@main")
    assert stored.manifest.imported.checks["commit"] == COMMIT


def test_an_unknown_revision_is_refused(hub: type[Hub], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="hf:org/name@v9: the hub did not deliver it"):
        ModelStore(tmp_path / "store").import_model("hf:org/name@v9")


def test_published_weights_that_are_damaged_are_refused(hub: type[Hub], tmp_path: Path) -> None:
    (hub.folder / "model.safetensors").write_bytes(b"\x80\x04" * 100)
    store = ModelStore(tmp_path / "store")
    with pytest.raises(ModelError, match="the header claims"):
        store.import_model(f"hf:org/name@{COMMIT}")
    assert list(store.models.iterdir()) == []
