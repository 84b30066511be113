import pytest
import torch
from fakes import filled_gallery, picture

from modelprint.report import BAD, GOOD, TILE_PX, Tile, candidates_table, contact_sheet, table


def test_numbers_stand_right_and_words_left():
    lines = table(["model", "images"], [["sdxl", 10], ["flux-schnell", 5]]).split("\n")
    assert lines == [
        "model         images",
        "------------  ------",
        "sdxl              10",
        "flux-schnell       5",
    ]
    assert table(["p", "share"], [["-", "5%"], ["0.5", ""]]).split("\n")[2:] == [
        "  -     5%",
        "0.5",
    ]


def test_a_label_cannot_break_the_table():
    assert len(table(["a"], [["x\ny\x1b[31m"]]).split("\n")) == 3


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [[1]])


def test_candidates_are_shown_best_first():
    answer = filled_gallery().identify(picture(2, 99))
    lines = candidates_table(answer, most=2).split("\n")
    assert len(lines) == 4
    assert lines[2].split()[0] == "flux"
    assert float(lines[2].split()[1]) == pytest.approx(answer.candidates[0].score, abs=0.01)
    assert lines[0].split() == ["candidate", "score", "p-value", "llr", "share"]
    assert lines[2].split()[3:] == ["-", "100%"]


def test_a_contact_sheet_holds_the_pictures_and_their_captions():
    red = torch.zeros(3, 50, 200, dtype=torch.uint8)
    red[0] = 255
    blue = red.flip(0)
    tiles = [Tile(red, "match", GOOD), Tile(blue, "no " * 60, BAD)]
    sheet = contact_sheet("title", [("first", tiles), ("second", tiles[:1])])
    assert sheet.mode == "RGB"
    pixels = sheet.load()
    counts = {colour: count for count, colour in sheet.getcolors(sheet.width * sheet.height)}
    assert counts[(255, 0, 0)] == 2 * TILE_PX**2
    assert counts[(0, 0, 255)] == TILE_PX**2
    assert counts[GOOD] > 0
    assert counts[BAD] > 0
    # The long caption ends where its picture does.
    places = [(x, pixels[x, y]) for x in range(sheet.width) for y in range(sheet.height)]
    ends = {colour: x for x, colour in places}
    assert ends[BAD] <= ends[0, 0, 255]


def test_a_contact_sheet_may_be_empty():
    assert contact_sheet("nothing", []).width > 0
