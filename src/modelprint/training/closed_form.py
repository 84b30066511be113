"""The closed-form recipe: statistics of synthetic models' images, whitened within models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from modelprint.backbone import WhitenedStatistics
from modelprint.features.residual_statistics import residual_statistics
from modelprint.training.checkpoint import save_whole
from modelprint.training.config import TrainingConfig
from modelprint.training.data import content, content_count, images_of_model, in_workers

_CLEAN, _DEGRADED = "clean", "degraded"
_MODELS, _CONTENT = "models", "content"


def closed_form_tasks(config: TrainingConfig) -> int:
    """How many models and pictures are measured, for a progress bar."""
    return config.models + content_count(config)


def fit_closed_form(
    config: TrainingConfig, run: Path, *, workers: int, progress: Callable[[int], None]
) -> WhitenedStatistics:
    """Fit the backbone; statistics that are already in ``run`` are not computed again.

    Args:
        config: Of the run.
        run: Folder for the statistics, one safetensors file per ``checkpoint_every`` models or
            pictures.
        workers: Processes that render and measure.
        progress: Called with the number of models and pictures done since the last call.
    """
    models = [_Shard(_MODELS, *part) for part in _parts(config.models, config.checkpoint_every)]
    pictures = [
        _Shard(_CONTENT, *part) for part in _parts(content_count(config), config.checkpoint_every)
    ]
    missing = [shard for shard in models + pictures if not shard.path(run).is_file()]
    progress(closed_form_tasks(config) - sum(shard.size for shard in missing))
    for count in in_workers(partial(_measure, config, run), missing, workers):
        progress(count)
    rendered = [load_file(shard.path(run)) for shard in models]
    return whiten(
        torch.cat([shard[_CLEAN] for shard in rendered]).float(),
        torch.cat([shard[_DEGRADED] for shard in rendered]).float(),
        torch.cat([load_file(shard.path(run))[_CLEAN] for shard in pictures]).float(),
        config,
    )


def whiten(
    clean: Tensor, degraded: Tensor, content: Tensor, config: TrainingConfig
) -> WhitenedStatistics:
    """The backbone in closed form.

    Args:
        clean: ``(M, K, F)`` float32 statistics of M models.
        degraded: ``(M, K', F)`` of degraded copies; K' may be 0.
        content: ``(N, K", F)`` of pictures that no model rendered; N may be 0.
        config: ``dim``, ``ridge``, ``degraded_weight`` and ``content_weight``.
    """
    backbone = WhitenedStatistics(config.dim)
    backbone.mean = clean.mean((0, 1))
    backbone.deviation = clean.flatten(0, 1).std(0) + 1e-3
    clean = backbone.standardise(clean)
    centres = clean.mean(1, keepdim=True)
    within = _second_moment(clean - centres) * clean.shape[1] / (clean.shape[1] - 1)
    if degraded.shape[1]:
        # Deviations from the clean centre: what degrading moves is noise, too.
        spread = _second_moment(backbone.standardise(degraded) - centres)
        within += config.degraded_weight * spread
    if len(content):
        # Models smooth away part of what pictures differ in; real generators reproduce it.
        content = backbone.standardise(content)
        within += config.content_weight * _second_moment(content - content.mean((0, 1)))
    within.diagonal().add_(config.ridge * within.diagonal().mean())
    lower = torch.linalg.cholesky(within.double())
    whitening = torch.linalg.inv(lower).T.float()
    between = (centres[:, 0] - centres.mean(0)) @ whitening
    moment = between.T @ between
    # Among whitened directions, those in which models differ most come last from eigh.
    spread, directions = torch.linalg.eigh(moment)
    spread, directions = spread.flip(0), directions.flip(1)
    # Where models differ more than is usual a difference says more, so it counts for more. The
    # root of the root of the variance: in full, a few directions would be all that counts.
    usual = spread[: len(clean)].median()
    gains = (spread / usual).clamp(min=1) ** 0.25
    backbone.projection = whitening @ (directions * gains)[:, : config.dim]
    return backbone


def _second_moment(deviations: Tensor) -> Tensor:
    rows = deviations.flatten(0, 1)
    return rows.T @ rows / len(rows)


class _Shard(NamedTuple):
    """Models or pictures that are measured together and kept in one file."""

    kind: str
    first: int
    size: int

    def path(self, run: Path) -> Path:
        return run / "statistics" / f"{self.kind}-{self.first:06d}.safetensors"


def _parts(total: int, size: int) -> list[tuple[int, int]]:
    return [(first, min(size, total - first)) for first in range(0, total, size)]


@torch.inference_mode()
def _measure(config: TrainingConfig, run: Path, shard: _Shard) -> int:
    clean, degraded = [], []
    for number in range(shard.first, shard.first + shard.size):
        if shard.kind == _CONTENT:
            clean.append(residual_statistics(content(config, number).float() / 255))
            continue
        images = images_of_model(config, number)
        clean.append(residual_statistics(images.clean.float() / 255))
        copies = [residual_statistics(image[None].float() / 255) for image in images.degraded]
        degraded.append(torch.cat(copies) if copies else clean[-1][:0])
    tensors = {_CLEAN: torch.stack(clean).half()}
    if degraded:
        tensors[_DEGRADED] = torch.stack(degraded).half()
    path = shard.path(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_whole(tensors, path)
    return shard.size
