import math

import numpy as np
import pytest
import tiny
import torch

from modelprint.training.losses import batch_hard_triplet, supervised_contrastive

LABELS = [0, 1, 0, 2, 1, 2, 0]


def slow_contrastive(features: np.ndarray, labels: list[int], temperature: float) -> float:
    """Khosla et al. 2020, equation 2, as it is printed."""
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    total = 0.0
    for i in range(len(rows)):
        others = [a for a in range(len(rows)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        below = sum(math.exp(rows[i] @ rows[a] / temperature) for a in others)
        logs = [math.log(math.exp(rows[i] @ rows[p] / temperature) / below) for p in positives]
        total -= sum(logs) / len(positives)
    return total / len(rows)


def slow_triplet(features: np.ndarray, labels: list[int], margin: float) -> float:
    """Hermans et al. 2017, equation 5, as a mean."""
    total = 0.0
    for i, row in enumerate(features):
        distances = [float(np.linalg.norm(row - other)) for other in features]
        farthest = max(d for d, label in zip(distances, labels, strict=True) if label == labels[i])
        nearest = min(d for d, label in zip(distances, labels, strict=True) if label != labels[i])
        total += max(0.0, margin + farthest - nearest)
    return total / len(features)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_the_contrastive_loss_is_its_formula(temperature):
    features = 3 * tiny.numbers(7, 5).double()
    loss = supervised_contrastive(features, torch.tensor(LABELS), temperature)
    expected = slow_contrastive(features.numpy(), LABELS, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("margin", [0.0, 0.3, 5.0])
def test_the_triplet_loss_is_its_formula(margin):
    features = tiny.numbers(7, 5).double()
    loss = batch_hard_triplet(features, torch.tensor(LABELS), margin)
    assert loss.item() == pytest.approx(slow_triplet(features.numpy(), LABELS, margin), rel=1e-6)


@pytest.mark.parametrize(
    "loss",
    [lambda f, y: supervised_contrastive(f, y, 0.1), lambda f, y: batch_hard_triplet(f, y, 0.3)],
)
class TestEveryLoss:
    def test_its_gradient_is_finite_also_where_images_coincide(self, loss):
        features = torch.ones(4, 3, requires_grad=True)
        loss(features, torch.tensor([0, 0, 1, 1])).backward()
        assert features.grad.isfinite().all()

    def test_it_falls_when_models_are_told_apart(self, loss):
        labels = torch.tensor([0, 0, 1, 1])
        apart = torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]])
        mixed = torch.tensor([[1.0, 0], [0, 1], [1, 0.1], [0.1, 1]])
        assert loss(apart, labels) < loss(mixed, labels)

    def test_its_gradient_is_that_of_finite_differences(self, loss):
        features = tiny.numbers(6, 4).double().requires_grad_()
        labels = torch.tensor([0, 0, 1, 1, 2, 2])
        assert torch.autograd.gradcheck(lambda f: loss(f, labels), features)

    def test_it_does_not_depend_on_order(self, loss):
        features, labels = tiny.numbers(7, 5), torch.tensor(LABELS)
        order = torch.tensor([3, 1, 6, 0, 5, 2, 4])
        torch.testing.assert_close(loss(features[order], labels[order]), loss(features, labels))
