"""The picture: a row of spectra and a diagram for each finding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from examples.anatomy.exchange import OTHER, SAME, SHOWN, STEPS, Exchange
from examples.anatomy.findings import Finding
from examples.anatomy.spectra import BASE, STAGES, Spectra, Spectrum, profile, radial
from modelprint.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCHES = (13.0, 18.0)
LEVELS_DB, CHANGES_DB = 12.0, 6.0
# Okabe and Ito (2008): told apart by all eyes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
GREY = "#555555"
# Yang et al. 2025: share of images named after their last two blocks, two ProGANs.
PAPER = 0.9
LEFT = 0.05
MAPS = 4


def new_figure() -> Figure:
    """An empty figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "the figure is drawn with matplotlib, which is not installed: "
            "pip install 'modelprint[plots]'"
        ) from error
    return Figure(figsize=SIZE_INCHES, dpi=100)


def draw(figure: Figure, spectra: Spectra, exchange: Exchange, findings: Sequence[Finding]) -> None:
    """Fill `figure` with one row for each finding, in the order of `findings.findings`."""
    figure.text(LEFT, 0.988, "Anatomy of a fingerprint", size=18, weight="bold", va="top")
    base = (
        f"{STAGES} stages of {BASE.upsampler} upsampling, {BASE.kernel} x {BASE.kernel} "
        f"convolution, {BASE.norm} norm and {BASE.activation}"
    )
    figure.text(
        LEFT,
        0.970,
        f"Log power spectra of the residuals of rendered procedural pictures. Base model: {base}.\n"
        "One choice is changed at a time; all else, the pictures included, stays. "
        "All frequencies are in cycles per pixel.",
        size=10,
        color=GREY,
        va="top",
    )
    grid = figure.add_gridspec(
        len(findings),
        MAPS + 3,
        width_ratios=(*[1] * MAPS, 0.05, 0.42, 1.6),
        hspace=0.62,
        wspace=0.12,
        left=LEFT,
        right=0.985,
        top=0.905,
        bottom=0.035,
    )
    for number, (finding, maps) in enumerate(zip(findings, _maps(spectra, exchange), strict=True)):
        levels = number == 0
        axes = [figure.add_subplot(grid[number, column]) for column in range(MAPS)]
        _show_maps(axes, maps, levels)
        bar = figure.colorbar(axes[0].images[0], cax=figure.add_subplot(grid[number, MAPS]))
        bar.ax.tick_params(labelsize=8, length=2)
        bar.ax.spines["outline"].set_visible(False)
        bar.set_label("level (dB)" if levels else "change (dB)", size=8, labelpad=1)
        diagram = figure.add_subplot(grid[number, MAPS + 2])
        if number < 3:
            _show_profiles(diagram, maps, spectra.pictures if levels else None)
        elif number < 5:
            _show_radial(diagram, maps)
        else:
            _show_shares(diagram, exchange)
        top = axes[0].get_position().y1
        figure.text(LEFT, top + 0.0265, finding.title, size=12, weight="bold", va="bottom")
        figure.text(LEFT, top + 0.0155, _typeset(finding.figures), size=9, color=GREY, va="bottom")


def _typeset(text: str) -> str:
    """Plain text, which any terminal shows, with the signs of a printed page."""
    signs = re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)
    return signs.replace("1/4", "¼").replace("1/2", "½").replace(" x ", " \N{MULTIPLICATION SIGN} ")


def _maps(spectra: Spectra, exchange: Exchange) -> list[dict[str, Spectrum]]:
    """Of each row the four spectra `(64, 64)` that are shown."""
    base = spectra.base

    def levels(axis: str) -> dict[str, Spectrum]:
        return {option: of.mean(0) for option, of in spectra.options(axis).items()}

    def changes(axis: str) -> dict[str, Spectrum]:
        return {option: (of - base).mean(0) for option, of in spectra.options(axis).items()}

    kernels = {f"{size} x {size} kernel": of for size, of in changes("kernel").items()}
    seeds = {f"seed {i}, against seed 0": base[i] - base[0] for i in range(1, MAPS)}
    first = exchange.spectra["A"]
    return [
        {f"{BASE.upsampler} (base)": base.mean(0)} | levels("upsampler"),
        changes("activation"),
        changes("order") | kernels,
        changes("norm"),
        seeds | {"seed 0, other pictures": spectra.elsewhere[0] - base[0]},
        {name: of - first for name, of in exchange.spectra.items() if name != "A"},
    ]


def _show_maps(axes: Sequence[Axes], maps: Mapping[str, Spectrum], levels: bool) -> None:
    limit = LEVELS_DB if levels else CHANGES_DB
    for number, (ax, (name, spectrum)) in enumerate(zip(axes, maps.items(), strict=True)):
        # Zero frequency is the 33rd of 64: pixels are centred on their frequencies.
        edges = (-0.5 - 1 / 128, 0.5 - 1 / 128)
        ax.imshow(
            np.fft.fftshift(spectrum),
            vmin=-limit,
            vmax=limit,
            cmap="magma" if levels else "RdBu_r",
            extent=(*edges, *edges[::-1]),
            interpolation="nearest",
        )
        ax.set_title(name, size=9, pad=3)
        ticks, labels = (-0.5, -0.25, 0, 0.25), ("\N{MINUS SIGN}½", "\N{MINUS SIGN}¼", "0", "¼")
        ax.set_xticks(ticks, labels)
        ax.set_yticks(ticks, labels if number == 0 else [""] * len(ticks))
        ax.tick_params(labelsize=8, length=2)


def _show_profiles(ax: Axes, maps: Mapping[str, Spectrum], pictures: Spectrum | None) -> None:
    for (name, spectrum), colour in zip(maps.items(), COLOURS, strict=True):
        ax.plot(*profile(spectrum), color=colour, lw=1.4, label=name)
    if pictures is not None:
        ax.plot(*profile(pictures), color="black", lw=1, ls=":", label="not rendered")
    ax.set_xlim(0, 0.5)
    ax.set_xticks((0, 0.125, 0.25, 0.375, 0.5), ("0", "⅛", "¼", "⅜", "½"))
    ax.set_xlabel("horizontal or vertical frequency", size=8, labelpad=1)
    _finish(ax, "change (dB)" if pictures is None else "level (dB)")


def _show_radial(ax: Axes, maps: Mapping[str, Spectrum]) -> None:
    for (name, spectrum), colour in zip(maps.items(), COLOURS, strict=True):
        frequency, level = radial(spectrum)
        ax.plot(frequency[1:], level[1:], color=colour, lw=1.4, label=name)
    ax.set_xlim(0, 0.7)
    ax.set_ylim(-2.5, 2.5)
    ax.set_xlabel("frequency in any direction", size=8, labelpad=1)
    _finish(ax, "change (dB)", legend="upper right")


def _show_shares(ax: Axes, exchange: Exchange) -> None:
    places = range(len(STEPS))
    for kind, colour in ((SAME, COLOURS[0]), (OTHER, COLOURS[1])):
        ax.plot(places, exchange.named[kind], color=colour, marker="o", ms=4, lw=1.4, label=kind)
        ax.plot(places, exchange.matched[kind], color=colour, lw=1, ls=":")
    ax.plot([], [], color=GREY, lw=1, ls=":", label='gallery answers "match" with it')
    place = STEPS.index(SHOWN)
    ax.plot(place, PAPER, "D", color="black", ms=4, label="two ProGANs (Yang et al. 2025)")
    names = ["nothing", "output\nlayer", *(f"+ last\n{n}" for n in STEPS[2:])]
    ax.set_xticks(places, names)
    ax.set_ylim(-0.62, 1.05)  # room for the legend
    ax.set_yticks((0, 0.5, 1), ("0", "½", "1"))
    _finish(ax, "named after last blocks", legend="lower right")


def _finish(
    ax: Axes, label: str, legend: Literal["best", "upper right", "lower right"] = "best"
) -> None:
    ax.set_ylabel(label, size=8, labelpad=2)
    ax.tick_params(labelsize=8, length=2)
    ax.legend(loc=legend, fontsize=7.5, frameon=False, borderaxespad=0.2, handlelength=1.5)
    ax.spines[["top", "right"]].set_visible(False)
