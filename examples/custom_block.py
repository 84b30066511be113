"""An upsampler, a norm and an activation of your own, in a design space of your own.

A part is a function of features ``(K, C, H, W)`` and of the model's parameters, from which it draws
weights by name. Registering it is all there is to do: it can then be sampled and named, it runs in
one batch with the built-in parts and on every backend (where a kernel does not know it, as it
stands here), and its models are measured like any others.

    python3 examples/custom_block.py --out custom_block.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

# A checkout need not be installed as a package for its examples to be run.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from modelprint import DesignSpace, ModelSynthesizer
from modelprint.features.residual_spectrum import model_spectrum
from modelprint.metrics import diversity, frechet_frequency_distance
from modelprint.report import Tile, contact_sheet, table
from modelprint.synthesis.blocks import (
    convolve,
    register_activation,
    register_norm,
    register_upsampler,
)
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import OPEN
from modelprint.synthesis.synthesizer import ModelSpec

SIDE_PX = 128


@register_upsampler("haar")
def haar(x: Tensor, parameters: Parameters) -> Tensor:
    """Four bands by a convolution, then the inverse Haar transform: wavelet decoders (SWAGAN)."""
    bands = convolve(x, parameters.scope("bands"), 4 * x.shape[1], 3, "zeros")
    mean, across, down, both = bands.chunk(4, 1)
    corners = [
        mean + across + down + both,
        mean - across + down - both,
        mean + across - down - both,
        mean - across - down + both,
    ]
    return F.pixel_shuffle(torch.stack(corners, 2).flatten(1, 2) / 2, 2)


@register_norm("global_response")
def global_response(x: Tensor, parameters: Parameters) -> Tensor:
    """Channels compete by their energy: global response normalisation (ConvNeXt V2)."""
    energy = x.square().mean((2, 3), keepdim=True).sqrt()
    share = energy / (energy.mean(1, keepdim=True) + 1e-4)
    gain = parameters.drawn("response gain", 1, x.shape[1], 1, 1, bound=1.0)
    return x + gain * share * x


@register_activation("snake")
def snake(x: Tensor, parameters: Parameters) -> Tensor:
    """The periodic Snake (BigVGAN), ``x + sin(f x)**2 / f``, with a frequency for each channel."""
    frequency = 2 + parameters.drawn("snake frequency", 1, x.shape[1], 1, 1, bound=1.5)
    return x + torch.sin(frequency * x).square() / frequency


OWN = {"upsampler": "haar", "norm": "global_response", "activation": "snake"}


def mixed_space() -> DesignSpace:
    """The open space with the new parts among the built-in ones: about a fifth of the draws."""
    stage = dict(OPEN.stage)
    for axis, part in OWN.items():
        known = OPEN.stage[axis]
        stage[axis] = (*known, *[part] * max(1, len(known) // 4))
    # A name of its own, for the names and the weights of models hang on it.
    return replace(OPEN, name="open-and-own", stage=stage)


def space_with(axis: str) -> DesignSpace:
    """The open space with the new part as the only option of its axis."""
    return replace(OPEN, name=f"open-{OWN[axis]}", stage={**OPEN.stage, axis: (OWN[axis],)})


def own_parts(model: ModelSpec) -> list[str]:
    """Which of the new parts a model is made of."""
    stages = model.architecture.stages
    return [part for axis, part in OWN.items() if any(getattr(s, axis) == part for s in stages)]


def show_batch(photos: Tensor, models: int, out: Path) -> list[ModelSpec]:
    """Render one batch of models with and without new parts; writes a contact sheet."""
    synthesizer = ModelSynthesizer(mixed_space(), seed=0)
    batch = synthesizer.sample(models)
    images = synthesizer.generate(batch, photos)  # (M, K, 3, H, W)
    rows = [("what the models are given", [Tile(photo, "") for photo in photos])]
    for model, rendered in zip(batch, images, strict=True):
        heading = f"{model.name}: {' + '.join(own_parts(model)) or 'built-in parts alone'}"
        rows.append((heading, [Tile(image, "") for image in rendered]))
    contact_sheet("A batch with parts of your own", rows).save(out)
    print(table(["model", "upsampler, norm and activation"], [_described(m) for m in batch]))
    return batch


def _described(model: ModelSpec) -> list[str]:
    stages = [" ".join(getattr(s, axis) for axis in OWN) for s in model.architecture.stages]
    return [model.name, " / ".join(stages)]


def spectra(
    space: DesignSpace, photos: Tensor, models: int, *, first: int = 0
) -> npt.NDArray[np.float64]:
    """A spectrum for each model, ``(models, F)`` in dB."""
    synthesizer = ModelSynthesizer(space, seed=0)
    images = synthesizer.generate(synthesizer.sample(models, first=first), photos)
    return np.stack([model_spectrum(of_model) for of_model in images])


def contributions(photos: Tensor, models: int) -> dict[str, tuple[float, float]]:
    """How far the spectra of each new part are from those of the open space, and how varied.

    Returns:
        Fréchet frequency distance to ``models`` models of the open space in dB squared, and
        diversity in dB. The first entry is of other models of the open space: what chance gives.
    """
    known = spectra(OPEN, photos, models)
    sets = {"open, other models": spectra(OPEN, photos, models, first=models)}
    for axis, part in OWN.items():
        sets[f"open with {part} alone"] = spectra(space_with(axis), photos, models)
    return {
        name: (frechet_frequency_distance(known, rows), diversity(rows))
        for name, rows in sets.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("custom_block.png"))
    parser.add_argument("--batch", type=int, default=8, help="models to show")
    parser.add_argument("--models", type=int, default=24, help="models to measure in each set")
    parser.add_argument("--images", type=int, default=4, help="of each model")
    options = parser.parse_args(arguments)
    photos = draw_pictures(options.images, seed=50_000, size_px=SIDE_PX)
    show_batch(photos, options.batch, options.out)
    print(f"\nwritten: {options.out}\n")
    rows = [
        [name, f"{distance:.0f}", f"{varied:.1f}"]
        for name, (distance, varied) in contributions(photos, options.models).items()
    ]
    print(table(["models", "distance to open (dB²)", "diversity (dB)"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
