"""What makes a fingerprint: the observations behind the method, measured and drawn.

Synthetic models that differ in one choice (upsampling, activation, order, kernel size,
normalisation, seed) render the same pictures, and the spectra of their residuals are compared. Then
pairs of models exchange their last blocks, and a gallery says which of the two made the images.

Every claim in the figure is decided by the figures that are printed; one that they do not bear out
is called "not seen here". `docs/anatomy.md` explains the rows.

    pip install 'modelprint[plots]'
    python examples/fingerprint_anatomy.py        (about a minute on one core)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# A checkout need not be installed as a package for its examples to find each other.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from examples.anatomy import exchange, figure, findings, spectra
from modelprint.errors import MissingExtraError
from modelprint.report import table


@dataclass(frozen=True)
class Size:
    """How much is rendered.

    Attributes:
        models: Seeds of the base model and of each variant; the figure shows four.
        images: Pictures that each of them renders.
        pairs: Pairs of models of each kind that exchange blocks.
        asked: Images of each exchanged model that the gallery is asked about.
    """

    models: int = 4
    images: int = 24
    pairs: int = 4
    asked: int = 8


@dataclass(frozen=True)
class Anatomy:
    """All that was measured, and what follows from it."""

    spectra: spectra.Spectra
    exchange: exchange.Exchange
    findings: list[findings.Finding]


def run(out: Path, size: Size) -> Anatomy:
    """Measure, and write the figure to `out`."""
    canvas = figure.new_figure()  # first: without matplotlib nothing need be measured
    measured = spectra.measure(size.models, size.images)
    exchanged = exchange.measure(size.pairs, size.asked)
    found = findings.findings(measured, exchanged)
    figure.draw(canvas, measured, exchanged, found)
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(out)
    return Anatomy(measured, exchanged, found)


def report(anatomy: Anatomy) -> str:
    """The figures behind the figure."""
    steps = ["images named after last blocks", "nothing", "output", "+ 1", "+ 2", "+ 3", "+ 4"]
    return "\n\n".join(
        [
            table(findings.HEADERS, findings.rows(anatomy.spectra)),
            table(steps, findings.shares(anatomy.exchange)),
            *(f"{finding.title}.\n  {finding.figures}" for finding in anatomy.findings),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--out", type=Path, default=Path("anatomy.png"), help="the picture to write"
    )
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        anatomy = run(options.out, Size())
    except MissingExtraError as error:
        print(error, file=sys.stderr)
        return 1
    print(report(anatomy))
    print(f"\n{time.perf_counter() - started:.0f} s; picture: {options.out}")
    return 0 if all(finding.holds for finding in anatomy.findings) else 2


if __name__ == "__main__":
    sys.exit(main())
