"""Whose images are attacked: synthetic models, or those of a benchmark folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.folder import PHOTOGRAPH, BenchmarkFolder
from modelprint.errors import InvalidOptionError
from modelprint.images import load_image
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.synthesizer import ModelSynthesizer

# Training uses seed 0 of this space, and other pictures.
SPACE, SEED, SERIES = "open", 7_000_001, 7_000_002
PHOTOGRAPHS = 12


@dataclass(frozen=True)
class Subjects:
    """Pixels `(3, H, W)` uint8 of several models.

    Attributes:
        source: Where they come from.
        names: M models.
        enrolled: By model, images to enroll, which the attacker has as well.
        attacked: By model, images to attack.
        photographs: Images that no model made.
    """

    source: str
    names: list[str]
    enrolled: list[list[Tensor]]
    attacked: list[list[Tensor]]
    photographs: list[Tensor]


def synthetic(models: int, enrolled: int, attacked: int, size_px: int) -> Subjects:
    """Models that took no part in training; each renders the same pictures."""
    pictures = draw_pictures(enrolled + attacked + PHOTOGRAPHS, seed=SERIES, size_px=size_px)
    synthesizer = ModelSynthesizer(SPACE, seed=SEED)
    specs = synthesizer.sample(models)
    images = synthesizer.generate(specs, pictures[: enrolled + attacked])
    return Subjects(
        f"{models} synthetic models of the space {SPACE}, images of {size_px} px",
        [spec.name for spec in specs],
        [list(of_model[:enrolled]) for of_model in images],
        [list(of_model[enrolled:]) for of_model in images],
        list(pictures[enrolled + attacked :]),
    )


def from_folder(path: Path, enrolled: int, attacked: int) -> Subjects:
    """A benchmark folder; which images are enrolled and which attacked is drawn with seed 0."""
    folder = BenchmarkFolder.open(path, least_images=enrolled + attacked)
    if not folder.photographs:
        raise InvalidOptionError(f"{path}: expected photographs in real/, for their spectrum.")

    def some(model: int, n: int) -> list[Tensor]:
        order = np.random.default_rng([0, model + 1]).permutation(
            np.flatnonzero(folder.model_of == model)
        )
        return [load_image(folder.files[i]).pixels for i in order[:n]]

    groups = [some(model, enrolled + attacked) for model in range(len(folder.models))]
    return Subjects(
        f"{folder.name}, {len(folder.models)} models, digest {folder.digest()[:12]}",
        list(folder.models),
        [group[:enrolled] for group in groups],
        [group[enrolled:] for group in groups],
        some(PHOTOGRAPH, PHOTOGRAPHS),
    )
