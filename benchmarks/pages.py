"""Tables of documentation pages: text between `<!-- table: NAME -->` and `<!-- end -->`.

They are written from records in benchmarks/results, so that a page never says another figure than
the record does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"
Table = Callable[[Mapping[str, Any]], str]
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def refreshed(page: str, tables: Mapping[str, tuple[str, Table]]) -> str:
    """A page with its tables as the results have them.

    Args:
        page: Markdown.
        tables: By name, the file in benchmarks/results and what writes its record as a table.
    """

    def table(found: re.Match[str]) -> str:
        file, written = tables[found[2]]
        return f"{found[1]}\n{written(read_record(RESULTS / file))}\n\n{found[3]}"

    return _TABLE.sub(table, page)


def refresh(path: Path, tables: Mapping[str, tuple[str, Table]]) -> None:
    """Write a page anew."""
    path.write_text(refreshed(path.read_text(encoding="utf-8"), tables), encoding="utf-8")


def read_record(path: Path) -> dict[str, Any]:
    """Figures that a command of the benchmarks wrote with `--json`."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record
