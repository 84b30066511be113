"""Pictures of made-up models, and embedders that can tell them apart without any weights."""

import hashlib
from functools import cache

import numpy as np
import torch

from modelprint.calibration import Calibration
from modelprint.gallery import Gallery
from modelprint.images import LoadedImage

DIM = 16
SIDE_PX = 64


def picture(model: int, number: int, side_px: int = SIDE_PX) -> np.ndarray:
    """Picture `number` by `model`: 16 strips in the model's greys, with noise of its own."""
    strips = 127 + 30 * np.random.default_rng([model, 0]).normal(size=DIM)
    noise = np.random.default_rng([model, 1, number])
    strips += 8 * noise.normal(size=DIM)
    pixels = strips.repeat(side_px // DIM) + 8 * noise.normal(size=(side_px, side_px))
    return np.dstack([pixels.clip(0, 255).round().astype(np.uint8)] * 3)


def pictures(model: int, numbers: range) -> list[np.ndarray]:
    return [picture(model, number) for number in numbers]


class CosineEmbedder:
    """Knows a model by the greys of its strips; no scorer, no calibration."""

    dim = DIM

    def __init__(self, name: str = "fake") -> None:
        self.digest = hashlib.sha256(name.encode()).hexdigest()
        self.embedded: list[int] = []

    def embed(self, images, *, batch_size=32, progress=None) -> torch.Tensor:
        images = list(images)
        assert all(isinstance(image, LoadedImage) for image in images)
        self.embedded.append(len(images))
        strips = [
            image.pixels[:, :, : image.pixels.shape[2] // DIM * DIM]
            .double()
            .unflatten(2, (DIM, -1))
            .mean(dim=(0, 1, 3))
            for image in images
        ]
        return torch.nn.functional.normalize(torch.stack(strips) - 127, dim=1).float()


@cache
def calibration(comparisons: int) -> Calibration:
    """For scores of unrelated models, which are directions drawn at random."""
    directions = np.random.default_rng(0).normal(size=(comparisons, DIM))
    scores = 10 * directions[:, 0] / np.linalg.norm(directions, axis=1)
    return Calibration.fit({(1, 64): 1.1 * scores, (4, 64): scores}, source="random directions")


class CalibratedEmbedder(CosineEmbedder):
    """Has a scorer of its own, ten times the cosine, and a calibration for it."""

    def __init__(self, name: str = "fake", comparisons: int = 20_000) -> None:
        super().__init__(name)
        self.calibration = calibration(comparisons)

    def compare(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return 10 * a @ b.T


class FakeExtractor(CalibratedEmbedder):
    """In place of the one that loads weights."""

    device = "cpu"

    @classmethod
    def from_pretrained(cls, source=None, *, device=None):
        return cls()


MODELS = {"sdxl": 1, "flux": 2, "pixart": 3}


def filled_gallery() -> Gallery:
    """Three models of four pictures each."""
    gallery = Gallery(CalibratedEmbedder())
    for label, model in MODELS.items():
        gallery.enroll(label, pictures(model, range(4)))
    return gallery


def sibling_picture(model: int, sibling: int, number: int, apart: float = 4.0) -> np.ndarray:
    """Picture `number` by a fine-tune of a model: its greys, moved a little."""
    move = apart * np.random.default_rng([model, 2, sibling]).normal(size=DIM)
    pixels = picture(model, 10_000 * (sibling + 1) + number).astype(np.float64)
    pixels += move.repeat(SIDE_PX // DIM)[None, :, None]
    return pixels.clip(0, 255).round().astype(np.uint8)


@cache
def likely_calibration(comparisons: int = 20_000) -> Calibration:
    """With likelihood ratios as well: made-up models and their pictures as directions."""
    generator = np.random.default_rng(1)
    models = 30 * generator.normal(size=(comparisons, 1, DIM))
    images = models + 8 * generator.normal(size=(comparisons, 5, DIM))
    images /= np.linalg.norm(images, axis=2, keepdims=True)
    impostors, genuine = {}, {}
    for n in (1, 4):
        templates = images[:, :n].mean(1)
        templates /= np.linalg.norm(templates, axis=1, keepdims=True)
        genuine[n, SIDE_PX] = 10 * (images[:, 4] * templates).sum(1)
        impostors[n, SIDE_PX] = 10 * (images[:, 4] * np.roll(templates, 1, axis=0)).sum(1)
    return Calibration.fit(impostors, genuine, source="random directions")


class LikelyEmbedder(CalibratedEmbedder):
    """Its calibration knows genuine scores too."""

    def __init__(self, name: str = "fake") -> None:
        super().__init__(name)
        self.calibration = likely_calibration()
