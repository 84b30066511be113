"""What fails, as tables: by model, by pair, and what failing goes with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.pages import Table
from benchmarks.report import DASH, markdown_table

WORST = 10
RECORD = "failures.json"
EXPLANATIONS = {
    "spread_db": "spread of the model's own residual spectra, dB",
    "nearest_db": "distance to the nearest other model's spectrum, dB",
    "side_px": "smaller side of its images, pixels",
}
EXPLAINED = {"top1": "top-1", "auc": "pair AUC", "matched": "matched"}


def models(record: Mapping[str, Any]) -> str:
    """One row for each model, the worst identified first."""
    columns = {
        "top1": "top-1",
        "auc": "pair AUC",
        "eer": "pair EER",
        "matched": "matched",
        "mismatched": "with a wrong one",
        "false_matches": "as a stranger",
        "spread_db": "spread, dB",
        "nearest_db": "nearest, dB",
    }
    rows = sorted(record["models"].items(), key=lambda item: float(item[1]["top1"]))
    decibels = ("spread_db", "nearest_db")
    return markdown_table(
        ["model", "images", *columns.values()],
        (
            [
                name,
                str(row["images"]),
                *(_number(row[k], 1 if k in decibels else 2) for k in columns),
            ]
            for name, row in rows
        ),
    )


def pairs(record: Mapping[str, Any]) -> str:
    """The models that are most often taken for another."""
    return _given("the best candidate was", record["confused"][:WORST])


def strangers(record: Mapping[str, Any]) -> str:
    """Which strangers were matched with which enrolled model."""
    if not record["false_matches"]:
        return "No image of a model that was not enrolled, and no photograph, was matched."
    return _given("matched with", record["false_matches"][:WORST])


def missed(record: Mapping[str, Any]) -> str:
    """Why images of enrolled models were not matched."""
    total: dict[str, int] = {}
    for row in record["models"].values():
        for code, count in row["not_matched"].items():
            total[code] = total.get(code, 0) + count
    everything = sum(total.values())
    ordered = sorted(total.items(), key=lambda item: -item[1])
    return markdown_table(
        ["reason code", "answers", "share"],
        ([f"`{code}`", str(count), f"{count / everything:.2f}"] for code, count in ordered),
    )


def explanations(record: Mapping[str, Any]) -> str:
    """Rank correlations over models of what fails with what the models are like."""
    return markdown_table(
        ["over models, rank correlation of", *EXPLAINED.values()],
        (
            [title, *(_number(record["correlations"][key][figure], 2) for figure in EXPLAINED)]
            for key, title in EXPLANATIONS.items()
        ),
    )


def source(record: Mapping[str, Any]) -> str:
    """Which weights and how much the figures were measured on."""
    data, protocol = record["data"], record["protocol"]
    return (
        f"{len(data['models'])} models, {data['images']} images and {data['photographs']} "
        f"photographs; {protocol['enrolled']} images of each model enrolled, "
        f"{len(protocol['seeds'])} draws; weights `{record['embedder']['digest'][:12]}`, threshold "
        f"{record['embedder']['default_fpr']:.0%}."
    )


TABLES: dict[str, tuple[str, Table]] = {
    table.__name__: (RECORD, table)
    for table in (source, models, pairs, missed, strangers, explanations)
}


def report(record: Mapping[str, Any]) -> str:
    """All tables, for a terminal."""
    return "\n\n".join(table(record) for _, table in TABLES.values())


def _given(what: str, rows: list[dict[str, Any]]) -> str:
    return markdown_table(
        ["images of", what, "answers", "of", "share"],
        (
            [
                r["model"],
                r["given_to"],
                str(r["answers"]),
                str(r["of"]),
                f"{r['answers'] / r['of']:.2f}",
            ]
            for r in rows
        ),
    )


def _number(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:.{digits}f}"
