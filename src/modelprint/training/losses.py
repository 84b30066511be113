"""Losses over a batch of features and the models that they come from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def supervised_contrastive(features: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, equation 2).

    Args:
        features: ``(B, D)`` float; normalised here.
        labels: ``(B,)`` integers; every label stands at least twice.
        temperature: Above 0; a low one weighs the hardest negatives.

    Returns:
        Scalar, the mean over all positive pairs of their negative log-likelihood.
    """
    unit = F.normalize(features, dim=1)
    logits = unit @ unit.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    log_likelihood = logits - logits.masked_fill(itself, -torch.inf).logsumexp(1, keepdim=True)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    return -(log_likelihood * positive).sum(1).div(positive.sum(1)).mean()


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Batch-hard triplet loss (Hermans et al. 2017, equation 5) on Euclidean distances.

    Args:
        features: ``(B, D)`` float.
        labels: ``(B,)`` integers with at least two different ones.
        margin: By how much the nearest other model must lie beyond the farthest own image.

    Returns:
        Scalar mean over the batch.
    """
    squares = features.square().sum(1)
    squared = squares[:, None] + squares[None, :] - 2 * features @ features.T
    distance = squared.clamp(min=1e-12).sqrt()
    same = labels[:, None] == labels[None, :]
    farthest_own = distance.masked_fill(~same, -torch.inf).amax(1)
    nearest_other = distance.masked_fill(same, torch.inf).amin(1)
    return F.relu(margin + farthest_own - nearest_other).mean()
