"""The paper's way to a reconstruction: gradient descent on all weights, many models at once.

Yang et al. 2025 (arXiv 2307.15977), section III: models are trained to reconstruct, but a minimum
residual of 0.005 is kept, since what is left is the fingerprint. The paper leaves the unit open;
here it is the mean squared error of pixels in [-1, 1].

Models of one architecture are stacked and differentiated by ``torch.func.vmap``, and one Adam
(Kingma and Ba 2015) steps all their weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from modelprint.draws import Draws
from modelprint.synthesis.batched import Runner, run_alone
from modelprint.synthesis.inputs import inputs_of
from modelprint.synthesis.network import features_of, reconstruct
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.space import Architecture
from modelprint.synthesis.spec import ModelSpec

STEPS = 200
MINIMUM_RESIDUAL = 0.005
_RATE = 1e-2
_CROPS = 4
_CROP_PX = 64


def descend(
    models: Sequence[ModelSpec],
    parameters: Sequence[Parameters],
    pictures: Sequence[Tensor],
    runner: Runner,
) -> list[Parameters]:
    """Train models to reconstruct.

    On a CPU every model is trained alone, since grouped convolutions gain nothing there, and its
    weights depend on nothing else. On other devices the rounding of a step depends on how many
    models are stacked, and training amplifies it.

    Args:
        models: What they are.
        parameters: Where each begins: its numbers with an output layer ``output``.
        pictures: What each is to reconstruct, ``(K, 3, H, W)`` float32 in [0, 1] with sides of at
            least 64 pixels.
        runner: What runs them.

    Returns:
        Their numbers after it; the statistics of batch norms are those of all pictures.
    """
    groups: dict[Architecture, list[int]] = defaultdict(list)
    for number, model in enumerate(models):
        groups[model.architecture].append(number)
    most = runner.at_once if runner.in_step else 1
    chunks = [
        numbers[first : first + most]
        for numbers in groups.values()
        for first in range(0, len(numbers), most)
    ]

    def train(numbers: list[int]) -> list[Parameters]:
        return _train(
            [models[n] for n in numbers],
            [parameters[n] for n in numbers],
            torch.stack([pictures[n] for n in numbers]) * 2 - 1,
        )

    trained: dict[int, Parameters] = {}
    for numbers, results in zip(chunks, runner.map(train, chunks), strict=True):
        trained.update(zip(numbers, results, strict=True))
    return [trained[number] for number in range(len(models))]


def _train(
    models: Sequence[ModelSpec], parameters: Sequence[Parameters], pictures: Tensor
) -> list[Parameters]:
    """Models of one architecture after training on ``pictures`` ``(G, K, 3, H, W)`` in [-1, 1]."""
    architecture, template = models[0].architecture, parameters[0]
    stages = len(architecture.stages)
    starts = [{**p.weights(), "output": p.measured("output", torch.empty)} for p in parameters]
    stacked = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    given = {name: value for name, value in stacked.items() if name.split(".")[-1] == "noise"}
    learnt = {n: value.requires_grad_() for n, value in stacked.items() if n not in given}

    def residual(values: dict[str, Tensor], crops: Tensor) -> Tensor:
        in_training = template.with_values(values, keeps=False)
        rendered = run_alone(reconstruct(architecture, in_training, inputs_of(crops, stages)))
        return (rendered - crops).square().mean()

    with torch.enable_grad():
        optimizer = torch.optim.Adam(learnt.values(), lr=_RATE)
        for crops in _crops(models, pictures):
            residuals = vmap(residual)({**learnt, **given}, crops)
            optimizer.zero_grad()
            torch.autograd.backward(residuals.clamp_min(MINIMUM_RESIDUAL).sum())
            optimizer.step()
    results = []
    for number, start in enumerate(parameters):
        values = {name: value[number].detach().clone() for name, value in stacked.items()}
        result = start.with_values(values)
        with torch.no_grad():
            run_alone(features_of(architecture, result, inputs_of(pictures[number], stages)))
        results.append(result)
    return results


def _crops(models: Sequence[ModelSpec], pictures: Tensor) -> Iterator[Tensor]:
    """What every model sees in each step, ``(G, crops, 3, side, side)``."""
    G, K, _, H, W = pictures.shape
    draws = [Draws(*model.key, "descent") for model in models]
    for _ in range(STEPS):
        crops = []
        for group in range(G):
            for _ in range(_CROPS):
                picture = draws[group].integer(K)
                top = draws[group].integer(H - _CROP_PX + 1)
                left = draws[group].integer(W - _CROP_PX + 1)
                crops.append(
                    pictures[group, picture, :, top : top + _CROP_PX, left : left + _CROP_PX]
                )
        yield torch.stack(crops).view(G, _CROPS, *crops[0].shape)
