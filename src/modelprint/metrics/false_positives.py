"""Whether a stated false-positive rate is kept: nominal rates against measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from modelprint.errors import InvalidOptionError
from modelprint.metrics.inputs import Floats, Ints, finite_scores, label_codes
from modelprint.metrics.intervals import bootstrap_interval

# 1-2-5 steps: even on the logarithmic axes that rates are read on.
NOMINAL_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Measured false-positive rates with their intervals, one for each nominal rate.

    Attributes:
        nominal: (T,) float64 in (0, 1), strictly rising, the rates that were asked for.
        measured: (T,) float64 in [0, 1], the share of negatives accepted at that rate.
        low: (T,) float64, lower bounds of the interval.
        high: (T,) float64, upper bounds.
        level: coverage of the interval in (0, 1).
    """

    nominal: Floats
    measured: Floats
    low: Floats
    high: Floats
    level: float


def reliability_curve(
    p_values: ArrayLike,
    models: ArrayLike | None = None,
    *,
    nominal: Sequence[float] = NOMINAL_RATES,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ReliabilityCurve:
    """False-positive rate that is measured on negatives, for each rate that was asked for.

    `measured(a) = share of negatives with p <= a`: the rule of the decisions. Where p-values are
    right it is at most `a`. Take the p-values of whole answers (corrected for the number of
    enrolled models), from negatives that the calibration has not seen.

    With `models` the interval is a percentile bootstrap over models, as images of one model stand
    or fall together. Without, images count as independent and the interval is that of Wilson
    (1927). The bootstrap cannot say anything about a rate of exactly 0 or 1; Wilson's interval
    stands in there, and is too narrow by as much as images of one model are alike.

    Args:
        p_values: (N,) p-values in [0, 1] of images whose model is not enrolled.
        models: (N,) model of each image, names or whole numbers; None if every image is by
            another source, as photographs are.
        nominal: rates in (0, 1), rising.
        level: coverage of the interval in (0, 1).
        resamples: bootstrap resamples, at least 1.
        seed: of the bootstrap.

    Returns:
        The curve; `modelprint.plots.reliability_plot` draws it.

    Raises:
        InvalidOptionError: an array is empty, of a wrong shape or holds NaN, an argument is out of
            range, rates do not rise, lengths differ, or there is a single model.
    """
    p = finite_scores("p_values", p_values)
    rates = finite_scores("nominal", nominal)
    if p.min() < 0.0 or p.max() > 1.0:
        raise InvalidOptionError(
            f"p_values: expected shares in [0, 1], got {p.min():g} to {p.max():g}."
        )
    if rates[0] <= 0.0 or rates[-1] >= 1.0 or (np.diff(rates) <= 0.0).any():
        raise InvalidOptionError(f"nominal: expected rising rates in (0, 1), got {list(nominal)}.")
    if not 0.0 < level < 1.0:
        raise InvalidOptionError(f"level: expected a share in (0, 1), got {level!r}.")
    positives = np.searchsorted(np.sort(p), rates, side="right")
    low, high = _wilson(positives, len(p), level)
    if models is not None:
        codes = label_codes("models", models)
        if len(codes) != len(p):
            raise InvalidOptionError(
                f"models: expected {len(p)}, one for each p-value, got {len(codes)}."
            )
        if codes.max() == 0:
            raise InvalidOptionError(
                "models: expected at least 2, got 1: its images say nothing about other models."
            )
        images = np.bincount(codes)
        for place in np.flatnonzero((positives > 0) & (positives < len(p))):
            accepted = np.bincount(codes[p <= rates[place]], minlength=len(images))
            low[place], high[place] = bootstrap_interval(
                partial(_share, accepted, images),
                len(images),
                resamples=resamples,
                level=level,
                seed=seed,
            )
    return ReliabilityCurve(rates, positives / len(p), low, high, level)


def _share(accepted: Ints, images: Ints, weights: Floats) -> Floats:
    """Accepted share (R,) for how often (R, G) each of G models is drawn."""
    return np.asarray((weights @ accepted) / (weights @ images))


def _wilson(positives: Ints, n: int, level: float) -> tuple[Floats, Floats]:
    """Score interval of shares (T,) of n independent trials (Wilson 1927)."""
    z2 = NormalDist().inv_cdf(0.5 + level / 2.0) ** 2
    share = positives / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # Rounding must not take a bound past the share or past [0, 1].
    return np.clip(centre - half, 0.0, share), np.clip(centre + half, share, 1.0)
