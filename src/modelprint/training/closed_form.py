"""The closed-form recipe: statistics of synthetic models' images, whitened within models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from modelprint.backbone import PARTS, WhitenedStatistics, own_scale_views
from modelprint.draws import Draws
from modelprint.features.common_scale import shrunk
from modelprint.features.residual_statistics import residual_statistics
from modelprint.images import MIN_SIDE_PX
from modelprint.training.checkpoint import save_whole
from modelprint.training.config import TrainingConfig
from modelprint.training.data import content, content_count, images_of_model, in_workers

# Power of the variance between models that a whitened direction is scaled by.
_GAIN = 0.1
_VIEWS, _SMALL, _DEGRADED = "views", "small", "degraded"
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
    views, small, degraded = (
        torch.cat([shard[kind] for shard in rendered]) for kind in (_VIEWS, _SMALL, _DEGRADED)
    )
    content = [load_file(shard.path(run))[_VIEWS] for shard in pictures]
    return whiten(views, small, degraded, torch.cat(content) if content else views[:0], config)


def whiten(
    views: Tensor, small: Tensor, degraded: Tensor, content: Tensor, config: TrainingConfig
) -> WhitenedStatistics:
    """The backbone in closed form.

    Args:
        views: ``(M, V, K, F)`` float16 statistics of the images of M models: as they are, and of
            the copies that ``own_scale_views`` makes of them.
        small: ``(M, K, F)`` of the same images, shrunk.
        degraded: ``(M, K', F)`` of degraded copies; K' may be 0.
        content: ``(N, V, K", F)`` of pictures that no model rendered; N may be 0.
        config: ``dim``, ``ridge``, ``degraded_weight`` and ``content_weight``.
    """
    backbone = WhitenedStatistics(config.dim)
    scales = [rows.flatten(0, 1).float() for rows in (views[:, 0], small)]
    backbone.mean = torch.stack([rows.mean(0) for rows in scales])
    backbone.deviation = torch.stack([rows.std(0) + 1e-3 for rows in scales])
    count, images = views.shape[1:3]
    within = torch.zeros(views.shape[-1], views.shape[-1])
    centres = []
    for view in range(count):
        rows = backbone.standardise(views[:, view].float())
        centres.append(rows.mean(1, keepdim=True))
        within += _second_moment(rows - centres[-1]) * images / (images - 1) / count
        if len(content):
            # Models smooth away part of what pictures differ in; real generators reproduce it.
            rows = backbone.standardise(content[:, view].float())
            spread = _second_moment(rows - rows.mean((0, 1)))
            within += config.content_weight * spread / count
    if degraded.shape[1]:
        # Deviations from the clean centre: what degrading moves is noise, too.
        spread = _second_moment(backbone.standardise(degraded.float()) - centres[0])
        within += config.degraded_weight * spread
    within.diagonal().add_(config.ridge * within.diagonal().mean())
    lower = torch.linalg.cholesky(within.double())
    whitening = torch.linalg.inv(lower).T.float()
    # Directions in which the models' copies differ serve images that were compressed.
    between = torch.cat([centre[:, 0] - centre.mean(0) for centre in centres]) @ whitening
    moment = between.T @ between
    # Among whitened directions, those in which models differ most come last from eigh.
    spread, directions = torch.linalg.eigh(moment)
    spread, directions = spread.flip(0), directions.flip(1)
    # Where models differ more than is usual a difference says more, so it counts for more, but
    # little: thresholds for strangers suffer where few directions are most of a fingerprint.
    usual = spread[: len(views)].median()
    gains = (spread / usual).clamp(min=1) ** _GAIN
    backbone.projection = whitening @ (directions * gains)[:, : config.dim // PARTS]
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
    rows: dict[str, list[Tensor]] = {}
    for number in range(shard.first, shard.first + shard.size):
        if shard.kind == _CONTENT:
            found = {_VIEWS: _views(content(config, number))}
        else:
            found = _statistics_of_model(config, number)
        for kind, statistics in found.items():
            rows.setdefault(kind, []).append(statistics.half())
    path = shard.path(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_whole({kind: torch.stack(statistics) for kind, statistics in rows.items()}, path)
    return shard.size


def _statistics_of_model(config: TrainingConfig, number: int) -> dict[str, Tensor]:
    images = images_of_model(config, number)
    # Images of real models come to the common scale from anywhere up to twice its size.
    least = max(0.5, MIN_SIDE_PX / config.image_px)
    scale = Draws("common scale", config.seed, number).number(least, 1.0)
    small = residual_statistics(shrunk(images.clean.float() / 255, scale))
    degraded = [residual_statistics(image[None].float() / 255) for image in images.degraded]
    return {
        _VIEWS: _views(images.clean),
        _SMALL: small,
        _DEGRADED: torch.cat(degraded) if degraded else small[:0],
    }


def _views(images: Tensor) -> Tensor:
    """Statistics ``(V, K, F)`` of ``(K, 3, S, S)`` uint8 images and their copies."""
    views = own_scale_views(images.float() / 255)
    return torch.stack([residual_statistics(view) for view in views])
