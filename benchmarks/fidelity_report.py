"""Fidelity figures as tables for people and as plain numbers for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.fidelity_figures import Fidelity, Floats
from benchmarks.fidelity_sets import Line
from benchmarks.figures import Figure
from benchmarks.report import DASH, markdown_table
from modelprint.features.residual_spectrum import ring_frequencies
from modelprint.metrics import diversity, frechet_frequency_distance
from modelprint.synthesis.synthesizer import ModelSpec

REAL = "real generators"


def of_line(line: Line, rows: Mapping[ModelSpec, Floats]) -> dict[str, Floats]:
    """Spectra ``(N, F)`` of each set of a line."""
    return {
        label: np.stack([rows[model] for model in models]) for label, models in line.sets.items()
    }


def tables(
    figures: Mapping[str, Fidelity],
    table: Sequence[Line],
    real: Floats,
    rows: Mapping[ModelSpec, Floats],
) -> str:
    """Markdown: a line for each space, then a line for each value at which an axis was fixed."""
    half = len(real) // 2
    head = ["models", "FFD, dB²", "change", f"FFD, {half} against {half}", "diversity, dB"]
    body = [
        [
            name,
            _cell(fidelity.ffd, "{:.0f}"),
            _cell(fidelity.change, "{:+.0f}"),
            f"{fidelity.ffd_of_halves:.0f}",
            _cell(fidelity.diversity, "{:.1f}"),
        ]
        for name, fidelity in figures.items()
    ]
    single = [
        [line.name, label, f"{values['ffd_db2']:.0f}", f"{values['diversity_db']:.1f}"]
        for line in table
        for label, values in _of_sets(line, real, rows).items()
    ]
    heads = ["models", "set", "FFD, dB²", "diversity, dB"]
    return f"{markdown_table(head, body)}\n\n{markdown_table(heads, single)}"


def plain(
    figures: Mapping[str, Fidelity],
    table: Sequence[Line],
    real: Floats,
    rows: Mapping[ModelSpec, Floats],
) -> dict[str, object]:
    """Everything that the tables show, and mean spectra."""
    means = {REAL: real.mean(0)}
    for line in table:
        means[line.name] = np.mean([spectra.mean(0) for spectra in of_line(line, rows).values()], 0)
    return {
        "figures": {name: fidelity.to_dict() for name, fidelity in figures.items()},
        "sets": {line.name: _of_sets(line, real, rows) for line in table},
        "frequencies_cycles_per_px": ring_frequencies().tolist(),
        "mean_spectra_db": {name: mean.round(2).tolist() for name, mean in means.items()},
    }


def _of_sets(
    line: Line, real: Floats, rows: Mapping[ModelSpec, Floats]
) -> dict[str, dict[str, float]]:
    return {
        label: {
            "ffd_db2": frechet_frequency_distance(real, spectra),
            "diversity_db": diversity(spectra),
        }
        for label, spectra in of_line(line, rows).items()
    }


def _cell(figure: Figure | None, form: str) -> str:
    if figure is None:
        return DASH
    bounds = [bound for bound in (figure.low, figure.high) if bound is not None]
    interval = ", ".join(form.format(bound) for bound in bounds)
    return form.format(figure.value) + (f" [{interval}]" if bounds else "")
