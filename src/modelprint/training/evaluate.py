"""From a trained backbone to an extractor: cohort, calibration and validation on unseen models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint import __version__
from modelprint.backbone import Backbone
from modelprint.calibration import Calibration
from modelprint.extractor import (
    PREPROCESSING_VERSION,
    SCHEMA_VERSION,
    ExtractorConfig,
    FingerprintExtractor,
)
from modelprint.metrics import equal_error_rate, roc_auc
from modelprint.training.config import TrainingConfig
from modelprint.training.data import ModelImages, images_of_model, in_workers, label_of

# Enrolment sizes for which impostor scores are tabulated: a mean of more images is less noisy.
_ENROLLED = (1, 3, 10)
_IMAGES = 14
_PICTURES = 300
_COHORT_IMAGES = 2


def held_out_images(
    config: TrainingConfig, *, workers: int, progress: Callable[[int], None]
) -> list[ModelImages]:
    """Render the held-out models: the indices after the training models'."""
    shown = replace(
        config,
        image_px=config.held_out_px,
        photos=None,
        pictures=min(config.pictures, _PICTURES),
        degraded_per_model=0,
    )
    elsewhere = replace(shown, space=config.calibration_space)
    half = config.held_out_models // 2
    first = config.models
    cohort = in_workers(
        partial(images_of_model, shown, images=_COHORT_IMAGES), range(first, first + half), workers
    )
    others = in_workers(
        partial(images_of_model, elsewhere, images=_IMAGES),
        range(first + half, first + config.held_out_models),
        workers,
    )
    models = []
    for images in chain(cohort, others):
        models.append(images)
        progress(1)
    return models


def finish(
    backbone: Backbone,
    name: str,
    options: Mapping[str, Any],
    config: TrainingConfig,
    held_out: Sequence[ModelImages],
) -> tuple[FingerprintExtractor, dict[str, float]]:
    """Give a trained backbone its cohort and calibration, and measure it.

    The held-out models are split: one half makes the cohort, the other calibrates and validates.

    Args:
        backbone: Trained; its weights are rounded as they will be stored.
        name: Its name in ``modelprint.backbone.BACKBONES``.
        options: Its options.
        config: Of the run.
        held_out: What ``held_out_images`` gave.

    Returns:
        The extractor, and its figures on the held-out models: ``top1``, ``roc_auc``, ``eer``.
    """
    half = len(held_out) // 2
    trained = {**config.to_dict(), "photos": config.photos is not None, "version": __version__}
    settings = ExtractorConfig(
        SCHEMA_VERSION, PREPROCESSING_VERSION, name, dict(options), backbone.dim, trained
    )
    cohort_images = [image for model in held_out[:half] for image in model.clean]
    placeholder = Calibration.fit({1: np.linspace(0, 1, 1000)}, source="none yet")
    bare = FingerprintExtractor(settings, backbone, torch.empty(0, backbone.dim), placeholder)
    cohort = bare.embed(cohort_images)
    scorer = FingerprintExtractor(settings, backbone, cohort, placeholder)
    # From here on the weights are those that a user will load, rounded to half precision.
    scorer = FingerprintExtractor.from_weights(scorer.to_weights())
    clean = torch.stack([scorer.embed(model.clean) for model in held_out[half:]])
    first = config.models + half
    labels = torch.tensor([label_of(first + number) for number in range(len(clean))])
    figures = _figures(scorer, labels, clean)
    impostors = {n: _impostor_scores(scorer, labels, clean, n) for n in _ENROLLED}
    calibration = Calibration.fit(
        impostors,
        source=f"{len(clean)} synthetic models of space {config.calibration_space!r}, seed "
        f"{config.seed}, that took no part in training, rendering {config.held_out_px} px pictures",
    )
    return FingerprintExtractor(settings, scorer.backbone, scorer.cohort, calibration), figures


def _templates(clean: Tensor, enrolled: int) -> Tensor:
    return F.normalize(clean[:, :enrolled].mean(1), dim=1)


def _impostor_scores(
    extractor: FingerprintExtractor, labels: Tensor, clean: Tensor, enrolled: int
) -> np.ndarray:
    """Scores of every model's last images, the probes, against every other model's template."""
    probes = clean[:, max(_ENROLLED) :]
    own = labels.repeat_interleave(probes.shape[1])
    scores = extractor.compare(probes.flatten(0, 1), _templates(clean, enrolled))
    impostor = own[:, None] != labels[None, :]
    return scores[impostor].double().numpy()


def _figures(extractor: FingerprintExtractor, labels: Tensor, clean: Tensor) -> dict[str, float]:
    """Identification with ten enrolled, and verification over all pairs of the other images."""
    probes = clean[:, max(_ENROLLED) :]
    own = labels.repeat_interleave(probes.shape[1])
    rows = probes.flatten(0, 1)
    best = labels[extractor.compare(rows, _templates(clean, max(_ENROLLED))).argmax(1)]
    scores = extractor.compare(rows, rows)
    pairs = torch.triu_indices(len(rows), len(rows), 1)
    same = own[pairs[0]] == own[pairs[1]]
    values = scores[pairs[0], pairs[1]]
    genuine, impostor = values[same].numpy(), values[~same].numpy()
    return {
        "top1": (best == own).float().mean().item(),
        "roc_auc": roc_auc(genuine, impostor),
        "eer": equal_error_rate(genuine, impostor),
    }
