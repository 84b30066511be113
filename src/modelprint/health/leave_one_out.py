"""Enrolled images asked about as if they were new: each against a gallery without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from modelprint.decision import Candidate
from modelprint.index import Row
from modelprint.reference import Reference

# Stands for the side of an image for which none was kept: judged like a large one, strictly.
_UNKNOWN_SIDE_PX = 1 << 20


class LeftOutImage(NamedTuple):
    """An enrolled image, and what the gallery says of it without it.

    Attributes:
        row: The image.
        side_px: Its smaller side.
        candidates: Every enrolled model, best first.
        enrolled: Images behind each of them, without this one.
    """

    row: Row
    side_px: int
    candidates: tuple[Candidate, ...]
    enrolled: Mapping[str, int]


def leave_one_out(reference: Reference) -> Iterator[LeftOutImage]:
    """Every image of a model with two images or more."""
    index, templates = reference.index, reference.index.templates
    counts = dict(zip(templates.labels, templates.counts, strict=True))
    for model, (label, numbers) in enumerate(index.numbers.items()):
        if len(numbers) < 2:
            continue
        enrolled = {**counts, label: counts[label] - 1}
        for number, scores in zip(numbers, reference.left_out_scores(model).tolist(), strict=True):
            row = index.rows[number]
            side_px = row.side_px or _UNKNOWN_SIDE_PX
            candidates = reference.rank_models(scores, side_px, list(enrolled.values()))
            yield LeftOutImage(row, side_px, candidates, enrolled)
