"""Measured figures as tables for people, and what they were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import PIL
import torch

import modelprint
from benchmarks.conditions import CLEAN
from benchmarks.protocol import Figures, Plan

REPOSITORY = Path(__file__).resolve().parents[1]

DASH = "-"

TITLES = {
    "auc": "pair ROC-AUC",
    "eer": "pair EER",
    "shared_auc": "pair AUC, negatives of the same photograph",
    "shared_images_auc": "pair AUC, images of shared photographs",
    "oscr": "OSCR, half of the models unknown",
    "fpr": "FPR at the shipped threshold",
    "fpr_models": "FPR, left-out models alone",
    "fpr_photos": "FPR, photographs alone",
    "matched": "matched with the right model",
    "mismatched": "matched with a wrong model",
    "cllr": "Cllr of the likelihood ratios, bits",
    "subset_top1": "top-1, text-to-image and StyleGAN",
    "subset_auc": "pair AUC, text-to-image and StyleGAN",
}

SHORT = {
    "auc": "AUC",
    "eer": "EER",
    "shared_auc": "shared AUC",
    "oscr": "OSCR",
    "fpr": "FPR",
    "matched": "matched",
    "subset_top1": "subset top-1",
    "subset_auc": "subset AUC",
}


def tables(results: Mapping[str, Mapping[str, Figures]], plan: Plan) -> list[str]:
    """Markdown: one table of clean figures, one of all conditions for each embedder."""
    top = {f"top1_{n}": f"top-1, {n} enrolled" for n in plan.gallery_sizes}
    titles = {**top, **TITLES}
    parts = [
        markdown_table(
            ["clean images", *results],
            (
                [title, *(_cell(result[CLEAN][key]) for result in results.values())]
                for key, title in titles.items()
            ),
        )
    ]
    for name, result in results.items():
        columns = {f"top1_{plan.enrolled}": "top-1", **SHORT}
        parts.append(
            markdown_table(
                [name, *columns.values()],
                (
                    [condition, *(_cell(figures[key]) for key in columns)]
                    for condition, figures in result.items()
                ),
            )
        )
    return parts


def plain_figures(
    result: Mapping[str, Figures],
) -> dict[str, dict[str, dict[str, float | None] | None]]:
    """Figures by condition and name as plain numbers for JSON, null for a dash."""
    return {
        condition: {
            key: None if figure is None else figure.to_dict() for key, figure in figures.items()
        }
        for condition, figures in result.items()
    }


def environment(device: str) -> dict[str, object]:
    """Machine, versions and commit that figures were measured with; no names, no paths."""
    cuda = device.startswith("cuda")
    return {
        "machine": {
            "cpu": _cpu_name(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "accelerator": torch.cuda.get_device_name(device) if cuda else None,
        },
        "versions": {
            "modelprint": modelprint.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
        "git_commit": _git("rev-parse", "--verify", "HEAD"),
        "git_uncommitted_changes": bool(_git("status", "--porcelain")),
    }


def _cell(figure: object) -> str:
    return DASH if figure is None else str(figure)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _git(*arguments: str) -> str | None:
    """What git says about the source tree; None without git, a repository or a commit."""
    try:
        done = subprocess.run(
            ["git", "-C", REPOSITORY, *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
