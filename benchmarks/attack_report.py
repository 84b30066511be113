"""What attacks did, as figures and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.report import DASH, markdown_table
from modelprint.metrics import bootstrap_interval


@dataclass(frozen=True)
class Outcome:
    """What one attack did to one image.

    Attributes:
        model: That made it.
        before, after: Model that it was matched with, "unknown" or "inconclusive".
        score_before, score_after: Against its own model; against the target for a forgery.
        psnr_db: Of the attacked image against the image.
        success: Whether the aim was reached; None where there was no match to remove.
    """

    model: int
    before: str
    after: str
    score_before: float
    score_after: float
    psnr_db: float
    success: bool | None


def figures(outcomes: Sequence[Outcome], *, forgery: bool) -> dict[str, Any]:
    """One row of the table, as plain values."""
    asked = [outcome for outcome in outcomes if outcome.success is not None]
    after = [outcome.after for outcome in asked]
    psnr = [outcome.psnr_db for outcome in outcomes]
    return {
        "aim": "forgery" if forgery else "removal",
        "images": len(asked),
        "successes": sum(bool(outcome.success) for outcome in asked),
        "interval": _interval(asked),
        "then_unknown": after.count("unknown"),
        "then_inconclusive": after.count("inconclusive"),
        "psnr_db_mean": float(np.mean(psnr)),
        "psnr_db_least": float(np.min(psnr)),
        "score_before_mean": float(np.mean([outcome.score_before for outcome in outcomes])),
        "score_after_mean": float(np.mean([outcome.score_after for outcome in outcomes])),
    }


def _interval(asked: Sequence[Outcome]) -> list[float] | None:
    """Of the share of successes, over models; None where nothing was asked."""
    models = sorted({outcome.model for outcome in asked})
    if not models:
        return None
    counts = np.zeros((2, len(models)))
    for outcome in asked:
        counts[int(bool(outcome.success)), models.index(outcome.model)] += 1
    hits, images = counts[1], counts.sum(0)
    return list(bootstrap_interval(lambda drawn: (drawn @ hits) / (drawn @ images), len(models)))


def table(record: Mapping[str, Any]) -> str:
    """The record's figures in Markdown."""
    head = ["attack", "aim", "attacker has", "PSNR (dB)", "score", "success", "share"]
    rows = [
        [
            name,
            row["aim"],
            row["attacker_has"],
            f"{row['psnr_db_mean']:.1f}",
            f"{row['score_before_mean']:.1f} to {row['score_after_mean']:.1f}",
            f"{row['successes']} of {row['images']}",
            _share(row),
        ]
        for name, row in record["attacks"].items()
    ]
    return markdown_table(head, rows)


def _share(row: Mapping[str, Any]) -> str:
    if row["interval"] is None:
        return DASH
    low, high = row["interval"]
    return f"{row['successes'] / row['images']:.2f} [{low:.2f}, {high:.2f}]"
