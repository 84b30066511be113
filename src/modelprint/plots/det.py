"""The detection error trade-off as a picture."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from modelprint.errors import InvalidOptionError
from modelprint.metrics import DetCurve
from modelprint.plots.axes import (
    MOST_TICKS,
    check_curves,
    figure_and_axes,
    percent_axes,
    percent_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)
# Rates of 0 and 1 lie at infinity: this far out a curve runs towards them beyond any frame.
NEVER = 1e-12
HIGHEST = 0.95
POINTS_PER_TIE = 50


def det_plot(
    curves: Mapping[str, DetCurve],
    *,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw false-match against false-non-match rates on normal-deviate axes.

    Normally distributed scores give straight lines there (Martin et al., "The DET curve in
    assessment of detection task performance", 1997); lower left is better. A dot marks the equal
    error rate, which the legend states.

    Args:
        curves: name in the legend -> curve, from `modelprint.metrics.det_curve`.
        limits: smallest and largest rate on both axes, in (0, 1); None fits the curves, with
            their rates up to 0.95 or the highest equal error rate.
        ax: axes to draw on; None makes a figure.

    Returns:
        The figure that holds the axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InvalidOptionError: no curve, something else than a `DetCurve`, or limits out of range.
    """
    check_curves(curves, DetCurve)
    if limits is not None and not 0.0 < limits[0] < limits[1] < 1.0:
        raise InvalidOptionError(f"limits: expected 0 < smallest < largest < 1, got {limits!r}.")
    low, high = _limits(curves.values()) if limits is None else limits
    figure, ax = figure_and_axes(ax)
    for set_scale in (ax.set_xscale, ax.set_yscale):
        set_scale("function", functions=(_deviate, _rate))
    percent_axes(ax, ("false-match rate", "false-non-match rate"), low, high)
    for name, curve in curves.items():
        error = curve.equal_error_rate
        label = f"{name}: EER {100 * error:.3g} %"
        (line,) = ax.plot(*_straight_in_rates(curve), label=label)
        ax.plot([error], [error], marker="o", color=line.get_color())
    percent_ticks(ax, _ticks(low, high))
    ax.legend(loc="upper right")
    return figure


def _straight_in_rates(curve: DetCurve) -> tuple[Floats, Floats]:
    """Both rates of a curve, with points put in where ties move it in both rates at once.

    Between two points the curve is straight in rates, which a normal-deviate axis bends.
    """
    x, y = curve.false_match_rates, curve.false_non_match_rates
    steps = np.where((np.diff(x) != 0.0) & (np.diff(y) != 0.0), POINTS_PER_TIE, 1)
    start = np.repeat(np.arange(len(steps)), steps)
    within = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
    places = np.append(start + within / np.repeat(steps, steps), len(steps))
    index = np.arange(len(x))
    return np.interp(places, index, x), np.interp(places, index, y)


def _limits(curves: Collection[DetCurve]) -> tuple[float, float]:
    """Ticks around what there is to see."""
    errors = [curve.equal_error_rate for curve in curves]
    highest = max(HIGHEST, *errors)
    seen = [np.array([error for error in errors if 0.0 < error < 1.0])]
    for curve in curves:
        x, y = curve.false_match_rates, curve.false_non_match_rates
        inside = (np.minimum(x, y) > 0.0) & (np.maximum(x, y) <= highest)
        seen += [x[inside], y[inside]]
    rates = np.concatenate(seen)
    low, high = rates.min(initial=0.2), rates.max(initial=0.6)
    return (
        max((tick for tick in TICKS if tick <= low), default=TICKS[0]),
        min((tick for tick in TICKS if tick >= high), default=TICKS[-1]),
    )


def _ticks(low: float, high: float) -> list[float]:
    """Ticks whose labels have room side by side, or else the limits."""
    start, end = _deviate(np.array([low, high]))
    chosen: list[float] = []
    last = -np.inf
    for tick, place in zip(TICKS, _deviate(np.array(TICKS)), strict=True):
        if low <= tick <= high and place - last >= (end - start) / MOST_TICKS:
            chosen.append(tick)
            last = place
    return chosen if len(chosen) > 1 else [low, high]


def _deviate(rates: Floats) -> Floats:
    """Standard normal deviate of each rate."""
    clipped = np.array(np.clip(rates, NEVER, 1.0 - NEVER), dtype=np.float64)
    return np.asarray(torch.special.ndtri(torch.from_numpy(clipped)))


def _rate(deviates: Floats) -> Floats:
    """Inverse of `_deviate`."""
    return np.asarray(torch.special.ndtr(torch.from_numpy(np.array(deviates, np.float64))))
