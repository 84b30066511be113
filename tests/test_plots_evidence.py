"""The picture of evidence shows what the evidence says."""

import dataclasses

import numpy as np
import pytest
from test_evidence import BLUE, ColourEmbedder, coloured, reference, spliced
from tiny import extractor as tiny_extractor
from tiny import photos

from modelprint.answers.evidence import explain
from modelprint.errors import InvalidImageError, InvalidOptionError
from modelprint.images import load_image

matplotlib = pytest.importorskip("matplotlib", reason="pip install 'modelprint[plots]'")

from modelprint.plots import evidence_plot  # noqa: E402


@pytest.fixture(scope="module")
def colours():
    several = {"red": [coloured((200, 90, 90), 64, 64, i) for i in range(2)]}
    several["$blue$"] = [coloured(BLUE, 64, 64, i + 9) for i in range(2)]
    return reference(ColourEmbedder(), several)


def titles(figure):
    return [ax.get_title() for ax in figure.axes]


def test_it_shows_the_map_and_the_nearest(colours, tmp_path):
    evidence = explain(colours, spliced(), "red")
    figure = evidence_plot(evidence, spliced())
    place = figure.axes[0]
    (nearest,) = [ax for ax in figure.axes if ax.get_title().startswith("nearest")]
    (mesh,) = [c for c in place.collections if hasattr(c, "get_coordinates")]
    assert np.allclose(mesh.get_array().reshape(4, 6), evidence.tiles.scores)
    x, y = mesh.get_coordinates()[0, :, 0], mesh.get_coordinates()[:, 0, 1]
    assert x.tolist() == [0, 96, 160, 224, 288, 352, 448]
    assert y.tolist() == [0, 96, 160, 224, 320]
    assert len(place.images) == 1
    assert place.get_ylim() == (320, 0)
    widths = [bar.get_width() for bar in nearest.patches]
    assert widths == pytest.approx([near.score for near in evidence.nearest])
    colour = [bar.get_facecolor() for bar in nearest.patches]
    assert [near.label for near in evidence.nearest] == ["$blue$", "$blue$", "red", "red"]
    assert colour[0] == colour[1] != colour[2] == colour[3]
    assert f"score {evidence.score:.2f}" in figure.get_suptitle()
    figure.savefig(tmp_path / "evidence.png", dpi=40)  # "$" in a label is no formula


def test_spectra_are_drawn_where_there_are_some():
    stack = photos(3, 64, 64)
    enrolled = reference(tiny_extractor(), {"a": [*stack[:2]]})
    evidence = explain(enrolled, load_image(stack[2]))
    figure = evidence_plot(evidence)
    shown = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert np.allclose(shown[0], evidence.spectrum.image[0])
    assert np.allclose(shown[1], evidence.spectrum.enrolled[0])
    assert np.allclose(
        shown[2], np.multiply(evidence.spectrum.image[0], evidence.spectrum.enrolled[0])
    )
    assert any(f"r {evidence.spectrum.correlation:.2f}" in title for title in titles(figure))
    without = evidence_plot(dataclasses.replace(evidence, spectrum=None))
    assert len(without.axes) < len(figure.axes)


def test_tiles_too_flat_to_score_are_left_blank(colours):
    pixels = coloured(BLUE, 128, 256, 3)
    pixels[:, :128] = 90
    figure = evidence_plot(explain(colours, load_image(pixels)))
    (mesh,) = [c for c in figure.axes[0].collections if hasattr(c, "get_coordinates")]
    assert np.ma.getmaskarray(mesh.get_array()).ravel().tolist() == [True, False, False]
    assert "1 too flat" in titles(figure)[0]


def test_every_figure_is_new_and_another_image_is_refused(colours):
    evidence = explain(colours, spliced())
    assert evidence_plot(evidence) is not evidence_plot(evidence)
    with pytest.raises(InvalidOptionError, match="pixels differ"):
        evidence_plot(evidence, coloured(BLUE, 320, 448, 7))
    with pytest.raises(InvalidImageError):
        evidence_plot(evidence, "missing.png")
    with pytest.raises(InvalidOptionError, match=r"gallery\.explain"):
        evidence_plot(evidence.to_dict())
