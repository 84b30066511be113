"""Put measured figures into docs/limitations.md: `python -m benchmarks.limitations`.

The tables between the marks `<!-- table: NAME -->` and `<!-- end -->` are written anew from the
files in benchmarks/results that `benchmarks.attacks` and `benchmarks.quality` make.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import attack_report
from benchmarks.pages import with_tables
from benchmarks.report import REPOSITORY, markdown_table

PAGE = REPOSITORY / "docs" / "limitations.md"
RESULTS = REPOSITORY / "benchmarks" / "results"


def processing(record: Mapping[str, Any]) -> str:
    """What is left after processing, by the record of `benchmarks.quality`."""
    conditions = record["embedders"]["modelprint"]["figures"]
    columns = {"top1_10": "top-1", "matched": "matched", "fpr": "FPR"}
    return markdown_table(
        ["test images", *columns.values()],
        (
            [condition, *(f"{figures[key]['value']:.2f}" for key in columns)]
            for condition, figures in conditions.items()
        ),
    )


def attacks(record: Mapping[str, Any]) -> str:
    """What attacks do, by the record of `benchmarks.attacks`."""
    before = f"{record['data']}; {record['matched_before']:.0%} of the images were matched before."
    return f"{attack_report.table(record)}\n\n{before[0].upper()}{before[1:]}"


TABLES: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "processing": ("quality.json", processing),
    "attacks": ("attacks.json", attacks),
}


def refreshed(page: str) -> str:
    """The page with its tables as the results have them."""
    written = {
        name: table(json.loads((RESULTS / file).read_text(encoding="utf-8")))
        for name, (file, table) in TABLES.items()
    }
    return with_tables(page, written)


def main() -> int:
    """Write the page anew."""
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
