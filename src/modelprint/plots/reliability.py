"""Whether stated false-positive rates are kept, as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from modelprint.metrics import ReliabilityCurve
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


def reliability_plot(curves: Mapping[str, ReliabilityCurve], *, ax: Axes | None = None) -> Figure:
    """Draw measured against nominal false-positive rates on logarithmic axes.

    On the dotted diagonal a rate is what it was said to be; above it, more strangers are accepted
    than was allowed. The shade is the interval. A triangle at the lower edge stands for a measured
    rate of 0, which a logarithmic axis cannot hold.

    Args:
        curves: name in the legend -> curve, from `modelprint.metrics.reliability_curve`.
        ax: axes to draw on; None makes a figure.

    Returns:
        The figure that holds the axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InvalidOptionError: no curve, or something else than a `ReliabilityCurve`.
    """
    check_curves(curves, ReliabilityCurve)
    rates = np.concatenate([[*curve.nominal, *curve.measured] for curve in curves.values()])
    low, high = float(rates[rates > 0.0].min()) / 2.0, min(1.0, 2.0 * float(rates.max()))
    figure, ax = figure_and_axes(ax)
    ax.set(xscale="log", yscale="log")
    percent_axes(ax, ("nominal false-positive rate", "measured false-positive rate"), low, high)
    for name, curve in curves.items():
        label = f"{name}, {100 * curve.level:g} % interval"
        some = curve.measured > 0.0
        (line,) = ax.plot(
            curve.nominal, np.where(some, curve.measured, np.nan), marker="o", label=label
        )
        colour = line.get_color()
        ax.fill_between(
            curve.nominal, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0.0
        )
        if not some.all():  # an empty line that is not clipped would take room in the layout
            ax.plot(
                curve.nominal[~some],
                curve.measured[~some],
                marker="v",
                color=colour,
                linestyle="none",
                clip_on=False,
                # The second coordinate is a share of the frame's height.
                transform=ax.get_xaxis_transform(),
            )
    percent_ticks(ax, _ticks(low, high))
    ax.legend(loc="lower right")
    return figure


def _ticks(low: float, high: float) -> list[float]:
    """Rates in 1-2-5 steps, or powers of ten where those would be too many."""
    powers = range(math.floor(math.log10(low)), 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    if len(ticks) <= MOST_TICKS:
        return ticks
    return [10.0**power for power in powers if low <= 10.0**power <= high]
