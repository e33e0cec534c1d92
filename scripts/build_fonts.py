"""Rebuild the report's fonts: ``python scripts/build_fonts.py INTER_VARIABLE.ttf DEJAVU_MONO.ttf`` (Debian has both).

Inter is cut to two upright weights, to the characters a report can need, and to tabular figures as its default figures:
a PDF made with reportlab cannot ask a font for OpenType features, and columns of numbers must line up.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

FONTS = Path(__file__).resolve().parent.parent / "reports" / "fonts"
RANGES = (
    (0x20, 0x7E), (0xA0, 0x17F), (0x192, 0x192), (0x218, 0x21B), (0x2C6, 0x2DD), (0x370, 0x3FF), (0x400, 0x45F),
    (0x1E80, 0x1E9E), (0x2010, 0x2026), (0x2030, 0x203A), (0x2044, 0x2044), (0x2070, 0x208E), (0x20AC, 0x20AC),
    (0x2116, 0x2122), (0x2190, 0x2199), (0x2202, 0x2265), (0x25A0, 0x25FF),
)  # fmt: skip
CHARACTERS = [point for first, last in RANGES for point in range(first, last + 1)]


def build(source: Path, *, target: Path, weight: int | None, name: str) -> None:
    """Write one static, subset font.

    Parameters
    ----------
    source
        A TrueType font, variable if ``weight`` is given.
    target
        Where the font goes.
    weight
        The weight to cut a variable font at.
    name
        Its full and PostScript name.
    """
    font = TTFont(source, recalcTimestamp=False)
    if weight is not None:
        instantiateVariableFont(font, {"wght": weight}, inplace=True)
        _use_tabular_figures(font)
    for record in font["name"].names:
        if record.nameID in (4, 6):
            record.string = name
    options = Options()
    options.layout_features = ["kern"]
    options.hinting = False
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    font.save(target)


def _use_tabular_figures(font: TTFont) -> None:
    table = font["GSUB"].table
    swaps: dict[str, str] = {}
    for feature in table.FeatureList.FeatureRecord:
        if feature.FeatureTag == "tnum":
            for index in feature.Feature.LookupListIndex:
                for lookup in table.LookupList.Lookup[index].SubTable:
                    swaps.update(getattr(lookup, "mapping", None) or lookup.ExtSubTable.mapping)
    for cmap in font["cmap"].tables:
        for point in map(ord, "0123456789"):
            glyph = cmap.cmap.get(point)
            if glyph in swaps:
                cmap.cmap[point] = swaps[glyph]


if __name__ == "__main__":
    inter, mono = map(Path, sys.argv[1:3])
    build(inter, target=FONTS / "Inter-Regular.ttf", weight=400, name="Inter-Regular")
    build(inter, target=FONTS / "Inter-SemiBold.ttf", weight=650, name="Inter-SemiBold")
    build(mono, target=FONTS / "DejaVuSansMono.ttf", weight=None, name="DejaVuSansMono")
