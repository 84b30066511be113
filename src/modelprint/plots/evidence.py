"""The evidence for a decision as one picture."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelprint.answers.evidence import Evidence, ScoreMap
from modelprint.answers.fingerprint_spectrum import SpectrumComparison
from modelprint.batches import OneImage
from modelprint.errors import InvalidOptionError
from modelprint.images import load_image
from modelprint.plots.axes import figure_and_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDTH_INCHES, ROW_INCHES = 11.0, 3.4
# Tiles this flat have no residual to score.
FLAT_SHARE = 0.98
LONGEST_NAME = 28


def evidence_plot(evidence: Evidence, image: OneImage | None = None) -> Figure:
    """Draw where a score comes from, which frequencies agree, and the nearest enrolled images.

    Args:
        evidence: From `gallery.explain`.
        image: The image, to lie under the map of scores; None draws the map alone.

    Returns:
        A figure of its own.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InvalidOptionError: `evidence` is something else, or `image` another image.
        InvalidImageError: `image` cannot be read.
    """
    if not isinstance(evidence, Evidence):
        raise InvalidOptionError(
            f"evidence: expected what gallery.explain gave, got {type(evidence).__name__}"
        )
    pixels = None if image is None else _pixels(evidence, image)
    figure, alone = figure_and_axes(None)
    alone.remove()
    rows = 1 if evidence.spectrum is None else 2
    figure.set_size_inches(WIDTH_INCHES, rows * ROW_INCHES)
    # Rows of their own: two and three panels in one grid leave the layout without a solution.
    parts = figure.subfigures(rows, 1, squeeze=False)[:, 0]
    where, nearest = parts[0].subplots(1, 2)
    _draw_map(parts[0], where, evidence, pixels)
    _draw_nearest(nearest, evidence)
    if evidence.spectrum is not None:
        _draw_spectra(parts[1], list(parts[1].subplots(1, 3)), evidence.spectrum)
    p = "not calibrated" if evidence.p_value is None else f"p {evidence.p_value:.2g}"
    against = f"{_short(evidence.image)} against {_short(evidence.label)}"
    figure.suptitle(f"{_plain(against)}: score {evidence.score:.2f}, {p}")
    return figure


def _pixels(evidence: Evidence, image: OneImage) -> NDArray[np.uint8]:
    loaded = load_image(image)
    if loaded.sha256 != evidence.image_sha256:
        raise InvalidOptionError(
            f"image: {loaded.name} is not the image of this evidence, {evidence.image}: "
            "their pixels differ"
        )
    return np.asarray(loaded.pixels.permute(1, 2, 0).numpy())


def _draw_map(
    figure: SubFigure, ax: Axes, evidence: Evidence, pixels: NDArray[np.uint8] | None
) -> None:
    tiles = evidence.tiles
    width, height = evidence.width_px, evidence.height_px
    if pixels is not None:
        ax.imshow(pixels.mean(2), cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    scores = np.array(tiles.scores)
    flat = np.array(tiles.flat_shares) > FLAT_SHARE
    shown = np.ma.masked_array(scores, flat)
    mesh = ax.pcolormesh(
        _borders(tiles.lefts_px, tiles, width),
        _borders(tiles.tops_px, tiles, height),
        shown,
        # A tile that strangers would score as well as is pale, whatever the image's score.
        vmin=0.0,
        vmax=max(float(scores.max()), 1.0),
        alpha=None if pixels is None else 0.55,
    )
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.set(xlabel="px", ylabel="px")
    named = f"where: scores of tiles of {tiles.side_px} px"
    ax.set_title(f"{named}; {int(flat.sum())} too flat" if flat.any() else named, fontsize=10)
    figure.colorbar(mesh, ax=ax, label="score")


def _borders(starts: tuple[int, ...], tiles: ScoreMap, length_px: int) -> list[float]:
    """Where one tile's colour ends and the next begins: half way between their centres."""
    centres = [start + tiles.side_px / 2 for start in starts]
    return [0.0, *((a + b) / 2 for a, b in pairwise(centres)), length_px]


def _draw_nearest(ax: Axes, evidence: Evidence) -> None:
    names = [_plain(f"{_short(near.label)}\n{_short(near.name)}") for near in evidence.nearest]
    places = range(len(names))
    same = [near.label == evidence.label for near in evidence.nearest]
    scores = [near.score for near in evidence.nearest]
    ax.barh(places, scores, alpha=0.9, color=["C0" if own else "C1" for own in same])
    ax.set_yticks(places, names, fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel("score")
    ax.set_title("nearest enrolled images (orange: of other models)", fontsize=10)
    ax.grid(axis="x", alpha=0.3)


def _draw_spectra(figure: SubFigure, axes: list[Axes], spectrum: SpectrumComparison) -> None:
    """The first channel of each and their product, whose mean is nearly the correlation."""
    image, enrolled = np.array(spectrum.image[0]), np.array(spectrum.enrolled[0])
    limit = float(np.quantile(np.abs([image, enrolled]), 0.99))
    frame: dict[str, Any] = {"extent": (0.0, 0.5, 0.5, -0.5), "aspect": "auto", "cmap": "RdBu_r"}
    name = spectrum.channels[0]
    for ax, values, title in zip(
        axes,
        (image, enrolled, image * enrolled),
        (
            f"spectrum of the image ({name})",
            f"spectrum of what is enrolled ({name})",
            f"their product: red agrees (r {spectrum.correlation:.2f})",
        ),
        strict=True,
    ):
        product = values is not image and values is not enrolled
        shown = ax.imshow(
            values,
            vmin=-(limit**2) if product else -limit,
            **frame,
            vmax=limit**2 if product else limit,
        )
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("horizontal, cycles per px")
        figure.colorbar(shown, ax=ax)
    axes[0].set_ylabel("vertical, cycles per px")


def _short(name: str) -> str:
    """The end of a path, which tells more than its beginning."""
    return name if len(name) <= LONGEST_NAME else f"...{name[-LONGEST_NAME + 3 :]}"


def _plain(text: str) -> str:
    """Text that matplotlib shows as it is: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")
