"""Failures as plain numbers for JSON, and as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.confusion import Confusion
from benchmarks.folder import BenchmarkFolder
from benchmarks.report import DASH, markdown_table

WORST_PAIRS = 10
WORST_MISTAKES = 20
PHOTOGRAPHS = "photographs"


def record_of(found: Confusion, folder: BenchmarkFolder) -> dict[str, Any]:
    """Everything that was found, with names instead of numbers; no path, no pixel."""
    models = folder.models
    by_model = {
        name: {
            "tested": int(found.tested[m]),
            "top1": _plain(found.shares[m, m]),
            "auc": _plain(found.auc[m]),
            "eer": _plain(found.eer[m]),
            "missed": _plain(found.missed[m]),
            "mismatched": _plain(found.mismatched[m]),
            "false_matches": _plain(found.false_matches[m]),
        }
        for m, name in enumerate(models)
    }
    off = np.nan_to_num(found.shares.copy())
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:WORST_PAIRS].tolist()
    pairs = [divmod(place, len(models)) for place in order if off.flat[place] > 0]
    return {
        "models": by_model,
        PHOTOGRAPHS: {"false_matches": _plain(found.false_matches[-1])},
        "confusion": [[_plain(value) for value in row] for row in found.shares],
        "worst_pairs": [
            {"model": models[a], "taken_for": models[b], "share": float(off[a, b])}
            for a, b in pairs
        ],
        "worst_mistakes": [
            {
                "image": folder.keys[mistake.image],
                "taken_for": models[mistake.taken_for],
                "margin": mistake.margin,
            }
            for mistake in found.mistakes[:WORST_MISTAKES]
        ],
    }


def tables(record: Mapping[str, Any]) -> dict[str, str]:
    """Markdown tables by name, from a record."""
    columns = {
        "top1": "top-1",
        "auc": "pair AUC",
        "eer": "pair EER",
        "missed": "missed",
        "mismatched": "wrong model",
        "false_matches": "false matches",
    }
    ranked = sorted(record["models"].items(), key=lambda item: (item[1]["top1"], item[0]))
    rows = [
        [name, str(figures["tested"]), *(_cell(figures[key]) for key in columns)]
        for name, figures in ranked
    ]
    strangers = _cell(record[PHOTOGRAPHS]["false_matches"])
    rows.append([PHOTOGRAPHS, *[DASH] * (len(columns)), strangers])
    pairs = [
        [pair["model"], pair["taken_for"], _cell(pair["share"])] for pair in record["worst_pairs"]
    ]
    weights = f"Weights `{record['digest'][:12]}`, data `{record['data']['digest'][:12]}`."
    return {
        "models": markdown_table(["model", "tests", *columns.values()], rows) + f"\n\n{weights}",
        "pairs": markdown_table(["images of", "taken for", "share of its tests"], pairs),
    }


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _cell(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"
