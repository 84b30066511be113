"""Answers for human eyes: tables in plain text, and a contact sheet of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from modelprint.decision import Identification, one_line

TILE_PX = 144
_GAP_PX = 10
_CAPTION_PX = 16
_PAPER, _INK, _PALE = (250, 250, 248), (30, 30, 30), (110, 110, 110)
GOOD, BAD, UNDECIDED = (20, 120, 60), (190, 30, 30), (120, 110, 20)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns of text; what looks like a number is aligned to the right.

    Args:
        headers: One per column.
        rows: Each as long as ``headers``; values are shown by ``str``.

    Returns:
        Lines without a newline at the end.

    >>> print(table(["model", "images"], [["sdxl", 10], ["flux", 5]]))
    model  images
    -----  ------
    sdxl       10
    flux        5
    """
    cells = [[one_line(str(value)) for value in row] for row in rows]
    columns = list(zip(headers, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [bool(cells) and all(map(_is_number, column[1:])) for column in columns]
    lines = [headers, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def candidates_table(answer: Identification, most: int = 5) -> str:
    """The best candidates of an answer, one line each."""
    rows = [
        [
            candidate.label,
            f"{candidate.score:.2f}",
            "-" if candidate.p_value is None else f"{candidate.p_value:.2g}",
            "-" if candidate.llr is None else f"{candidate.llr:.1f}",
            "-" if candidate.share is None else f"{100 * candidate.share:.0f}%",
        ]
        for candidate in answer.candidates[:most]
    ]
    return table(["candidate", "score", "p-value", "llr", "share"], rows)


@dataclass(frozen=True)
class Tile:
    """One picture of a contact sheet.

    Attributes:
        pixels: ``(3, H, W)`` uint8 RGB.
        caption: A few words to stand below it.
        colour: RGB of the caption, such as ``GOOD``, ``BAD`` or ``UNDECIDED``.
    """

    pixels: Tensor
    caption: str
    colour: tuple[int, int, int] = _INK


def contact_sheet(title: str, rows: Sequence[tuple[str, Sequence[Tile]]]) -> Image.Image:
    """Draw pictures in rows: a heading per row, a caption under each picture.

    Args:
        title: Stands on top.
        rows: Heading and pictures of each row.

    Returns:
        An RGB picture; whatever their size, the pictures in it are squares of 144 pixels.
    """
    line = _CAPTION_PX + _GAP_PX
    row_px = line + TILE_PX + line
    most = max((len(tiles) for _, tiles in rows), default=0)
    width = max(640, _GAP_PX + most * (TILE_PX + _GAP_PX))
    sheet = Image.new("RGB", (width, 2 * line + len(rows) * row_px), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP_PX, _GAP_PX), title, fill=_INK, font=ImageFont.load_default(_CAPTION_PX + 4))
    for number, (heading, tiles) in enumerate(rows):
        top = 2 * line + number * row_px
        pen.text((_GAP_PX, top), heading, fill=_PALE, font=ImageFont.load_default(_CAPTION_PX - 2))
        for column, tile in enumerate(tiles):
            left = _GAP_PX + column * (TILE_PX + _GAP_PX)
            sheet.paste(_square(tile.pixels), (left, top + line))
            _caption(pen, (left, top + line + TILE_PX + 3), tile)
    return sheet


def _square(pixels: Tensor) -> Image.Image:
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    return picture.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)


def _caption(pen: ImageDraw.ImageDraw, place: tuple[int, int], tile: Tile) -> None:
    font = ImageFont.load_default(_CAPTION_PX - 4)
    text = tile.caption
    while text and pen.textlength(text, font=font) > TILE_PX:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    pen.text(place, text, fill=tile.colour, font=font)


def _is_number(cell: str) -> bool:
    try:
        float(cell.rstrip("%"))
    except ValueError:
        return cell in ("", "-")
    return True
