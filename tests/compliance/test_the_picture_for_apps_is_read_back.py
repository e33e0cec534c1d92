"""The QR code of a second factor, read back from its picture by the rules of the standard (ISO/IEC 18004)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from compliance.accounts import totp
from compliance.accounts.qr import QUIET, qr_svg

MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda row, column: (row + column) % 2 == 0,
    lambda row, column: row % 2 == 0,
    lambda row, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
)
#: By version at level M: where alignment patterns stand, and the data bytes of each block.
VERSIONS = {
    5: ((6, 30), (43, 43)),
    6: ((6, 34), (27,) * 4),
    7: ((6, 22, 38), (31,) * 4),
    8: ((6, 24, 42), (38, 38, 39, 39)),
    9: ((6, 26, 46), (36, 36, 36, 37, 37)),
    10: ((6, 28, 50), (43, 43, 43, 43, 44)),
}


def modules(svg: str) -> list[list[bool]]:
    """The dark modules of the picture, without its margin."""
    side = re.search(r'viewBox="0 0 (\d+) ', svg)
    assert side is not None
    size = int(side[1]) - 2 * QUIET
    dark = {(int(row) - QUIET, int(column) - QUIET) for column, row in re.findall(r"M(\d+) (\d+)h1", svg)}
    return [[(row, column) in dark for column in range(size)] for row in range(size)]


def is_function(row: int, column: int, size: int, version: int, centres: tuple[int, ...]) -> bool:
    """Whether a module belongs to a pattern, and not to the data."""
    if (row < 9 and column < 9) or (row < 9 and column >= size - 8) or (row >= size - 8 and column < 9):
        return True
    if row == 6 or column == 6:
        return True
    if version >= 7 and ((row < 6 and column >= size - 11) or (column < 6 and row >= size - 11)):
        return True
    last = centres[-1]
    corners = ((6, 6), (6, last), (last, 6))
    return any(
        abs(row - at) <= 2 and abs(column - beside) <= 2
        for at in centres
        for beside in centres
        if (at, beside) not in corners
    )


def path(size: int) -> Iterator[tuple[int, int]]:
    """Data modules in their order: pairs of columns from the right, upwards and downwards in turn."""
    upwards = True
    for right in [column for column in range(size - 1, 0, -2) if column > 6] + [5, 3, 1]:
        pair = right if right != 6 else 5
        for row in reversed(range(size)) if upwards else range(size):
            yield row, pair
            yield row, pair - 1
        upwards = not upwards


def read(svg: str) -> str:
    dark = modules(svg)
    size = len(dark)
    version = (size - 17) // 4
    centres, blocks = VERSIONS[version]
    told = sum(dark[8][column] << (14 - at) for at, column in enumerate((0, 1, 2, 3, 4, 5, 7, 8)))
    kind = (told >> 10 ^ 0b10101) & 0b11111  # level and mask, under the mask of the standard
    assert kind >> 3 == 0b00  # level M
    mask = MASKS[kind & 0b111]
    bits = [
        dark[row][column] ^ mask(row, column)
        for row, column in path(size)
        if not is_function(row, column, size, version, centres)
    ]
    words = [sum(bit << (7 - at) for at, bit in enumerate(bits[start : start + 8])) for start in range(0, len(bits), 8)]
    # Data bytes of the blocks come in turn, one of each; what is longer comes last.
    taken, data = iter(words), [list[int]() for _ in blocks]
    for at in range(max(blocks)):
        for block, length in zip(data, blocks, strict=True):
            if at < length:
                block.append(next(taken))
    whole = int.from_bytes(bytes(word for block in data for word in block))
    left = 8 * sum(blocks)

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return whole >> left & ((1 << count) - 1)

    assert take(4) == 0b0100  # bytes
    return bytes(take(8) for _ in range(take(16 if version >= 10 else 8))).decode()


@pytest.mark.parametrize("name", ["ada", "olive.of-model-risk", "Zoë Ångström of the second line, London"])
def test_an_app_reads_the_secret_from_the_picture(name: str) -> None:
    secret = totp.new_secret()
    told = totp.address_for_apps(secret, account=name, issuer="Plumbline")
    assert read(str(qr_svg(told, title="QR code"))) == told
    assert f"secret={secret}" in told


def test_it_is_black_on_white_whatever_the_light_and_no_script_or_style_is_in_it() -> None:
    svg = qr_svg("otpauth://totp/x", title="<b>")
    assert 'fill="white"' in svg
    assert 'fill="black"' in svg
    assert "style" not in svg
    assert "<title>&lt;b&gt;</title>" in svg
