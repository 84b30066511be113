"""How a model gets its output layer: solved, drawn and set to a sane contrast, or trained.

``"ridge"``: random features carry enough of a picture for a linear last layer to reconstruct it
recognisably; what it cannot reconstruct is the model's fingerprint. Ridge regression in closed
form, every model from its own normal equations.

``"none"``: the output layer is as random as all others; only its gain and offset are set, so that
images have the brightness and contrast of pictures.

``"descent"``: all weights are trained to reconstruct; see ``descent``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor

from modelprint.draws import Draws
from modelprint.synthesis.batched import Runner
from modelprint.synthesis.descent import descend
from modelprint.synthesis.inputs import photographs
from modelprint.synthesis.network import OUTPUTS, convolve_output, features_of
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.pictures import crops, draw_pictures
from modelprint.synthesis.requests import Equations, Steps, joined
from modelprint.synthesis.space import Architecture
from modelprint.synthesis.spec import ModelSpec

FITS = ("ridge", "none", "descent")

_INVERTIBLE = 0.95
_RIDGE = 1e-4
_ROWS = 6000
_PICTURES = 6
_PX = 96
FIT_PIXELS = _PICTURES * _PX**2


def fitted(models: Sequence[ModelSpec], fit: str, runner: Runner) -> list[Parameters]:
    """The numbers of models, ready to render: drawn, and fitted on procedural pictures.

    Args:
        models: What they are. Each one's numbers depend on its own spec and ``fit`` alone.
        fit: One of ``FITS``.
        runner: What runs them.
    """
    parameters = [Parameters(*model.key, device=runner.device) for model in models]
    pictures = [fit_pictures(model).to(runner.device) for model in models]
    solve = fit_ridge if fit == "ridge" else fit_none
    starts: list[Callable[[], Steps[None]]] = [
        partial(solve, model.architecture, own, seen)
        for model, own, seen in zip(models, parameters, pictures, strict=True)
    ]
    for _ in runner.run(starts):
        pass
    if fit == "descent":
        return descend(models, parameters, pictures, runner)
    return parameters


def fit_ridge(architecture: Architecture, parameters: Parameters, pictures: Tensor) -> Steps[None]:
    """Solve the output convolution by ridge regression, so that the model reconstructs.

    Also freezes the statistics of the batch norms.

    Args:
        architecture: What the model is made of.
        parameters: Its numbers; gains the value ``output`` ``(3, 1 + C * k * k)``, bias first.
        pictures: ``(K, 3, H, W)`` float32 in [0, 1], sides divisible by 2 to the number of stages.
    """
    inputs = photographs(pictures, len(architecture.stages))
    features = yield from features_of(architecture, parameters, inputs)
    target = _target(architecture, inputs.x)
    kernel = architecture.whole.output_kernel
    given = joined(features, inputs.tone, kernel // 2)
    patches = given.unfold(2, kernel, 1).unfold(3, kernel, 1)
    total = target.shape[0] * target.shape[2] * target.shape[3]
    # Every pixel gives an equation; a stride prime to the image sides spreads those we take.
    step = max(1, total // _ROWS) | 1
    k, i, j = _positions(torch.arange(0, total, step, device=target.device), *target.shape[2:])
    design = patches[k, :, i, j].flatten(1)
    design = torch.cat([torch.ones_like(design[:, :1]), design], 1)
    gram = (design.T @ design).double()
    moments = (design.T @ target[k, :, i, j]).double()
    gram.diagonal().add_(_RIDGE * gram.diagonal().mean() + 1e-6)
    solution = yield Equations(gram, moments)
    parameters.keep("output", solution.T.float().contiguous())


def fit_none(architecture: Architecture, parameters: Parameters, pictures: Tensor) -> Steps[None]:
    """Draw the output convolution too, and set its gain and offset by the statistics of pictures.

    Arguments are those of ``fit_ridge``.
    """
    inputs = photographs(pictures, len(architecture.stages))
    features = yield from features_of(architecture, parameters, inputs)
    whole, tone = architecture.whole, inputs.tone
    count = (features.shape[1] + tone.shape[1]) * whole.output_kernel**2
    taps = parameters.drawn("drawn output", 3, count)
    weight = torch.cat([taps.new_zeros(3, 1), taps], 1)
    y = yield from convolve_output(whole, weight, features, tone)
    target = _target(architecture, inputs.x)
    gain = target.std((0, 2, 3)) / (y.std((0, 2, 3)) + 1e-6)
    offset = target.mean((0, 2, 3)) - gain * y.mean((0, 2, 3))
    parameters.keep("output", torch.cat([offset[:, None], gain[:, None] * taps], 1))


def _target(architecture: Architecture, x: Tensor) -> Tensor:
    """What the output convolution should give for pictures ``x`` in [-1, 1]."""
    return OUTPUTS[architecture.whole.output][1](x.clamp(-_INVERTIBLE, _INVERTIBLE))


def _positions(rows: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    image, pixel = rows // (height * width), rows % (height * width)
    return image, pixel // width, pixel % width


@lru_cache(maxsize=1)
def _bank() -> Tensor:
    return draw_pictures(48, seed=0, size_px=2 * _PX)


def fit_pictures(model: ModelSpec) -> Tensor:
    """The pictures on which this model is fitted: ``(6, 3, 96, 96)`` float32 in [0, 1]."""
    draws = Draws(*model.key, "fit pictures")
    return torch.stack(list(crops(_bank(), draws, _PICTURES, _PX))).float() / 255
