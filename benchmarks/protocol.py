"""The benchmark protocol: every figure that is reported for an embedder, and how it is computed.

Per model 10 images are enrolled and the rest tested, in 5 draws; figures are means over the draws.
With 3 or 1 enrolled, these are the first of the same 10, and the same images are tested. A pair is
an image as it came and *another* image under the condition, both ways round, so that under every
condition only the test image suffers, unless the plan says that all images are treated alike.
Intervals are 95 % bootstrap intervals over models; the gallery stays as it is. Thresholds are those
that the embedder ships; none is chosen here.

An embedder is anything that satisfies `modelprint.embedder.Embedder`; `compare` and `calibration`
are used where it has them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.conditions import CLEAN, CONDITIONS, Condition
from benchmarks.draws import Draw
from benchmarks.figures import Figure
from benchmarks.folder import NOT_SHARED, BenchmarkFolder
from benchmarks.identification import open_set, top1
from benchmarks.likelihood import llr_cost
from benchmarks.pairs import PairBlocks
from modelprint.answers.usability import Problem, usability_of
from modelprint.embedder import Embedder, degraded_of, fingerprints_of, scorer_of
from modelprint.images import LoadedImage, load_image
from modelprint.reference import Reference
from modelprint.scoring.comparison import symmetric

Floats = NDArray[np.float64]
Figures = dict[str, Figure | None]

SUBSET = (
    "dalle_mini",
    "glid3_xl",
    "sd14",
    "sd35_large",
    "midjourney_v4",
    "disco_diffusion",
    "stylegan2_ada_ffhq",
)
FEWER_ENROLLED = (3, 1)
BATCH_IMAGES = 32


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        enrolled: images enrolled for each model.
        seeds: one draw for each.
        conditions: names from `CONDITIONS`, the first of which is "clean".
        resamples: of the bootstrap.
        alike: whether conditions apply to the enrolled images as well, as where all images of a
            gallery and all questions come by one platform.
    """

    enrolled: int = 10
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    conditions: tuple[str, ...] = tuple(CONDITIONS)
    resamples: int = 1000
    alike: bool = False

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Numbers of enrolled images for which identification is measured, falling."""
        return (self.enrolled, *(n for n in FEWER_ENROLLED if n < self.enrolled))


@dataclass(frozen=True)
class Embedded:
    """A folder's images under one condition, as an embedder sees them.

    Attributes:
        fingerprints: (N, D) float32, unit rows.
        side_px: (N,) smaller side of each image in pixels.
        problems: N, why an image cannot be judged, if so.
        embedded_s: time in seconds that the embedder took.
    """

    fingerprints: Tensor
    side_px: NDArray[np.int64]
    problems: tuple[Problem | None, ...]
    embedded_s: float


def evaluate(
    embedder: Embedder,
    folder: BenchmarkFolder,
    plan: Plan,
    *,
    log: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, Figure | None]]:
    """All figures by condition; each image is embedded once for each condition.

    Returns:
        For each condition, figures by name: "top1_10", "top1_3", "top1_1", "auc", "eer",
        "shared_auc", "shared_images_auc", those of `open_set`, "cllr", "subset_top1",
        "subset_auc". None where the folder or the embedder lacks what the figure needs.
    """
    draws = [Draw.of(folder, enrolled=plan.enrolled, seed=seed) for seed in plan.seeds]
    results: dict[str, Figures] = {}
    reference: Embedded | None = None
    degraded = torch.empty(0)
    for name in plan.conditions:
        test = embed(embedder, folder, CONDITIONS[name])
        if name == CLEAN or plan.alike:
            reference = test
            degraded = embed_degraded(embedder, folder, CONDITIONS[name], test.fingerprints)
        if reference is None:
            raise ValueError("plan.conditions: 'clean' must come first")
        start = time.perf_counter()
        results[name] = {
            **_identification(
                embedder, folder, plan, draws, reference.fingerprints, degraded, test
            ),
            **_verification(embedder, folder, plan, reference.fingerprints, test.fingerprints),
        }
        measured_s = time.perf_counter() - start
        log(f"{name}: embedded in {test.embedded_s:.1f} s, measured in {measured_s:.1f} s")
    return results


def embed(embedder: Embedder, folder: BenchmarkFolder, condition: Condition) -> Embedded:
    """Fingerprints of all images under a condition, streaming through memory in batches."""
    fingerprints: list[Tensor] = []
    side_px: list[int] = []
    problems: list[Problem | None] = []
    embedded_s = 0.0
    for batch in _batches(folder, condition):
        start = time.perf_counter()
        fingerprints.append(fingerprints_of(embedder, batch))
        embedded_s += time.perf_counter() - start
        side_px.extend(image.side_px for image in batch)
        problems.extend(usability_of(image).problem for image in batch)
    return Embedded(torch.cat(fingerprints), np.array(side_px), tuple(problems), embedded_s)


def embed_degraded(
    embedder: Embedder, folder: BenchmarkFolder, condition: Condition, fingerprints: Tensor
) -> Tensor:
    """Fingerprints (N, D) of the degraded copies that a gallery makes of what is enrolled.

    Args:
        embedder: Makes them.
        folder: N images.
        condition: Of what is enrolled.
        fingerprints: (N, D) of the images under it.
    """
    found, first = [], 0
    for batch in _batches(folder, condition):
        rows = fingerprints[first : first + len(batch)]
        found.append(degraded_of(embedder, batch, rows))
        first += len(batch)
    return torch.cat(found)


def _batches(folder: BenchmarkFolder, condition: Condition) -> Iterator[list[LoadedImage]]:
    batch: list[LoadedImage] = []
    for key, image in zip(folder.keys, folder.load(), strict=True):
        pixels = condition(image.pixels.permute(1, 2, 0).numpy(), key)
        batch.append(load_image(np.ascontiguousarray(pixels), name=key))
        if len(batch) == BATCH_IMAGES:
            yield batch
            batch = []
    if batch:
        yield batch


def _identification(
    embedder: Embedder,
    folder: BenchmarkFolder,
    plan: Plan,
    draws: Sequence[Draw],
    reference: Tensor,
    degraded: Tensor,
    test: Embedded,
) -> Figures:
    everyone = range(len(folder.models))
    figures: Figures = {}
    for size in plan.gallery_sizes:
        wholes = [draw.gallery(folder, embedder, reference, degraded, size) for draw in draws]
        scores = [scores_of(whole, test.fingerprints) for whole in wholes]
        figures[f"top1_{size}"] = top1(
            scores, draws, folder.model_of, everyone, resamples=plan.resamples
        )
        if size == plan.enrolled:
            figures["cllr"] = llr_cost(
                scores, draws, folder.model_of, test.side_px, wholes, resamples=plan.resamples
            )
            figures["subset_top1"] = top1(
                scores, draws, folder.model_of, _subset(folder), resamples=plan.resamples
            )
            galleries = [
                draw.gallery(folder, embedder, reference, degraded, size, ~draw.left_out)
                for draw in draws
            ]
            halves = [scores_of(gallery, test.fingerprints) for gallery in galleries]
            figures |= open_set(
                halves,
                draws,
                folder.model_of,
                test.side_px,
                test.problems,
                galleries,
                enrolled=size,
                resamples=plan.resamples,
            )
    return figures


def _verification(
    embedder: Embedder, folder: BenchmarkFolder, plan: Plan, reference: Tensor, test: Tensor
) -> Figures:
    scores = symmetric(scorer_of(embedder), test, reference).double().numpy()
    model, photo = folder.model_of, folder.photo_of
    two_images = ~np.eye(len(model), dtype=bool)
    shared = (photo != NOT_SHARED)[:, None] & (photo != NOT_SHARED) & two_images
    same_model, same_photo = model[:, None] == model, photo[:, None] == photo
    subset = np.isin(model, _subset(folder))
    pairs = {
        "all": two_images,
        # Negatives show the same photograph and positives do not: content can only mislead.
        "same_input": shared & (same_model | same_photo),
        "shared": shared,
        "subset": two_images & subset[:, None] & subset,
    }
    blocks = {kind: PairBlocks(scores, model, chosen) for kind, chosen in pairs.items()}
    return {
        "auc": blocks["all"].auc(resamples=plan.resamples),
        "eer": blocks["all"].eer(resamples=plan.resamples),
        "shared_auc": blocks["same_input"].auc(resamples=plan.resamples),
        "shared_images_auc": blocks["shared"].auc(resamples=plan.resamples),
        "subset_auc": blocks["subset"].auc(resamples=plan.resamples),
    }


def _subset(folder: BenchmarkFolder) -> list[int]:
    """The text-to-image and StyleGAN models of the folder; none where it has fewer than two."""
    found = [m for m, name in enumerate(folder.models) if name in SUBSET]
    return found if len(found) > 1 else []


def scores_of(gallery: Reference, test: Tensor) -> Floats:
    """Scores (N, L) of test images against the models of a gallery, as it would give them."""
    return gallery.score(test, gallery.index.templates.fingerprints).double().numpy()
