"""Regular patterns in perspective: facades, blinds, tiles, fences, stripes, corrugated iron.

What people build and weave repeats, in rows that are mostly upright. Spectra of photographs show it
as sharp lines, which dead leaves alone never have.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelprint.draws import Draws

Floats = npt.NDArray[np.float32]
# Cells of a pattern that differ in brightness, before they repeat.
_CELLS = 32
_SHORTEST_PX = 4.0


def add_pattern(draws: Draws, canvas: Floats, palette: Floats) -> None:
    """Lay a pattern over the canvas or a part of it.

    Args:
        draws: Where the choices come from.
        canvas: ``(S, S, 3)`` in 0..255, changed in place.
        palette: ``(8, 3)`` colours.
    """
    across, down = _surface(draws, canvas.shape[0])
    alpha = _inside(draws, across, down)
    period = _SHORTEST_PX * 2 ** draws.number(0, 4)
    across, down = across / period, down / (period * draws.choice((0.4, 1.0, 1.0, 1.6, 3.0)))
    ink, ground = palette[draws.integer(8)], palette[draws.integer(8)]
    if draws.number() < 0.5:
        # Of one material: what stands out is lit differently.
        ground = ink * np.float32(draws.number(0.5, 0.95))
    share = draws.choice((_stripes, _stripes, _grid, _grid, _bricks))(draws, across, down)
    uneven = draws.choice((0.0, 0.0, 0.1, 0.3)) * (_by_cell(draws, across, down) - 0.5)
    colours = (ground + share[..., None] * (ink - ground)) * (1 + uneven)[..., None]
    canvas += alpha[..., None] * (colours - canvas)


def _surface(draws: Draws, side: int) -> tuple[Floats, Floats]:
    """Coordinates of every pixel on a plane in perspective: in pixels where it is nearest."""
    y, x = np.indices((side, side), np.float32) - np.float32(side / 2)
    # Most of what repeats is upright or level.
    turn = draws.choice((0.0, 0.0, 0.5, 0.5, draws.number())) * np.pi + 0.03 * draws.number(-1, 1)
    tilt = draws.uniform(2, low=-0.9, high=0.9) * draws.choice((0.0, 1.0, 1.0))
    steepest = np.abs(tilt).sum()
    depth = 1 + steepest / 2 + (tilt[0] * x + tilt[1] * y) / side
    nearest = (1 + steepest) / depth
    across = (x * np.cos(turn) + y * np.sin(turn)) * nearest
    down = (y * np.cos(turn) - x * np.sin(turn)) * nearest
    return across.astype(np.float32), down.astype(np.float32)


def _inside(draws: Draws, across: Floats, down: Floats) -> Floats:
    """How much of each pixel the pattern covers, 0 to 1: all, or a rectangle of its plane."""
    side = across.shape[0]
    inside = np.ones_like(across)
    if draws.number() < 0.35:
        return inside
    for coordinate in (across, down):
        first, length = draws.number(-0.6, 0.2) * side, draws.number(0.25, 0.8) * side
        inside *= np.clip(coordinate - first, 0, 1) * np.clip(first + length - coordinate, 0, 1)
    return inside


def _edge(place: Floats, share: float, sharpness: float) -> Floats:
    """How much ink there is along a line of period 1, of which ``share`` is ink, 0 to 1."""
    distance = np.abs(place - np.floor(place) - np.float32(0.5))
    ink = np.clip((np.float32(share / 2) - distance) * np.float32(sharpness) + 0.5, 0, 1)
    return np.asarray(ink, np.float32)


def _stripes(draws: Draws, across: Floats, _: Floats) -> Floats:
    return _edge(across, draws.number(0.2, 0.8), draws.choice((2.0, 6.0, 20.0)))


def _grid(draws: Draws, across: Floats, down: Floats) -> Floats:
    sharpness = draws.choice((4.0, 10.0, 20.0))
    width, height = draws.uniform(2, low=0.35, high=0.95).tolist()
    return _edge(across, width, sharpness) * _edge(down, height, sharpness)


def _bricks(draws: Draws, across: Floats, down: Floats) -> Floats:
    row = np.floor(down)
    shifted = (across + draws.choice((0.5, 0.33)) * row).astype(np.float32)
    sharpness = draws.choice((10.0, 20.0))
    return _edge(shifted, draws.number(0.85, 0.97), sharpness) * _edge(down, 0.85, sharpness)


def _by_cell(draws: Draws, across: Floats, down: Floats) -> Floats:
    """A number in 0 to 1 for every cell of the pattern: windows with light and without."""
    table = draws.uniform(_CELLS, _CELLS)
    rows = np.floor(down).astype(np.int64) % _CELLS
    columns = np.floor(across).astype(np.int64) % _CELLS
    return np.asarray(table[rows, columns], np.float32)
