"""Weights and design spaces so small that everything about them takes milliseconds."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from modelprint.backbone import SpectrumResNet
from modelprint.calibration import Calibration
from modelprint.extractor import PREPROCESSING_VERSION, SCHEMA_VERSION, FingerprintExtractor
from modelprint.features.residual_statistics import residual_statistics, statistics_count
from modelprint.hub import WeightsFolder
from modelprint.packing import packed
from modelprint.synthesis.space import DesignSpace

DIM = 8

SPACE = DesignSpace(
    "tiny",
    (1,),
    {
        "channels": (4,),
        "upsampler": ("nearest", "transposed4", "pixel_shuffle"),
        "activation": ("relu", "tanh"),
        "norm": ("none", "batch"),
    },
    {"output_kernel": (1, 3)},
)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def unit_rows(n: int, dim: int = DIM, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(numbers(n, dim, seed=seed), dim=1)


def photos(n: int, height: int = 40, width: int = 36, seed: int = 0) -> Tensor:
    """``(n, 3, height, width)`` uint8."""
    generator = np.random.default_rng([seed, height, width])
    return torch.from_numpy(generator.integers(0, 256, (n, 3, height, width), np.uint8))


@cache
def calibration() -> Calibration:
    return Calibration.fit({(1, 32): np.random.default_rng(0).normal(size=2000)}, source="made up")


def config(backbone: str = "whitened-statistics", **options: object) -> dict[str, object]:
    options = options or {"dim": DIM}
    return {
        "schema_version": SCHEMA_VERSION,
        "preprocessing_version": PREPROCESSING_VERSION,
        "backbone": backbone,
        "options": options,
        "dim": options.get("dim", DIM),
        "trained": {"recipe": "made up"},
    }


def weights(seed: int = 0, cohort: int = 20, dim: int = DIM) -> WeightsFolder:
    """A folder's content for a closed-form extractor."""
    mean = residual_statistics(photos(2, 32, 32, seed=99).float() / 255).mean(0)
    tensors = {
        "mean": mean.expand(2, -1).contiguous(),
        "deviation": torch.ones(2, statistics_count()),
        "projection": numbers(statistics_count(), dim // 4, seed=seed),
        "cohort": unit_rows(cohort, dim, seed=seed + 1) if cohort else torch.empty(0, dim),
    }
    kept = packed(tensors, ("projection", "cohort"))
    return WeightsFolder(kept, config(dim=dim), calibration().to_dict(), "# A card\n")


def network_weights() -> WeightsFolder:
    """A folder's content for a network, with statistics in its batch norms."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SpectrumResNet(10, 1).train()
        network(photos(4, seed=5).float() / 255)
    tensors = {**network.state_dict(), "cohort": unit_rows(20)}
    options = {"depth": 10, "width": 1, "log": False}
    kept = packed(tensors, ("cohort",))
    return WeightsFolder(kept, config("spectrum-resnet", **options), calibration().to_dict(), "")


def extractor(seed: int = 0, cohort: int = 20) -> FingerprintExtractor:
    return FingerprintExtractor.from_weights(weights(seed, cohort), device="cpu")
