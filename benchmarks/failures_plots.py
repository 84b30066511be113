"""Failures as pictures: the confusion matrix, and the spectra behind the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.confusion import Confusion, Mistake
from benchmarks.folder import BenchmarkFolder
from modelprint.features.residual_spectrum import CROP_PX, model_spectrum, ring_frequencies
from modelprint.images import load_image
from modelprint.plots.axes import figure_and_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

GRID = (3, 3)
# A cell of the matrix below this share is left without a number.
LEAST_SHOWN = 0.05


def confusion_plot(found: Confusion, models: Sequence[str]) -> Figure:
    """The confusion matrix: rows are who made an image, columns who it was taken for."""
    figure, ax = figure_and_axes(None)
    figure.set_size_inches(11, 9.6)
    image = ax.imshow(found.shares, vmin=0, vmax=1, cmap="Blues")
    ax.set_xticks(range(len(models)), models, rotation=90)
    ax.set_yticks(range(len(models)), models)
    ax.set(xlabel="taken for", ylabel="made by")
    for row, column in np.argwhere(np.nan_to_num(found.shares) >= LEAST_SHOWN).tolist():
        share = found.shares[row, column]
        colour = "white" if share > 0.5 else "black"
        shown = "1" if share > 0.995 else f"{share:.2f}"[1:]
        ax.text(column, row, shown, color=colour, fontsize=7, ha="center", va="center")
    figure.colorbar(image, ax=ax, label="share of the test images of a model", shrink=0.7)
    return figure


def worst_cases_plot(found: Confusion, folder: BenchmarkFolder) -> Figure:
    """The widest mistake of each pair of models, as spectra: the image's, and those of both models.

    Images below 64 pixels a side have no such spectrum and are left out.
    """
    figure, empty = figure_and_axes(None)
    empty.remove()
    figure.set_size_inches(11, 9)
    spectra = _Spectra(folder)
    frequencies = ring_frequencies()
    chosen = _one_per_pair(found.mistakes, spectra)[: GRID[0] * GRID[1]]
    axes = figure.subplots(*GRID, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(chosen) :]:
        ax.set_axis_off()
    for number, (ax, mistake) in enumerate(zip(axes.flat, chosen, strict=False)):
        own, other = folder.models[mistake.own], folder.models[mistake.taken_for]
        ax.plot(frequencies, spectra.of_model(mistake.own), label=f"made by {own}")
        ax.plot(frequencies, spectra.of_model(mistake.taken_for), label=f"taken for {other}")
        ax.plot(frequencies, spectra.of_image(mistake.image), "k:", label="the image")
        ax.set_title(f"{folder.keys[mistake.image]}, {mistake.margin:.1f} too far", fontsize=9)
        ax.legend(fontsize=7)
        ax.grid(alpha=0.3)
        if number % GRID[1] == 0:
            ax.set_ylabel("residual power, dB")
        if number >= len(chosen) - GRID[1]:
            ax.set_xlabel("cycles per pixel")
    return figure


class _Spectra:
    """Spectra of residuals in dB, read when they are asked for."""

    def __init__(self, folder: BenchmarkFolder) -> None:
        self._folder = folder
        self._models: dict[int, Floats] = {}

    def of_image(self, image: int) -> Floats | None:
        pixels = load_image(self._folder.files[image]).pixels
        return None if min(pixels.shape[1:]) < CROP_PX else model_spectrum([pixels])

    def of_model(self, model: int) -> Floats | None:
        if model not in self._models:
            numbers = np.flatnonzero(self._folder.model_of == model).tolist()
            pixels = [load_image(self._folder.files[number]).pixels for number in numbers]
            whole = [x for x in pixels if min(x.shape[1:]) >= CROP_PX]
            if not whole:
                return None
            self._models[model] = model_spectrum(whole)
        return self._models[model]


def _one_per_pair(mistakes: Sequence[Mistake], spectra: _Spectra) -> list[Mistake]:
    chosen: dict[tuple[int, int], Mistake] = {}
    for mistake in mistakes:
        pair = (mistake.own, mistake.taken_for)
        if pair not in chosen and len(chosen) < GRID[0] * GRID[1]:
            shown = (spectra.of_image(mistake.image), *map(spectra.of_model, pair))
            if not any(spectrum is None for spectrum in shown):
                chosen[pair] = mistake
    return list(chosen.values())
