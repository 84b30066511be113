"""What the rows of the figure say, each claim with the figures that decide whether it holds."""

from __future__ import annotations

from dataclasses import dataclass

from examples.anatomy.exchange import BLOCKS, OTHER, SAME, SHOWN, STEPS, Exchange
from examples.anatomy.spectra import (
    BASE,
    VARIANTS,
    Spectra,
    Spectrum,
    distance_db,
    grid_peak_db,
    replica_db,
    seed_distance_db,
    zeros_db,
)

Row = tuple[str, str, str, str, str]
HEADERS = ("dB", "from base", "grid peaks", "in the zeros", "replicas")


@dataclass(frozen=True)
class Finding:
    """One statement about the method.

    Attributes:
        claim: The statement.
        figures: What was measured for it.
        holds: Whether the figures bear it out.
    """

    claim: str
    figures: str
    holds: bool

    @property
    def title(self) -> str:
        """The claim, or that it was not seen."""
        return self.claim if self.holds else f"Not seen here: {self.claim}"


def findings(spectra: Spectra, exchange: Exchange) -> list[Finding]:
    """One finding for each row of the figure, top to bottom."""
    return [
        _upsampling(spectra),
        _activation(spectra),
        _order_and_kernel(spectra),
        _norm(spectra),
        _seed(spectra),
        _exchange(exchange),
    ]


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} dB" for name, value in values.items())


def _upsampling(spectra: Spectra) -> Finding:
    all_of_them = {BASE.upsampler: spectra.base, **spectra.options("upsampler")}
    peaks = {name: grid_peak_db(of) for name, of in all_of_them.items()}
    interpolated = max(peaks["nearest"], peaks["bilinear"])
    weighted = min(peaks["transposed2"], peaks["pixel_shuffle"])
    more = replica_db(all_of_them["nearest"]) - replica_db(all_of_them["bilinear"])
    return Finding(
        "Upsampling sets the pattern: weights leave a grid of peaks, interpolation replicas",
        f"Peaks at multiples of 1/4: {_listed(peaks)}; "
        f"above 1/4, nearest leaves {more:.1f} dB more of the replicas than bilinear",
        weighted > 6 and interpolated < 1 and more > 1,
    )


def _activation(spectra: Spectra) -> Finding:
    levels = {name: zeros_db(of) for name, of in spectra.options("activation").items()}
    levels[f"{BASE.activation} (base)"] = zeros_db(spectra.base)
    others = [level for name, level in levels.items() if name != "none"]
    return Finding(
        "Activations make new frequencies: they fill the zeros that upsampling leaves",
        f"On the lines at 1/4 and 1/2, against the rest: {_listed(levels)}",
        levels["none"] < min(others) - 2,
    )


def _order_and_kernel(spectra: Spectra) -> Finding:
    levels = {name: zeros_db(of) for name, of in spectra.options("order").items()}
    for size, of in spectra.options("kernel").items():
        levels[f"{size} x {size}"] = zeros_db(of)
    base = zeros_db(spectra.base)
    return Finding(
        "Order and kernel size decide whether activations can fill the zeros",
        "Equal pixels stay equal until a convolution mixes them; in the zeros: "
        f"{_listed(levels)}, base {base:.1f} dB",
        levels["1 x 1"] < levels["norm-act-conv"] - 1 < base - 2
        and max(abs(levels[size] - base) for size in ("5 x 5", "7 x 7")) < 1,
    )


def _norm(spectra: Spectra) -> Finding:
    norm = spectra.distances_db("norm")
    reached = {axis: max(spectra.distances_db(axis).values()) for axis in VARIANTS}
    del reached["norm"]
    return Finding(
        "Normalisation changes the spectrum least",
        f"From base: {_listed(norm)}; other choices reach {min(reached.values()):.1f} dB or more",
        max(norm.values()) < min(reached.values()),
    )


def _seed(spectra: Spectra) -> Finding:
    seeds = seed_distance_db(spectra.base)
    pictures = distance_db(spectra.elsewhere, spectra.base)
    return Finding(
        "Another seed is another fingerprint",
        f"Other weights move the spectrum by {seeds:.1f} dB, other pictures by {pictures:.1f} dB",
        seeds > 1.25 * pictures,
    )


def _exchange(exchange: Exchange) -> Finding:
    step = STEPS.index(SHOWN)
    same, other = exchange.named[SAME][step], exchange.named[OTHER][step]
    to_last, to_first = exchange.distances_db()
    return Finding(
        "The last blocks carry the fingerprint",
        f"Last {SHOWN} of {BLOCKS} blocks exchanged: {same:.0%} of {exchange.images} images named "
        f"after them ({other:.0%} where architectures differ); spectra (against A): {to_last:.1f} "
        f"dB from the last blocks' model, {to_first:.1f} dB from the other",
        same > 0.75 and other > 0.5 and to_last < to_first,
    )


def rows(spectra: Spectra) -> list[Row]:
    """What was measured of every spectrum, in dB, for a table with `HEADERS`."""

    def row(name: str, of: Spectrum, distance: float) -> Row:
        values = (distance, grid_peak_db(of), zeros_db(of), replica_db(of))
        first, second, third, fourth = (f"{value:.1f}" for value in values)
        return name, first, second, third, fourth

    base = spectra.base
    table = [
        row("pictures, not rendered", spectra.pictures, distance_db(spectra.pictures, base)),
        row("base", base, 0.0),
        row("base, other pictures", spectra.elsewhere, distance_db(spectra.elsewhere, base)),
        row("base, other seed", base, seed_distance_db(base)),
    ]
    for (axis, option), variant in spectra.variants.items():
        table.append(row(f"{axis} {option}", variant, distance_db(variant, base)))
    return table


def shares(exchange: Exchange) -> list[list[str]]:
    """How often images were named after their last blocks, for a table."""
    kinds = {"named": exchange.named, "match": exchange.matched}
    return [
        [f"{word}, {kind}", *(f"{share:.0%}" for share in of)]
        for kind in (SAME, OTHER)
        for word, of in ((word, shares[kind]) for word, shares in kinds.items())
    ]
