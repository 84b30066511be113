"""Fidelity and diversity of sets of models, from their spectra.

Rows are spectra in dB (``modelprint.features.residual_spectrum``), one per model. With some 20 real
models the distance is noisy, biased upwards, and dominated by which models these are. Therefore:

- all sets have equally many models, so that the bias is common to them;
- the *change* against a reference is resampled jointly, with the same real models on both sides,
  which takes most of that noise away;
- a distance at half of the real models against as many synthetic ones stands beside the distance
  between the two halves of the real models: no space can be expected to come below that floor;
- a resample repeats models, which raises the distance further, as fewer models would: resamples are
  therefore scaled to have the figure as their mean, differences shifted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, measure
from modelprint.draws import Draws
from modelprint.metrics import diversity, frechet_frequency_distance

Floats = NDArray[np.float64]

HALVINGS = 200


@dataclass(frozen=True)
class Fidelity:
    """Figures of one line of the table, each the mean over its sets.

    Attributes:
        ffd: Fréchet frequency distance to all real models, dB squared; None for the real models.
        change: ``ffd`` minus that of the reference; None for the reference and the real models.
        ffd_of_halves: The distance at half of the real models against as many of the set; for the
            real models that of the other half.
        diversity: Mean log-spectral distance between two models, dB.
    """

    ffd: Figure | None
    change: Figure | None
    ffd_of_halves: float
    diversity: Figure

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for JSON."""
        return {
            "ffd_db2": None if self.ffd is None else self.ffd.to_dict(),
            "change_db2": None if self.change is None else self.change.to_dict(),
            "ffd_of_halves_db2": self.ffd_of_halves,
            "diversity_db": self.diversity.to_dict(),
        }


def of_real(real: Floats, *, resamples: int) -> Fidelity:
    """The floor: two halves of the real models ``(R, F)``, R >= 4, and their own diversity."""
    halves = [
        frechet_frequency_distance(real[one], real[other])
        for one, other in map(_halves, range(HALVINGS), [len(real)] * HALVINGS)
    ]
    return Fidelity(None, None, float(np.mean(halves)), _diversity([real], resamples))


def of_sets(
    real: Floats, sets: Sequence[Floats], *, reference: Sequence[Floats] | None, resamples: int
) -> Fidelity:
    """How near some sets of models are to the real ones, and how varied they are.

    Args:
        real: ``(R, F)`` spectra of real models, R >= 4.
        sets: ``(N, F)`` spectra of each set.
        reference: Sets that the change is measured against; None for no change.
        resamples: Of the bootstrap.
    """

    def distance(weights: Floats) -> Floats:
        return _mean_distance(real, sets, weights)

    def change(weights: Floats) -> Floats:
        ours = len(real) + sum(map(len, sets))
        others = np.concatenate([weights[:, : len(real)], weights[:, ours:]], axis=1)
        against = _mean_distance(real, reference or (), others)
        return _mean_distance(real, sets, weights[:, :ours]) - against

    groups = [len(real), *map(len, sets)]
    return Fidelity(
        ffd=_around(distance, _scaled, groups, resamples),
        change=None
        if reference is None
        else _around(change, _shifted, [*groups, *map(len, reference)], resamples),
        ffd_of_halves=_at_half_size(real, sets),
        diversity=_diversity(sets, resamples),
    )


def _mean_distance(real: Floats, sets: Sequence[Floats], weights: Floats) -> Floats:
    """Mean distance ``(W,)`` for counts ``(W, R + N + N + ...)`` of each model."""
    ends = np.cumsum([len(real), *map(len, sets)])
    total = np.zeros(len(weights))
    for number, counts in enumerate(weights.astype(int)):
        rows = np.repeat(real, counts[: len(real)], axis=0)
        for end, models in zip(ends[1:], sets, strict=True):
            drawn = np.repeat(models, counts[end - len(models) : end], axis=0)
            total[number] += frechet_frequency_distance(rows, drawn)
    return total / len(sets)


def _around(
    statistic: Callable[[Floats], Floats],
    centred: Callable[[Floats, float], Floats],
    groups: Sequence[int],
    resamples: int,
) -> Figure:
    """The statistic of all models, and an interval from resamples that are centred on it."""
    value = float(statistic(np.ones((1, sum(groups))))[0])
    return measure(
        value, lambda weights: centred(statistic(weights), value), groups, resamples=resamples
    )


def _scaled(figures: Floats, value: float) -> Floats:
    """Resampled distances with ``value`` as their mean: what cannot be negative stays so."""
    mean = float(figures.mean())
    return np.asarray(figures * (value / mean if mean > 0 else 1.0))


def _shifted(figures: Floats, value: float) -> Floats:
    """Resampled differences with ``value`` as their mean."""
    return np.asarray(figures - figures.mean() + value)


def _diversity(sets: Sequence[Floats], resamples: int) -> Figure:
    value = float(np.mean([diversity(rows) for rows in sets]))
    distances = [_distances(rows) for rows in sets]
    ends = np.cumsum([0, *map(len, sets)])

    def statistic(weights: Floats) -> Floats:
        figures = []
        for start, end, apart in zip(ends, ends[1:], distances, strict=False):
            drawn = weights[:, start:end]
            # A model that is drawn twice makes no pair with itself, else resamples would all be
            # less varied than the set.
            pairs = drawn.sum(1) ** 2 - (drawn**2).sum(1)
            with np.errstate(invalid="ignore"):  # one model alone: no pair, no figure
                figures.append(((drawn @ apart) * drawn).sum(1) / pairs)
        return np.asarray(np.mean(figures, axis=0))

    return measure(value, statistic, list(map(len, sets)), resamples=resamples)


def _distances(rows: Floats) -> Floats:
    """Log-spectral distance ``(N, N)`` of every two rows."""
    return np.stack([np.sqrt(((rows - row) ** 2).mean(1)) for row in rows])


def _at_half_size(real: Floats, sets: Sequence[Floats]) -> float:
    figures = []
    for draw in range(HALVINGS):
        models = sets[draw % len(sets)]
        one, other = _halves(draw, len(real))
        chosen = Draws("fidelity", "at half size", draw).permutation(len(models))[: len(other)]
        figures.append(frechet_frequency_distance(real[one], models[chosen]))
    return float(np.mean(figures))


def _halves(draw: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A random split of ``count`` models, the same for every line of the table."""
    order = Draws("fidelity", "halves", draw).permutation(count)
    return order[: count // 2], order[count // 2 : count // 2 * 2]
