"""Seeds from names: what a draw is for decides what is drawn, on every machine and in every order of work."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(name: str) -> int:
    """A 64-bit seed: the first eight bytes of the name's SHA-256. Python's own ``hash`` differs between processes."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def generator_of(*parts: object) -> np.random.Generator:
    """The generator of one purpose, named by ``parts``: the plan's seed, the test, the field, the group…"""
    return np.random.default_rng(seed_of("/".join(map(str, parts))))
