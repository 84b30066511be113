"""Residual spectra of a folder's models: how alike a model's images are, and who is near whom.

They explain failures without showing an image. A spectrum is that of
`modelprint.features.residual_spectrum`, the least of what the fingerprints are made of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.folder import BenchmarkFolder
from modelprint.features.residual_spectrum import CROP_PX, RINGS, ring_powers

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spectra:
    """Spectra in dB at `ring_frequencies()`; 0 dB is a white residual.

    Attributes:
        images: (N, 45) of each image, NaN where a side is below 64 pixels.
        model_of: (N,) model of each image.
    """

    images: Floats
    model_of: NDArray[np.int64]

    @classmethod
    def of(cls, folder: BenchmarkFolder) -> Spectra:
        """Measure all images of a folder, one by one."""
        rows = np.full((len(folder.files), RINGS), np.nan)
        for row, image in zip(rows, folder.load(), strict=True):
            if image.side_px >= CROP_PX:
                row[:] = 10 * np.log10(ring_powers(image.pixels[None])[0].double().numpy())
        return cls(rows, folder.model_of)

    def of_model(self, model: int) -> Floats:
        """(K, 45) of the model's images that are large enough."""
        rows = self.images[self.model_of == model]
        return np.asarray(rows[np.isfinite(rows).all(axis=1)])

    def spread_db(self, model: int) -> float:
        """Root-mean-square difference of a model's images from their mean; NaN without images."""
        rows = self.of_model(model)
        return float(np.sqrt(((rows - rows.mean(0)) ** 2).mean())) if len(rows) else np.nan

    def nearest_db(self, model: int, models: int) -> float:
        """Root-mean-square difference of its mean from that of the nearest other model."""
        means = [self.of_model(m).mean(0) for m in range(models) if len(self.of_model(m))]
        own = self.of_model(model)
        if not len(own) or len(means) < 2:
            return np.nan
        distances = np.sqrt(((np.array(means) - own.mean(0)) ** 2).mean(1))
        return float(np.sort(distances)[1])


def rank_correlation(a: Floats, b: Floats) -> float | None:
    """Spearman's rank correlation in [-1, 1] over the places where both are numbers.

    None where there are fewer than three, or where one of them does not vary.
    """
    both = np.isfinite(a) & np.isfinite(b)
    ranks = [
        (values[:, None] > values).sum(1) + (values[:, None] == values).sum(1) / 2
        for values in (a[both], b[both])
    ]
    if both.sum() < 3 or any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])
