"""Put measured figures into the documents: `python -m benchmarks.documents`.

The tables are those of the files in benchmarks/results, which the commands of this package write
with `--json`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import attack_report, discovery, extract, pages, report, synthesis_report
from benchmarks.conditions import CLEAN
from benchmarks.figures import Figure
from benchmarks.protocol import Plan
from benchmarks.quality import SHIPPED


def clean(record: Mapping[str, Any]) -> str:
    """Figures on clean images, by the record of `benchmarks.quality`."""
    return _quality(record)[0]


def conditions(record: Mapping[str, Any]) -> str:
    """Figures on processed images for each embedder, by the same record."""
    return "\n\n".join(_quality(record)[1:])


def processing(record: Mapping[str, Any]) -> str:
    """What is left after processing, by the same record."""
    figures = record["embedders"][SHIPPED]["figures"]
    top1 = f"top1_{record['protocol']['enrolled']}"
    whole = figures[CLEAN][top1]["value"]
    return report.markdown_table(
        ["test images", "top-1", "kept", "matched", "FPR"],
        (
            [
                condition,
                *(f"{value:.2f}" for value in (row[top1]["value"], row[top1]["value"] / whole)),
                *(f"{row[key]['value']:.2f}" for key in ("matched", "fpr")),
            ]
            for condition, row in figures.items()
        ),
    )


def attacks(record: Mapping[str, Any]) -> str:
    """What attacks do, by the record of `benchmarks.attacks`."""
    before = f"{record['data']}; {record['matched_before']:.0%} of the images were matched before."
    return f"{attack_report.table(record)}\n\n{before[0].upper()}{before[1:]}"


def discovered(record: Mapping[str, Any]) -> str:
    """How well unknown models are discovered, by the record of `benchmarks.discovery`."""
    return discovery.table(record["figures"])


def _quality(record: Mapping[str, Any]) -> list[str]:
    protocol = record["protocol"]
    plan = Plan(
        protocol["enrolled"],
        tuple(protocol["seeds"]),
        tuple(protocol["conditions"]),
        protocol["resamples"],
        protocol["alike"],
    )
    results = {
        name: {
            condition: {
                key: None if figure is None else Figure(**figure) for key, figure in row.items()
            }
            for condition, row in embedder["figures"].items()
        }
        for name, embedder in record["embedders"].items()
    }
    return report.tables(results, plan)


_CLEAN: dict[str, tuple[str, pages.Table]] = {"clean": ("quality.json", clean)}
_PROCESSING: dict[str, tuple[str, pages.Table]] = {"processing": ("quality.json", processing)}
PAGES: dict[Path, dict[str, tuple[str, pages.Table]]] = {
    report.REPOSITORY / "README.md": _CLEAN | _PROCESSING,
    report.REPOSITORY / "docs" / "benchmarks.md": _CLEAN
    | {
        "conditions": ("quality.json", conditions),
        "discovery": ("discovery.json", discovered),
        "extract": ("extract.json", extract.table),
        "synthesis": ("synthesis.json", synthesis_report.tables),
    },
    report.REPOSITORY / "docs" / "limitations.md": _PROCESSING
    | {"alike": ("quality_alike.json", processing), "attacks": ("attacks.json", attacks)},
}


def main() -> int:
    """Write the pages anew."""
    for page, tables in PAGES.items():
        pages.refresh(page, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
