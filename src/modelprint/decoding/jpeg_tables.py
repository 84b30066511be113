"""The numbers of baseline JPEG (ITU-T T.81): its quantisation table, and the cosine transform."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK_PX = 8
# Of luma, annex K, which libjpeg scales by its quality; these are for quality 50.
LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def scaled_table(quality: int) -> NDArray[np.int64]:
    """Steps ``(8, 8)`` of libjpeg's luma table at a quality of 1 to 100."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.asarray(np.clip((LUMA * percent + 50) // 100, 1, 255))


def cosines() -> NDArray[np.float64]:
    """The 8-point cosine transform as a matrix ``(8, 8)`` with orthonormal rows."""
    row, column = np.indices((BLOCK_PX, BLOCK_PX))
    basis = 0.5 * np.cos(np.pi * (2 * column + 1) * row / (2 * BLOCK_PX))
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)
