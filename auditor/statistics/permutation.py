"""Sign-flip permutation of paired differences: exact while small, seeded sampling beyond."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from auditor.statistics.results import FloatArray, Significance, floats

EXACT_UP_TO = 16  # 2^16 sign patterns
FLIPS = 20_000
BLOCK_CELLS = 2_000_000


def sign_flip_test(differences: npt.ArrayLike, *, flips: int = FLIPS, seed: int = 0) -> Significance:
    """Two-sided test that differences are symmetric about 0.

    Parameters
    ----------
    differences
        Shape (profiles,): one number a base profile, the sum of its pairs' differences where it has several.
    flips
        Random sign patterns when more than 16 differences are not 0; p is then (1 + #{|T*| ≥ |T|})/(flips + 1).
        With up to 16 every pattern is enumerated and p is exact.
    seed
        Fixes the patterns.

    Returns
    -------
    Significance
        ``statistic`` is the sum; ``sd_units`` the sum over √Σd², its standard deviation under the null. Differences
        that are all 0 give p = 1.
    """
    values = floats(differences, name="differences")
    if flips < 999:
        raise ValueError(f"flips must be at least 999, got {flips}")
    moved = values[values != 0]
    total = float(moved.sum())
    if len(moved) == 0:
        return Significance(p_value=1.0, method="sign-flip permutation, exact", statistic=0.0)
    unit = moved / np.abs(moved).max()  # so that squares of tiny differences do not vanish
    sd_units = float(unit.sum() / np.linalg.norm(unit))
    # Sums of the same numbers in another order may differ in the last digit; they are ties.
    reach = abs(total) - 1e-10 * float(np.abs(moved).sum())
    if len(moved) <= EXACT_UP_TO:
        p = float(np.mean(np.abs(_all_sums(moved)) >= reach))
        return Significance(p, "sign-flip permutation, exact", total, sd_units)
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK_CELLS // len(moved))
    reached = 0
    for start in range(0, flips, block):
        signs = generator.integers(0, 2, size=(min(block, flips - start), len(moved)), dtype=np.int8)
        reached += int(np.sum(np.abs(2 * (signs @ moved) - total) >= reach))
    return Significance((1 + reached) / (flips + 1), f"sign-flip permutation, {flips:,} flips", total, sd_units)


def _all_sums(values: FloatArray) -> FloatArray:
    """Sums under every pattern of signs, shape (2^n,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
