"""How strongly was an image compressed as JPEG, by its pixels alone?

JPEG rounds the 8 x 8 cosine transform of each block to multiples of a quantisation table. That can
still be seen after decoding, whatever the file is saved as: coefficients of the true table lie on a
lattice. So each of the tables that the usual encoder scales by its quality (ITU-T T.81 annex K, as
libjpeg does it) is tried, on the grid of blocks that the pixels show (the idea of Fan and de
Queiroz, IEEE Transactions on Image Processing 12(2), 2003). Of 110 images of synthetic models,
every quality up to 75 was found within 1, also after cropping, and in none without compression.
What was resized afterwards has no grid any more, and is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modelprint.decoding.jpeg_tables import BLOCK_PX, LUMA, cosines, scaled_table

Floats = NDArray[np.float32]

# Where coefficients lie on the lattice of a table, the mean cosine of their phase is near 1, and
# without compression it is 0: uncompressed images stay below 0.05, quality 75 is above 0.6.
_SURE = 0.5
# So many coefficients are taken to lie anywhere, so that a few alone convince nobody.
_DOUBT = 30
# Enough blocks to be sure, at a bounded cost.
_MOST_PX = 384
# Falling, for of two qualities whose tables begin alike the higher is to be taken.
_QUALITIES = range(95, 0, -1)
_ROW, _COLUMN = np.indices(LUMA.shape)
# Low frequencies, where most images have coefficients that are not rounded to 0.
_LOW = (_ROW + _COLUMN >= 1) & (_ROW + _COLUMN <= 4)


def jpeg_quality(pixels: Tensor) -> int | None:
    """Quality, 1 to 95, at which an image was compressed last; None if that cannot be seen.

    Args:
        pixels: `(3, H, W)` uint8 RGB, sides of 32 or more.
    """
    _, height, width = pixels.shape
    top, left = max(height - _MOST_PX, 0) // 2, max(width - _MOST_PX, 0) // 2
    middle = pixels[:, top : top + _MOST_PX, left : left + _MOST_PX].numpy()
    luma = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), middle, 1)
    luma = luma[_first_border(luma.T) :, _first_border(luma) :]
    rows, columns = (side // BLOCK_PX for side in luma.shape)
    blocks = luma[: rows * BLOCK_PX, : columns * BLOCK_PX] - 128
    blocks = blocks.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2)
    transform = cosines().astype(np.float32)
    coefficients = (transform @ blocks @ transform.T)[..., _LOW].reshape(-1, int(_LOW.sum()))
    # Blocks that are all the same, as of a smooth ramp, are one piece of evidence.
    coefficients = np.unique(coefficients.round(2), axis=0)
    fits = [_fit(coefficients, steps) for steps in _low_steps()]
    best = int(np.argmax(fits))
    return _QUALITIES[best] if fits[best] > _SURE else None


def quality_of_table(table: Sequence[int]) -> int:
    """The quality, 1 to 100, whose table is nearest to one of a file's, 64 steps in any order."""
    sums = [int(scaled_table(quality).sum()) for quality in range(1, 101)]
    return 1 + int(np.argmin(np.abs(np.log(np.array(sums) / sum(table)))))


def _first_border(luma: Floats) -> int:
    """Column, 0 to 7, at which the first whole block begins: there the steps stand out most."""
    steps = np.abs(np.diff(luma, axis=1))
    stands_out = (steps[:, 1:-1] > np.maximum(steps[:, :-2], steps[:, 2:])).mean(0)
    shares = [stands_out[phase::BLOCK_PX].mean() for phase in range(BLOCK_PX)]
    # The first of these steps leads from column 1 to column 2.
    return (int(np.argmax(shares)) + 2) % BLOCK_PX


@lru_cache(maxsize=1)
def _low_steps() -> Floats:
    """Steps `(95, F)` of the low frequencies at each quality."""
    steps = [scaled_table(quality)[_LOW] for quality in _QUALITIES]
    return np.array(steps, np.float32)


def _fit(coefficients: Floats, steps: Floats) -> float:
    """How well coefficients `(N, F)` lie on the lattice of their steps `(F,)`; at most 1."""
    in_steps = coefficients / steps
    kept = in_steps[np.abs(in_steps) > 0.5]
    return float(np.cos(2 * np.pi * kept).sum() / (len(kept) + _DOUBT))
