"""One dataclass for a training run, and presets of it by recipe."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from typing_extensions import Self

from modelprint.backbone import check_parts
from modelprint.errors import InvalidOptionError
from modelprint.features.resnet import DEPTHS
from modelprint.synthesis.space import find_space

RECIPES = ("closed-form", "contrastive", "paper")

_LOWEST = {
    "seed": 0,
    "pictures": 1,
    "content_pictures": 0,
    "image_px": 32,
    "models": 2,
    "images_per_model": 2,
    "degraded_per_model": 0,
    "held_out_models": 20,
    "held_out_px": 32,
    "dim": 4,
    "depth": 1,
    "width": 1,
    "steps": 1,
    "models_per_step": 2,
    "checkpoint_every": 1,
}
_LOWEST_FLOATS = {
    "ridge": 1e-9,
    "degraded_weight": 0.0,
    "content_weight": 0.0,
    "learning_rate": 1e-9,
    "temperature": 1e-3,
    "margin": 0.0,
}


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides the weights; the same config gives the same weights.

    Attributes:
        recipe: ``"closed-form"`` (statistics, whitened), ``"contrastive"`` (fresh models every
            step, supervised contrastive loss) or ``"paper"`` (a fixed bank of models,
            cross-entropy and batch-hard triplet loss).
        space: Design space of the synthetic models.
        seed: Seed of the models and of the order of everything.
        photos: Folder of photographs, a thousand or more, that models render beside the procedural
            pictures, and whose content is divided out; ``None`` for procedural pictures alone.
        pictures: How many procedural pictures models render.
        content_pictures: Without photographs, how many procedural pictures have their content
            divided out, counted from the first that models render.
        image_px: Side of the rendered images.
        models: Synthetic models to train on; the size of the bank where it is fixed.
        images_per_model: Clean images K per model, and per step where there are steps.
        degraded_per_model: Of these images, how many come a second time as degraded copies.
        held_out_models: Further models, never trained on: half of them, of the same space, make
            the cohort; the others calibrate the scores and validate the weights.
        held_out_px: Side of the held-out images, which render procedural pictures. A fingerprint
            averages over the crops of an image, and scores rise as its noise falls: thresholds hold
            for images of about the size that they were calibrated on.
        calibration_space: Second design space of the models that calibrate and validate; every
            other one is of ``space``. Models of a narrow space such as "paper" resemble each other
            more than real ones do, those of a wide space less, and thresholds have to hold for real
            ones.
        dim: Length of a closed-form fingerprint, a multiple of 4.
        ridge: Added to the within-model covariance, in units of its mean variance.
        degraded_weight: Weight of the covariance of degraded copies, clean ones having 1.
        content_weight: Weight of the covariance of pictures that no model rendered. Above 1, for
            models smooth pictures before they differ in them, and there are more kinds of content
            than pictures.
        depth: Layers of the ResNet.
        width: Channels of its first stage.
        steps: Gradient steps.
        models_per_step: Synthetic models P in a step; photographs are one more class.
        learning_rate: Of AdamW, after warm-up; decays to zero as a cosine.
        temperature: Of the supervised contrastive loss.
        margin: Of the batch-hard triplet loss.
        checkpoint_every: Steps (or models, in the closed form) between checkpoints.

    Raises:
        InvalidOptionError: A value of another type or out of range; the message says which.
    """

    recipe: str = "closed-form"
    space: str = "open"
    seed: int = 0
    photos: str | None = None
    pictures: int = 1500
    content_pictures: int = 6000
    image_px: int = 144
    models: int = 3200
    images_per_model: int = 6
    degraded_per_model: int = 3
    held_out_models: int = 300
    held_out_px: int = 256
    calibration_space: str = "paper"
    dim: int = 5120
    ridge: float = 0.1
    degraded_weight: float = 1.0
    content_weight: float = 1.5
    depth: int = 18
    width: int = 32
    steps: int = 1500
    models_per_step: int = 15
    learning_rate: float = 1e-3
    temperature: float = 0.05
    margin: float = 0.3
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise InvalidOptionError(f"expected a recipe in {list(RECIPES)}, got {self.recipe!r}")
        find_space(self.space)
        find_space(self.calibration_space)
        for name, least in _LOWEST.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InvalidOptionError(
                    f"expected {name} to be a whole number of at least {least}, got {value!r}"
                )
        for name, lowest in _LOWEST_FLOATS.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not lowest <= value < math.inf:
                raise InvalidOptionError(
                    f"expected {name} to be a number of at least {lowest}, got {value!r}"
                )
        # What would only fail at the end of a long run, or in a folder that is then claimed.
        if self.recipe == "closed-form":
            check_parts(self.dim)
        if self.depth not in DEPTHS:
            raise InvalidOptionError(f"expected depth among {list(DEPTHS)}, got {self.depth}")
        if self.recipe == "paper" and self.models_per_step > self.models:
            raise InvalidOptionError(
                f"expected models_per_step up to models={self.models}, got {self.models_per_step}"
            )
        if self.degraded_per_model > self.images_per_model:
            raise InvalidOptionError(
                f"expected degraded_per_model up to images_per_model={self.images_per_model}, "
                f"got {self.degraded_per_model}"
            )

    @classmethod
    def preset(cls, recipe: str, **changes: Any) -> Self:  # noqa: ANN401  # checked by the fields
        """The defaults of a recipe, with some changed.

        Raises:
            InvalidOptionError: An unknown recipe or field, or a value out of range.
        """
        unknown = sorted(set(changes) - {field.name for field in fields(cls)})
        if unknown:
            known = sorted(field.name for field in fields(cls))
            raise InvalidOptionError(f"expected fields among {known}, got {unknown}")
        if recipe == "paper":
            # 288 architectures x 20 seeds, |FFT| -> ResNet, AdamW 1e-4 (Yang et al. 2025, sec. IV).
            defaults = cls(recipe, space="paper", models=5760, depth=50, width=64)
            defaults = replace(defaults, models_per_step=25, learning_rate=1e-4, steps=20_000)
            defaults = replace(defaults, calibration_space="open")
        else:
            defaults = cls(recipe)
        return replace(defaults, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)
