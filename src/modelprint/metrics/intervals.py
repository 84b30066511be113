"""How far a figure would move with other models: percentile bootstrap over whole groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from modelprint.errors import InvalidOptionError
from modelprint.metrics.inputs import Floats


def bootstrap_interval(
    statistic: Callable[[Floats], Floats],
    groups: int | Sequence[int],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a figure, resampling whole groups such as models.

    Images of one model stand or fall together, so an interval over images is far too narrow: draw
    models with all their images instead. The statistic sees how often each group was drawn and
    computes all resamples at once. For the mean of one value per model:

    >>> values = np.array([0.5, 0.7, 0.9])
    >>> low, high = bootstrap_interval(lambda w: w @ values / w.sum(axis=1), 3)
    >>> 0.5 <= low < 0.7 < high <= 0.9
    True

    A figure that is no ratio of sums is computed one resample after the other, with each image as
    often as its model was drawn: `[equal_error_rate(*resampled(w)) for w in weights.astype(int)]`,
    where `np.repeat(scores, w[model_of])` makes the lists.

    Args:
        statistic: takes (R, G) float64, how often each group is in each resample, and returns (R,)
            figures; NaN where a resample leaves the figure undefined.
        groups: number G of groups, or numbers of groups of several kinds that are resampled each
            for itself (then G is their sum).
        resamples: R, at least 1.
        level: coverage in (0, 1).
        seed: of the draws; the same seed and numbers give the same interval.

    Returns:
        Lower and upper bound. Undefined resamples are left out.

    Raises:
        InvalidOptionError: an argument is out of range, or every resample is undefined.
    """
    kinds = [groups] if isinstance(groups, int) else list(groups)
    if not kinds or min(kinds) < 1:
        raise InvalidOptionError(f"groups: expected numbers of at least 1, got {groups!r}.")
    if resamples < 1:
        raise InvalidOptionError(f"resamples: expected at least 1, got {resamples!r}.")
    if not 0.0 < level < 1.0:
        raise InvalidOptionError(f"level: expected a share in (0, 1), got {level!r}.")
    generator = np.random.default_rng(seed)
    counts = [generator.multinomial(n, np.full(n, 1.0 / n), size=resamples) for n in kinds]
    figures = np.asarray(statistic(np.concatenate(counts, axis=1).astype(np.float64)))
    if figures.shape != (resamples,):
        raise InvalidOptionError(
            f"statistic: expected {resamples} figures, one for each resample, got shape "
            f"{figures.shape}."
        )
    defined = figures[~np.isnan(figures)]
    if not len(defined):
        raise InvalidOptionError(
            "statistic: the figure is undefined (NaN) in every resample; more groups are needed."
        )
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(defined, [tail, 100.0 - tail])
    return float(low), float(high)
