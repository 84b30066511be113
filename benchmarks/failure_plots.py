"""What fails, as pictures: a confusion matrix, and the residual spectra behind the worst cases.

No image is shown, only what the residuals of many have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.residual_spread import Spectra
from modelprint.features.residual_spectrum import ring_frequencies
from modelprint.plots.axes import figure_and_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIRS, MODELS = 6, 3
_INCHES_PER_MODEL, _PANEL_INCHES = 0.42, (3.6, 2.8)
# From here on a cell is dark.
_DARK = 0.6


def confusion_plot(record: Mapping[str, Any]) -> Figure:
    """Shares of each model's images by best candidate; the last row is photographs.

    Args:
        record: of `benchmarks.failures`.
    """
    confusion = record["confusion"]
    counts = np.array(confusion["answers"], dtype=float)
    asked = counts.sum(1, keepdims=True)
    shares = np.divide(counts, asked, out=np.zeros_like(counts), where=asked > 0)
    figure, ax = figure_and_axes(None)
    side = 3.0 + _INCHES_PER_MODEL * len(shares)
    figure.set_size_inches(side, side - 0.6)
    picture = ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    rows, columns = confusion["origins"], confusion["candidates"]
    ax.set_xticks(range(len(columns)), columns, rotation=90)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="best candidate", ylabel="images of")
    ax.axhline(len(columns) - 0.5, color="grey", linewidth=1.0)
    for y, x in np.argwhere(shares >= 0.005):
        colour = "white" if shares[y, x] > _DARK else "black"
        text = f"{100 * shares[y, x]:.0f}"
        ax.text(x, y, text, ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(picture, ax=ax, shrink=0.7, label="share of the images (numbers: %)")
    return figure


def spectra_plot(record: Mapping[str, Any], spectra: Spectra) -> Figure:
    """The spectra of the worst confused pairs, and of the models that are matched least.

    Args:
        record: of `benchmarks.failures`.
        spectra: of the same folder.
    """
    number = {name: m for m, name in enumerate(record["data"]["models"])}
    confused = [row for row in record["confused"] if row["model"] in number][:PAIRS]
    models = record["models"]
    # A model that every draw left out has no share.
    asked = [name for name in models if models[name]["matched"] is not None]
    ordered = sorted(asked, key=lambda name: float(models[name]["matched"]))
    figure, alone = figure_and_axes(None)
    alone.remove()
    groups = [
        ("Taken most often for another, whose spectrum is in the second colour", confused, 3),
        ("Matched least", ordered[:MODELS], 3),
        ("Matched most", ordered[-MODELS:], 3),
    ]
    rows = [max(1, -(-len(members) // across)) for _, members, across in groups]
    width, height = _PANEL_INCHES
    figure.set_size_inches(3 * width, sum(rows) * height + 0.4 * len(groups))
    parts = figure.subfigures(len(groups), 1, height_ratios=rows)
    for part, (title, members, across), down in zip(parts, groups, rows, strict=True):
        part.suptitle(title)
        panels = part.subplots(down, across, squeeze=False).ravel()
        for ax in panels[len(members) :]:
            ax.set_axis_off()
        for ax, member in zip(panels, members, strict=False):
            _draw(ax, record, spectra, number, member)
    return figure


def _draw(
    ax: Axes,
    record: Mapping[str, Any],
    spectra: Spectra,
    number: Mapping[str, int],
    member: Mapping[str, Any] | str,
) -> None:
    if isinstance(member, str):
        names: Sequence[str] = [member]
        title = f"{member}: {100 * record['models'][member]['matched']:.0f} % matched"
    else:
        names = [member["model"], member["given_to"]]
        title = f"{100 * member['answers'] / member['of']:.0f} % of {names[0]}"
    for name in names:
        rows = spectra.of_model(number[name])
        if not len(rows):  # all its images are below 64 pixels
            continue
        low, middle, high = np.percentile(rows, (10, 50, 90), axis=0)
        (line,) = ax.plot(ring_frequencies(), middle, label=name)
        colour = line.get_color()
        ax.fill_between(ring_frequencies(), low, high, color=colour, alpha=0.2, linewidth=0.0)
    ax.set_title(title, fontsize=9)
    ax.set_xlabel("cycles per pixel", fontsize=8)
    ax.set_ylabel("residual power, dB", fontsize=8)
    ax.tick_params(labelsize=7)
    ax.grid(alpha=0.3)
    if len(names) > 1 and ax.lines:
        ax.legend(fontsize=7, loc="lower center")
