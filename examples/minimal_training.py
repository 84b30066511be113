"""The whole method in one file: learn from random models, recognise models never seen.

Real generators are few and change every week, so none of them is trained on. Instead:

1. random generators are drawn, and each renders a few pictures;
2. every image becomes statistics of its residual, of what is left without the content;
3. the statistics are whitened: what varies between images of *one* model is made small, so that
   what steadily differs between models counts;
4. other random generators, which took no part, are enrolled and recognised.

`modelprint train` does the same at scale, with photographs, degraded copies and calibration.

    python examples/minimal_training.py        (about a minute)
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint import ModelSynthesizer
from modelprint.draws import Draws
from modelprint.features.residual_statistics import residual_statistics
from modelprint.metrics import roc_auc, top_k_accuracy
from modelprint.synthesis.pictures import crops, draw_pictures

SIDE_PX = 96


def images_of_models(first: int, models: int, images: int, pictures: Tensor) -> Tensor:
    """Images of the random models `first, first + 1, ...`.

    Every model is a spec of a few bytes: its weights are drawn from its number when it renders.

    Args:
        first: Number of the first model; other numbers are other models.
        models: How many, M.
        images: Of each, K.
        pictures: `(N, 3, H, W)` uint8 that are cropped and rendered.

    Returns:
        `(M, K, 3, SIDE_PX, SIDE_PX)` uint8.
    """
    synthesizer = ModelSynthesizer("open", seed=0)
    rendered = []
    for model in synthesizer.sample(models, first=first):
        # Each model sees other crops: only the model is common to its images.
        photos = torch.stack(list(crops(pictures, Draws("crops", model.name), images, SIDE_PX)))
        rendered.append(synthesizer.generate([model], photos)[0])
    return torch.stack(rendered)


def statistics(images: Tensor) -> Tensor:
    """Statistics `(M, K, F)` of images `(M, K, 3, H, W)` uint8."""
    return torch.stack([residual_statistics(of_model.float() / 255) for of_model in images])


@dataclass(frozen=True)
class Fingerprint:
    """Maps statistics to unit vectors; everything that is learnt is in these three tensors.

    Attributes:
        mean: `(F,)`
        deviation: `(F,)`
        projection: `(F, D)`
    """

    mean: Tensor
    deviation: Tensor
    projection: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Fingerprints `(..., D)` of statistics `(..., F)`."""
        standard = ((values - self.mean) / self.deviation).clamp(-8, 8)
        return F.normalize(standard @ self.projection, dim=-1)


def learn(values: Tensor, ridge: float = 0.1) -> Fingerprint:
    """Whitening in closed form: no gradient, no epochs.

    Args:
        values: Statistics `(M, K, F)` of M models, K images each.
        ridge: Added to the covariance, in units of its mean variance.
    """
    mean, deviation = values.mean((0, 1)), values.flatten(0, 1).std(0) + 1e-3
    standard = ((values - mean) / deviation).clamp(-8, 8)
    # There are fewer images than statistics: work in the subspace that the images span.
    rank = min(standard.shape[0] * standard.shape[1], standard.shape[2]) - 1
    basis = torch.linalg.svd(standard.flatten(0, 1), full_matrices=False).Vh[:rank].T  # (F, R)
    reduced = standard @ basis  # (M, K, R)
    own = reduced - reduced.mean(1, keepdim=True)
    within = torch.einsum("mki,mkj->ij", own, own) / (own.shape[0] * (own.shape[1] - 1))
    within.diagonal().add_(ridge * within.diagonal().mean())
    # With within = L L^T, the covariance of x @ inv(L).T within models is the identity.
    lower = torch.linalg.cholesky(within.double())
    whitening = torch.linalg.inv(lower).T.float()
    # Of the whitened directions keep those in which models differ most: at most M - 1.
    centres = (reduced.mean(1) - reduced.mean((0, 1))) @ whitening
    directions = torch.linalg.svd(centres, full_matrices=False).Vh[: len(centres) - 1].T
    return Fingerprint(mean, deviation, basis @ whitening @ directions)


def recognise(prints: Tensor, enrolled: int) -> tuple[float, float]:
    """Enroll the first images of each model and test with the others.

    Args:
        prints: Fingerprints `(M, K, D)` of unit length.
        enrolled: Images of each model in the gallery.

    Returns:
        Share of test images whose model is found among all M, and ROC-AUC of "is it this model?".
    """
    gallery = F.normalize(prints[:, :enrolled].mean(1), dim=1)  # (M, D)
    scores = (prints[:, enrolled:].flatten(0, 1) @ gallery.T).double()  # (tests, M)
    made_by = torch.arange(len(prints)).repeat_interleave(prints.shape[1] - enrolled)
    genuine = F.one_hot(made_by, len(prints)).bool()
    top1 = top_k_accuracy(scores.numpy(), made_by.numpy())
    return top1, roc_auc(scores[genuine].numpy(), scores[~genuine].numpy())


def main(models: int, unseen: int, images: int, pictures: int) -> dict[str, tuple[float, float]]:
    """Learn from some models, recognise others; prints and returns what `recognise` gives."""
    started = time.perf_counter()
    drawn = draw_pictures(pictures, seed=3, size_px=SIDE_PX * 3 // 2)
    seen = statistics(images_of_models(0, models, images, drawn))
    print(f"{models} random models rendered and measured: {time.perf_counter() - started:.0f} s")
    learnt = learn(seen)
    print(f"learnt fingerprints of {learnt.projection.shape[1]} numbers")
    # Other models and other pictures than those learnt from.
    drawn = draw_pictures(pictures, seed=4, size_px=SIDE_PX * 3 // 2)
    fresh = statistics(images_of_models(models, unseen, 2 * images, drawn))
    standard = (fresh - learnt.mean) / learnt.deviation
    results = {
        "without learning": recognise(F.normalize(standard.clamp(-8, 8), dim=-1), images),
        "learnt": recognise(learnt(fresh), images),
    }
    print(f"{unseen} models never seen, {images} images of each enrolled, as many tested:")
    for name, (top1, auc) in results.items():
        print(f"  {name:16}  identified {top1:6.1%}  ROC-AUC {auc:.3f}")
    print(f"  {'chance':16}  identified {1 / unseen:6.1%}  ROC-AUC 0.500")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, default in (("models", 120), ("unseen", 30), ("images", 5), ("pictures", 60)):
        parser.add_argument(f"--{name}", type=int, default=default)
    main(**vars(parser.parse_args()))
