"""``python -m tests.fuzz [TARGET …] [--count N] [--seed N] [--keep FOLDER]``: feed readers with changed files.

Each target runs in a process of its own, bounded in memory. Printed are the seed and one line a target; a mutant that
raised anything but a refusal of one line, took too long, wrote to standard error or ended the process is kept. So is
the last one if memory grew by more than was allowed.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COUNT = 2_000
MUTANT_SECONDS = 20
MEMORY = 4 << 30  # address space, beside what making the good files took
GROWTH = 700 << 10  # KiB of resident memory from the tenth mutant to the last
LONGEST_LINE = 2_000


def main() -> int:
    """Run the targets named, or all; 1 if one failed."""
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (all by default)")
    parser.add_argument("--count", type=int, default=COUNT, help="mutants a target")
    parser.add_argument("--seed", type=int, default=None, help="drawn, and printed, if none is given")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="where failing mutants are kept")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    for name in asked.targets:
        if name not in TARGETS:
            parser.error(f"unknown target {name!r}; expected one of: {', '.join(TARGETS)}")
    if asked.here:
        return _feed(asked.targets[0], asked.count, asked.seed, asked.keep)
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    codes = [_apart(name, asked.count, seed, asked.keep) for name in asked.targets or TARGETS]
    return int(any(codes))


def _apart(name: str, count: int, seed: int, keep: Path) -> int:
    """A target in a process of its own: a reader may end the process it is in."""
    options = ["--count", str(count), "--seed", str(seed), "--keep", str(keep), "--here"]
    code = subprocess.run([sys.executable, "-m", "tests.fuzz", name, *options], check=False).returncode
    if code not in (0, 1):
        print(f"{name}: seed {seed}: the process ended with {code}; its last mutant is in {keep}", flush=True)
    return code


def _largest() -> int:
    """The most KiB that were resident in this process; ``ru_maxrss`` begins with what the process before it had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _feed(name: str, count: int, seed: int, keep: Path) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    from tests.fuzz.targets import TARGETS

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    keep.mkdir(parents=True, exist_ok=True)
    begun, slowest, refused, failures, early = time.monotonic(), 0.0, 0, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        target = TARGETS[name](Path(scratch))
        # What made the good files may have reserved much that it does not use.
        reserved = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (reserved + MEMORY, reserved + MEMORY))
        faults = [fault for good in target.whole() if (fault := _fault(target, good))]
        if faults:
            raise RuntimeError(f"{name}: a good file was met with {faults[0]}")
        last = keep / f"{name}-{seed}-last"
        for number in range(count):
            path = target.mutate(random.Random(f"{name}/{seed}/{number}"))
            _copy(path, last)
            before = time.monotonic()
            fault = _fault(target, path)
            slowest = max(slowest, time.monotonic() - before)
            refused += fault is None
            if fault:
                failures += 1
                _copy(path, keep / f"{name}-{seed}-{number}{path.suffix}")
                print(f"{name}: seed {seed}, mutant {number}: {fault}", flush=True)
            if number == min(10, count - 1):
                early = _largest()
        shutil.rmtree(last) if last.is_dir() else last.unlink(missing_ok=True)
    grown = _largest() - early
    if grown > GROWTH:
        failures += 1
        print(f"{name}: seed {seed}: memory grew by {grown >> 10:,} MiB", flush=True)
    spent = time.monotonic() - begun
    print(
        f"{name}: seed {seed}: {count:,} mutants, {refused:,} refused, {failures} failed; "
        f"{spent:.0f} s, slowest {slowest:.1f} s, grown by {max(0, grown) >> 10:,} MiB",
        flush=True,
    )
    return int(failures > 0)


def _copy(path: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)
    shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)


def _fault(target: object, path: Path) -> str | None:
    """What is wrong with how a mutant was met: empty if it was read, ``None`` if it was refused as it should be."""
    from auditor.exceptions import AuditorError

    def late(*_: object) -> None:
        raise TimeoutError(f"took longer than {MUTANT_SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(MUTANT_SECONDS)
    try:
        with _standard_error() as written:
            said = target.look(path)  # type: ignore[attr-defined]
        if written:
            return f"wrote to standard error: {written[0][:300]!r}"
    except AuditorError as error:
        return None if _one_line(str(error)) else f"a refusal of {len(str(error)):,} signs: {str(error)[:200]!r}"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:160]!r} at {where.filename}:{where.lineno}"
    finally:
        signal.alarm(0)
    wrong = [line for line in said if not _one_line(line)]
    return f"a line of {len(wrong[0]):,} signs: {wrong[0][:200]!r}" if wrong else ""


@contextmanager
def _standard_error() -> Iterator[list[str]]:
    """What is written to standard error within, by libraries too; whatever it is, nobody asked for it.

    The Parquet reader tells of its own panics there before it raises them, and nothing can keep it from that: what a
    refusal follows is not looked at here, and in the program it goes to a log (compliance/sandbox/children.py).
    """
    written: list[str] = []
    with tempfile.TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield written
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            if text := kept.read().decode("utf-8", "replace").strip():
                written.append(text)


def _one_line(text: str) -> bool:
    return "\n" not in text and "\r" not in text and len(text) <= LONGEST_LINE


if __name__ == "__main__":
    sys.exit(main())
