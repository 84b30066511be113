"""The last-blocks exchange: whose fingerprint has a model with another model's last blocks?

Yang et al. 2025 exchange the last two blocks of two ProGANs: their classifier then names, for nine
images in ten, the model whose *last* blocks made the image. Here two synthetic models exchange
their last decoder blocks with all weights and frozen statistics, nothing is fitted anew, and a
gallery in which both models are enrolled, as they were, is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import modelprint
from examples.anatomy.spectra import SIDE_PX, Spectrum, distance_db, log_spectrum
from modelprint.synthesis.batched import Runner
from modelprint.synthesis.fitting import fitted
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.rendering import rendered_by
from modelprint.synthesis.space import Architecture
from modelprint.synthesis.spec import ModelSpec

BLOCKS = 4
SPACE = modelprint.DesignSpace(
    "exchange",
    (BLOCKS,),
    stage={
        "upsampler": ("nearest", "bilinear", "transposed2", "transposed4", "pixel_shuffle"),
        "activation": ("relu", "leaky_relu", "silu", "tanh"),
        "norm": ("none", "batch", "instance"),
        "order": ("conv-norm-act", "norm-act-conv"),
        "kernel": (3, 5),
        # Blocks fit together where all have the same widths.
        "channels": (12,),
    },
    whole={"output": ("linear", "tanh")},
)
SAME, OTHER = "same architecture, other weights", "other architecture"
# As many as the paper exchanges.
SHOWN = 2
ENROLLED = 10
# Of each model whose spectrum is shown.
PICTURES = 20
SERIES = 3_000_000
# What is exchanged: nothing, the output layer alone, or 1 to 4 last blocks with it.
STEPS: tuple[int | None, ...] = (None, *range(BLOCKS + 1))


@dataclass(frozen=True)
class Exchange:
    """What the gallery said about images of models with exchanged last blocks.

    Attributes:
        images: How many images each share is of.
        named: By kind of pair, one share for each of `STEPS`: images for which, of the two enrolled
            models, the one with these last blocks is the likelier.
        matched: Likewise: images for which the gallery answers "match" with it, where it might have
            answered "unknown".
        spectra: Log spectra `(64, 64)` of the first pair of one architecture: "A", "B", both after
            the exchange of two blocks, and "A, other pictures".
    """

    images: int
    named: dict[str, list[float]]
    matched: dict[str, list[float]]
    spectra: dict[str, Spectrum]

    def distances_db(self) -> tuple[float, float]:
        """How far models are from the one with their last blocks, and from that with their first.

        Mean over the two exchanged models of `spectra`.
        """
        a, b, a_then_b, b_then_a = list(self.spectra.values())[:4]
        to_last = (distance_db(a_then_b, b) + distance_db(b_then_a, a)) / 2
        to_first = (distance_db(a_then_b, a) + distance_db(b_then_a, b)) / 2
        return to_last, to_first


class Grafted(Parameters):
    """The numbers of one model, but those of some parts are another model's.

    Args:
        own: Numbers of the model that keeps its first parts.
        grafts: Numbers of the other model.
        parts: Names of the parts whose numbers are the other model's.
    """

    def __init__(self, own: Parameters, grafts: Parameters, parts: Collection[str]) -> None:
        super().__init__("grafted")
        self._own, self._grafts, self._parts = own, grafts, frozenset(parts)

    def _of(self, part: str) -> Parameters:
        return self._grafts if part in self._parts else self._own

    def scope(self, name: str) -> Parameters:
        return self._of(name).scope(name)

    def known(self, name: str) -> Tensor | None:
        return self._of(name).known(name)


@dataclass(frozen=True)
class Model:
    """A synthetic model with its numbers."""

    spec: ModelSpec
    parameters: Parameters

    def with_last_blocks_of(self, other: Model, blocks: int) -> Model:
        """This model, but the last `blocks` decoder blocks and the output layer are another's."""
        first = BLOCKS - blocks
        own, others = self.spec.architecture, other.spec.architecture
        stages = own.stages[:first] + others.stages[first:]
        whole = replace(own.whole, output=others.whole.output)
        last = ["output", *(f"stage{depth}" for depth in range(first, BLOCKS))]
        return Model(
            replace(self.spec, architecture=Architecture(stages, whole)),
            Grafted(self.parameters, other.parameters, last),
        )


def models_of(specs: Sequence[ModelSpec], runner: Runner) -> list[Model]:
    """Models with their last layers solved, as the synthesizer does before it renders."""
    return [
        Model(spec, parameters)
        for spec, parameters in zip(specs, fitted(specs, "ridge", runner), strict=True)
    ]


def render(models: Sequence[Model], pictures: Tensor, runner: Runner) -> list[Tensor]:
    """Of each model its images `(K, 3, H, W)` uint8 of pictures `(K, 3, H, W)` uint8."""
    specs, parameters = [model.spec for model in models], [model.parameters for model in models]
    return rendered_by(specs, parameters, pictures.float() / 255, runner)


def pairs_of_models(pairs: int) -> dict[str, list[tuple[ModelSpec, ModelSpec]]]:
    """Pairs that differ in their weights alone, and pairs that differ in every choice."""
    specs = modelprint.ModelSynthesizer(SPACE, seed=0).sample(2 * pairs)
    different = list(zip(specs[::2], specs[1::2], strict=True))
    same = [(a, replace(b, architecture=a.architecture)) for a, b in different]
    return {SAME: same, OTHER: different}


def measure(pairs: int, asked: int) -> Exchange:
    """Exchange the last blocks of `pairs` pairs of each kind; ask about `asked` images a model."""
    extractor = modelprint.FingerprintExtractor.from_pretrained(device="cpu")
    pictures = draw_pictures(ENROLLED + asked, seed=SERIES, size_px=SIDE_PX)
    images = 2 * pairs * asked
    named: dict[str, list[float]] = {}
    matched: dict[str, list[float]] = {}
    with Runner("torch", torch.device("cpu"), at_once=1) as runner:
        for kind, specs in pairs_of_models(pairs).items():
            counts = torch.zeros(2, len(STEPS))
            for pair in specs:
                a, b = models_of(pair, runner)
                counts += _answers(extractor, a, b, pictures, runner)
            named[kind], matched[kind] = (counts / images).tolist()
        spectra = _spectra(runner)
    return Exchange(images, named, matched, spectra)


def _spectra(runner: Runner) -> dict[str, Spectrum]:
    pictures = draw_pictures(2 * PICTURES, seed=SERIES + 1, size_px=SIDE_PX)
    a, b = models_of(pairs_of_models(1)[SAME][0], runner)
    shown = {
        "A": a,
        "B": b,
        f"A with B's last {SHOWN}": a.with_last_blocks_of(b, SHOWN),
        f"B with A's last {SHOWN}": b.with_last_blocks_of(a, SHOWN),
    }
    rendered = render(list(shown.values()), pictures[:PICTURES], runner)
    spectra = {name: log_spectrum(of) for name, of in zip(shown, rendered, strict=True)}
    (others,) = render([a], pictures[PICTURES:], runner)
    return spectra | {"A, other pictures": log_spectrum(others)}


def _answers(
    extractor: modelprint.FingerprintExtractor, a: Model, b: Model, pictures: Tensor, runner: Runner
) -> Tensor:
    """How many images were named, and matched with, the model of the last blocks: `(2, steps)`."""
    gallery = modelprint.Gallery(extractor)
    for label, images in zip("ab", render([a, b], pictures[:ENROLLED], runner), strict=True):
        gallery.enroll(label, images)
    counts = torch.zeros(2, len(STEPS))
    for step, blocks in enumerate(STEPS):
        mixed, labels = [a, b], "ba"  # nothing is exchanged: is the other one named all the same?
        if blocks is not None:
            mixed = [a.with_last_blocks_of(b, blocks), b.with_last_blocks_of(a, blocks)]
        for label, images in zip(labels, render(mixed, pictures[ENROLLED:], runner), strict=True):
            for answer in gallery.identify_many(images):
                counts[0, step] += answer.candidates[0].label == label
                counts[1, step] += answer.label == label
    return counts
