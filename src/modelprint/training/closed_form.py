"""The closed-form recipe: statistics of synthetic models' images, whitened within models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from modelprint.backbone import WhitenedStatistics
from modelprint.residual_statistics import residual_statistics
from modelprint.training.checkpoint import save_whole
from modelprint.training.config import TrainingConfig
from modelprint.training.data import images_of_model, in_workers

_CLEAN, _DEGRADED = "clean", "degraded"


def fit_closed_form(
    config: TrainingConfig, run: Path, *, workers: int, progress: Callable[[int], None]
) -> WhitenedStatistics:
    """Fit the backbone; statistics that are already in ``run`` are not computed again.

    Args:
        config: Of the run.
        run: Folder for the statistics, one safetensors file per ``checkpoint_every`` models.
        workers: Processes that render and measure.
        progress: Called with the number of models done since the last call.
    """
    shards = range(0, config.models, config.checkpoint_every)
    task = partial(_statistics_of_shard, config, run)
    missing = [first for first in shards if not _shard_path(run, first).is_file()]
    progress(config.models - sum(_shard_size(config, first) for first in missing))
    for models in in_workers(task, missing, workers):
        progress(models)
    loaded = [load_file(_shard_path(run, first)) for first in shards]
    clean = torch.cat([shard[_CLEAN] for shard in loaded]).float()
    degraded = torch.cat([shard[_DEGRADED] for shard in loaded]).float()
    return whiten(clean, degraded, config)


def whiten(clean: Tensor, degraded: Tensor, config: TrainingConfig) -> WhitenedStatistics:
    """The backbone in closed form.

    Args:
        clean: ``(M, K, F)`` float32 statistics of M models.
        degraded: ``(M, K', F)`` of degraded copies; K' may be 0.
        config: ``dim``, ``ridge`` and ``degraded_weight``.
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
        weight = config.degraded_weight
        within = (within + weight * spread) / (1 + weight)
    within.diagonal().add_(config.ridge * within.diagonal().mean())
    lower = torch.linalg.cholesky(within.double())
    whitening = torch.linalg.inv(lower).T.float()
    between = (centres[:, 0] - centres.mean(0)) @ whitening
    moment = between.T @ between
    # Among whitened directions, those in which models differ most come last from eigh.
    directions = torch.linalg.eigh(moment).eigenvectors.flip(1)[:, : config.dim]
    backbone.projection = whitening @ directions
    return backbone


def _second_moment(deviations: Tensor) -> Tensor:
    rows = deviations.flatten(0, 1)
    return rows.T @ rows / len(rows)


def _shard_path(run: Path, first: int) -> Path:
    return run / "statistics" / f"{first:06d}.safetensors"


def _shard_size(config: TrainingConfig, first: int) -> int:
    return min(config.checkpoint_every, config.models - first)


@torch.inference_mode()
def _statistics_of_shard(config: TrainingConfig, run: Path, first: int) -> int:
    clean, degraded = [], []
    models = _shard_size(config, first)
    for index in range(first, first + models):
        images = images_of_model(config, index)
        clean.append(residual_statistics(images.clean.float() / 255))
        copies = [residual_statistics(image[None].float() / 255) for image in images.degraded]
        degraded.append(torch.cat(copies) if copies else clean[-1][:0])
    path = _shard_path(run, first)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_whole({_CLEAN: torch.stack(clean).half(), _DEGRADED: torch.stack(degraded).half()}, path)
    return models
