"""Fingerprints of several views of an image."""

import numpy as np
import tiny
import torch
import torch.nn.functional as F

from modelprint.scoring.adaptation import Adaptation
from modelprint.scoring.comparison import Comparison
from modelprint.scoring.views import Views

VIEWS = Views(weights=(3.0, 1.0, 0.5), copies=(1,))


def fingerprints(n: int, alike: float, seed: int) -> torch.Tensor:
    """Fingerprints whose first view has this cosine with its copy, the second."""
    first, other, third = (tiny.unit_rows(n, 20, seed=seed + k) for k in range(3))
    other = F.normalize(other - (other * first).sum(1, keepdim=True) * first, dim=1)
    copy = alike * first + np.sqrt(1 - alike**2) * other
    return F.normalize(torch.cat([first, copy, third], 1), dim=1)


def resemblance(views: Views, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return views.resemblance(views.take_apart(a), views.take_apart(b))


def cosines(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """`(V, N, M)`."""
    parts = [F.normalize(x.double().view(len(x), 3, -1), dim=2).numpy() for x in (a, b)]
    return np.einsum("nvd,mvd->vnm", *parts)


def signed_quadratic_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    mean = (weights * values * abs(values)).sum(0) / weights.sum(0)
    return np.sign(mean) * np.sqrt(abs(mean))


def test_one_view_resembles_another_by_its_cosine():
    a, b = tiny.unit_rows(3, seed=1), tiny.unit_rows(4, seed=2)
    torch.testing.assert_close(resemblance(Views(), a, b), a @ b.T)


def test_resemblance_is_the_quadratic_mean_of_the_views_cosines():
    a, b = fingerprints(4, 0.3, seed=1), fingerprints(5, 0.6, seed=11)
    weights = np.array(VIEWS.weights)[:, None, None]
    expected = signed_quadratic_mean(cosines(a, b), weights)
    np.testing.assert_allclose(resemblance(VIEWS, a, b).numpy(), expected, atol=1e-5)


def test_of_compressed_images_the_copies_count_on_either_side():
    clean, compressed = fingerprints(4, 0.3, seed=1), fingerprints(5, 0.75, seed=11)
    trust = 0.5  # half way between clean and compressed
    weights = np.array([3 * trust, 1, 0.5 * trust])[:, None, None]
    expected = signed_quadratic_mean(cosines(clean, compressed), weights)
    np.testing.assert_allclose(resemblance(VIEWS, clean, compressed).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(resemblance(VIEWS, compressed, clean).numpy(), expected.T, atol=1e-5)


def test_some_trust_in_the_image_itself_is_left():
    a, b = fingerprints(1, 1.0, seed=1), fingerprints(1, 1.0, seed=11)
    weights = np.array([0.75, 1, 0.125])[:, None, None]
    expected = signed_quadratic_mean(cosines(a, b), weights)
    np.testing.assert_allclose(resemblance(VIEWS, a, b).numpy(), expected, atol=1e-4)


def test_one_view_that_agrees_outweighs_several_that_half_agree():
    image = torch.tensor([[1.0, 0, 1, 0, 1, 0]])
    one = torch.tensor([[1.0, 0, 0, 1, 0, 1]])
    third = (8**0.5) / 3
    each = torch.tensor([[1 / 3, third] * 3])
    plain = Views(weights=(1.0, 1.0, 1.0))
    assert resemblance(plain, image, one) > 1.5 * resemblance(plain, image, each)


def test_views_of_equal_length_are_compared_as_directions():
    a, b = fingerprints(4, 0.3, seed=1), fingerprints(5, 0.6, seed=11)
    scaled = F.normalize(b.view(5, 3, -1) * torch.tensor([0.2, 2, 1])[:, None], dim=2)
    scaled = scaled.view(5, -1) * torch.tensor([0.2, 2, 1]).repeat_interleave(20)
    torch.testing.assert_close(resemblance(VIEWS, a, scaled), resemblance(VIEWS, a, b))


def test_trust_is_that_of_fingerprints_before_they_are_adapted():
    rows = torch.cat([fingerprints(10, 0.75, seed=seed) for seed in (1, 11)])
    adaptation = Adaptation.fit(rows, [i // 5 for i in range(20)])
    torch.testing.assert_close(
        VIEWS.take_apart(rows, adaptation).trust, torch.full((20,), 0.5), atol=1e-4, rtol=0
    )
    parts = VIEWS.take_apart(rows, adaptation).parts
    torch.testing.assert_close(
        parts[0], F.normalize(adaptation(rows)[:, :20], dim=1), atol=1e-5, rtol=0
    )


def test_a_scorer_measures_its_cohort_by_the_same_views():
    a, b, cohort = (fingerprints(n, 0.3, seed=n) for n in (3, 4, 50))
    level = resemblance(VIEWS, a, cohort)
    expected = (resemblance(VIEWS, a, b) - level.mean(1, keepdim=True)) / (
        level.std(1, keepdim=True) + 1e-4
    )
    torch.testing.assert_close(Comparison(cohort, views=VIEWS)(a, b), expected)
    rows = fingerprints(20, 0.3, seed=99)
    adaptation = Adaptation.fit(rows, [i // 5 for i in range(20)])
    adapted = Comparison(cohort, [adaptation], VIEWS)
    level = VIEWS.resemblance(VIEWS.take_apart(a, adaptation), VIEWS.take_apart(cohort, adaptation))
    scores = VIEWS.resemblance(VIEWS.take_apart(a, adaptation), VIEWS.take_apart(b, adaptation))
    expected = (scores - level.mean(1, keepdim=True)) / (level.std(1, keepdim=True) + 1e-4)
    torch.testing.assert_close(adapted(a, b), expected)
