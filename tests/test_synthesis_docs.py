"""docs/synthesis.md names every axis and every option of the spaces that it describes."""

import re
from pathlib import Path

import pytest

from modelprint.synthesis.space import OPEN, PAPER

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "synthesis.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.split("|")[1:3]] for line in PAGE.splitlines() if "|" in line
]


def documented(axis: str) -> str:
    """The options cells of an axis, also of the lines below that continue it."""
    start = next(i for i, row in enumerate(ROWS) if row and row[0] == f"`{axis}`")
    cells = [ROWS[start][1]]
    for row in ROWS[start + 1 :]:
        if row[0]:
            break
        cells.append(row[1])
    return " ".join(cells)


@pytest.mark.parametrize(
    ("axis", "options"),
    [*OPEN.stage.items(), *OPEN.whole.items(), *PAPER.stage.items()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_option_is_described(axis, options):
    text = documented(axis)
    if axis == "upsampler":
        first, last = re.search(r"`transposed(\d)` \.\.\. `transposed(\d)`", text).groups()
        text += "".join(f" `transposed{n}`" for n in range(int(first), int(last) + 1))
    words = set(re.findall(r"`([^`]+)`|(\d[\d.]*)", text))
    known = {quoted or number.rstrip(".") for quoted, number in words}
    missing = {
        str(option) if isinstance(option, str | bool) else f"{option:g}" for option in options
    }
    assert missing <= known
