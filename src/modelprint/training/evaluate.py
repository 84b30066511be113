"""From a trained backbone to an extractor: cohort, calibration and validation on unseen models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from modelprint import __version__
from modelprint.backbone import Backbone
from modelprint.calibration import Calibration
from modelprint.draws import Draws
from modelprint.extractor import (
    PREPROCESSING_VERSION,
    SCHEMA_VERSION,
    ExtractorConfig,
    FingerprintExtractor,
)
from modelprint.features.degradations import degrade, degraded_copy
from modelprint.images import load_image
from modelprint.training.calibrating import PROBES, calibrate, figures_of, uncalibrated
from modelprint.training.config import TrainingConfig
from modelprint.training.data import ModelImages, images_of_model, in_workers, label_of

_ENROLLED = 10
_PICTURES = 300
_COHORT_IMAGES = 1
# Prime to the 288 architectures of space "paper": steps of it spread evenly over the whole space,
# while neighbours in its enumeration are nearly alike.
_STEP = 7


def held_out_images(
    config: TrainingConfig, *, workers: int, progress: Callable[[int], None]
) -> list[ModelImages]:
    """Render the held-out models: the first half for the cohort, the others for the calibration."""
    shown = replace(
        config,
        image_px=config.held_out_px,
        photos=None,
        pictures=min(config.pictures, _PICTURES),
        degraded_per_model=0,
    )
    cohort = in_workers(
        partial(images_of_model, shown, images=_COHORT_IMAGES), _cohort_indices(config), workers
    )
    # Space by space, for a worker draws the pictures of a space once.
    elsewhere, here = (
        in_workers(
            partial(images_of_model, replace(shown, space=space), images=_ENROLLED + PROBES),
            indices,
            workers,
        )
        for space, indices in _calibration_indices(config)
    )
    models = []
    for images in chain(cohort, elsewhere, here):
        models.append(images)
        progress(1)
    return models


def _cohort_indices(config: TrainingConfig) -> range:
    return range(config.models, config.models + config.held_out_models // 2)


def _calibration_indices(config: TrainingConfig) -> tuple[tuple[str, range], tuple[str, range]]:
    """Models of the two spaces, half of each; indices differ, should it be the same space twice."""
    first = config.models + config.held_out_models // 2
    count = config.held_out_models - config.held_out_models // 2
    end, middle = first + _STEP * count, first + _STEP * (count // 2)
    return (
        (config.calibration_space, range(first, middle, _STEP)),
        (config.space, range(middle, end, _STEP)),
    )


def finish(
    backbone: Backbone,
    name: str,
    options: Mapping[str, Any],
    config: TrainingConfig,
    held_out: Sequence[ModelImages],
) -> tuple[FingerprintExtractor, dict[str, float]]:
    """Give a trained backbone its cohort and calibration, and measure it.

    Args:
        backbone: Trained.
        name: Its name in ``modelprint.backbone.BACKBONES``.
        options: Its options.
        config: Of the run.
        held_out: What ``held_out_images`` gave.

    Returns:
        The extractor, its weights rounded as they are stored, and its figures on the held-out
        models: ``top1``, ``roc_auc``, ``eer``.
    """
    half = config.held_out_models // 2
    trained = {**config.to_dict(), "photos": config.photos is not None, "version": __version__}
    settings = ExtractorConfig(
        SCHEMA_VERSION, PREPROCESSING_VERSION, name, dict(options), backbone.dim, trained
    )
    # From here on the weights are those that a user will load, rounded as they are stored.
    bare = _rounded(settings, backbone, torch.empty(0, backbone.dim), uncalibrated("no cohort yet"))
    cohort = bare.embed(cohort_images(config, held_out[:half]))
    scored = _rounded(settings, bare.backbone, cohort, bare.calibration)
    spaces = [indices for _, indices in _calibration_indices(config)]
    # Galleries are made of neighbours, and each is to have models of both spaces: in turn.
    place = torch.tensor([n for indices in spaces for n in range(len(indices))])
    order = place.argsort(stable=True)
    others = [held_out[half + n].clean for n in order.tolist()]
    labels = torch.tensor([label_of(index) for index in chain(*spaces)])[order]
    clean = torch.stack([scored.embed(images) for images in others])
    degraded = torch.stack([_degraded(scored, images[:-PROBES]) for images in others])
    figures = figures_of(scored, labels, clean)
    calibration = calibrate(
        scored,
        labels,
        clean,
        degraded,
        _smaller_probes(scored, others, config.held_out_px),
        side_px=config.held_out_px,
        source=f"{len(others)} synthetic models of spaces {config.calibration_space!r} and "
        f"{config.space!r} in turn, seed {config.seed}, that took no part in training, rendering "
        f"{config.held_out_px} px pictures",
    )
    scored.calibration = calibration
    return scored, figures


def _rounded(
    config: ExtractorConfig, backbone: Backbone, cohort: Tensor, calibration: Calibration
) -> FingerprintExtractor:
    extractor = FingerprintExtractor(config, backbone, cohort, calibration)
    return FingerprintExtractor.from_weights(extractor.to_weights())


def cohort_images(config: TrainingConfig, models: Sequence[ModelImages]) -> list[Tensor]:
    """The models' images, and then a degraded copy of each.

    Most images that people ask about were recompressed or resized on their way. What these have in
    common must not pass for a common maker, as it would if they were only ever compared with
    clean images.
    """
    images = [image for model in models for image in model.clean]
    copies = [
        degrade(image, Draws("cohort", config.seed, number)) for number, image in enumerate(images)
    ]
    return images + copies


def _degraded(extractor: FingerprintExtractor, images: Tensor) -> Tensor:
    """Fingerprints ``(K, D)`` of degraded copies, as a gallery makes of what is enrolled."""
    return extractor.embed([degraded_copy(load_image(image)) for image in images])


def _smaller_probes(
    extractor: FingerprintExtractor, models: Sequence[Tensor], side_px: int
) -> dict[int, Tensor]:
    """Fingerprints ``(M, P, D)`` of the middle of the probes, by side in pixels."""
    smaller = {}
    for side in (64, 128):
        if side < side_px:
            start = (side_px - side) // 2
            window = slice(start, start + side)
            smaller[side] = torch.stack(
                [extractor.embed(images[-PROBES:, :, window, window]) for images in models]
            )
    return smaller
