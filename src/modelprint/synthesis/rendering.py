"""Photographs through fitted models, as bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from modelprint.synthesis.batched import Runner
from modelprint.synthesis.fitting import FIT_PIXELS
from modelprint.synthesis.inputs import Inputs, photographs
from modelprint.synthesis.network import render
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.requests import Steps
from modelprint.synthesis.spec import ModelSpec

# Features in bfloat16 are up to 3 grey levels off, 0.2 on average (space "paper", 128 px), and take
# half of the time on a CPU with AMX, two thirds with AVX-512. Not the default: equal is better.
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

# A map of 64 channels of so many pixels is 8 MB. Smaller parts cost more calls, larger ones more
# page faults: the memory of threads goes back to the system in pieces of 64 MB.
_THREAD_PIXELS = 2**15
# What a model's maps take at most at a time, per pixel of its output; measured on wide models.
_BYTES_PER_PIXEL = 2048
_HOST_BYTES = 2**30


def models_at_once(device: torch.device, photos: Tensor) -> int:
    """How many models may run in step with ``photos`` ``(K, 3, H, W)``, for the memory there is."""
    free = torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else _HOST_BYTES
    pixels = max(photos[:, 0].numel(), FIT_PIXELS)
    return min(256, max(1, free // (pixels * _BYTES_PER_PIXEL)))


def rendered_by(
    models: Sequence[ModelSpec],
    parameters: Sequence[Parameters],
    photos: Tensor,
    runner: Runner,
    precision: str = "float32",
) -> list[Tensor]:
    """Photographs through fitted models.

    Args:
        models: M of them.
        parameters: Their numbers, after the fit.
        photos: ``(K, 3, H, W)`` in [0, 1] on the runner's device.
        runner: What runs them.
        precision: One of ``PRECISIONS``.

    Returns:
        Of each model ``(K, 3, H, W)`` uint8 on the CPU.
    """
    K = len(photos)
    few = K if runner.in_step else max(1, _THREAD_PIXELS // photos[0, 0].numel())
    size, dtype = (photos.shape[2], photos.shape[3]), PRECISIONS[precision]
    seen = {
        stages: [photographs(part, stages) for part in torch.split(photos, few)]
        for stages in {len(model.architecture.stages) for model in models}
    }
    starts: list[Callable[[], Steps[Tensor]]] = [
        partial(_bytes, model, numbers, part, size, dtype)
        for model, numbers in zip(models, parameters, strict=True)
        for part in seen[len(model.architecture.stages)]
    ]
    # Copied from the device once: every copy waits for it.
    images = torch.cat(list(runner.run(starts))).cpu()
    return [images[first : first + K] for first in range(0, len(images), K)]


def _bytes(
    model: ModelSpec,
    parameters: Parameters,
    inputs: Inputs,
    size: tuple[int, int],
    dtype: torch.dtype,
) -> Steps[Tensor]:
    rendered = yield from render(model.architecture, parameters, inputs, size, dtype)
    return (rendered * 255).round().to(torch.uint8)
