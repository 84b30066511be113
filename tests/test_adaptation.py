"""Within-class covariance normalisation of fingerprints, from what is enrolled."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from modelprint.scoring import adaptation as module
from modelprint.scoring.adaptation import _PRIOR_DEVIATIONS, Adaptation, adaptations


def enrolled(models: int, images: int, dim: int = 24, nuisance: float = 0.8):
    """Unit rows that vary within every model along the first axis most of all."""
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(models, 1, dim))
    noise = 0.1 * generator.normal(size=(models, images, dim))
    noise[:, :, 0] += nuisance * generator.normal(size=(models, images))
    rows = torch.from_numpy((centres + noise).reshape(-1, dim)).float()
    return F.normalize(rows, dim=1), [m for m in range(models) for _ in range(images)]


def slow(rows, labels, probes, degraded=None):
    """The same by the textbook: shrunk covariance, inverse square root."""
    dim = rows.shape[1]
    freedom, covariance = 0.0, np.zeros((dim, dim))
    for label in set(labels):
        of_label = [i for i, own in enumerate(labels) if own == label]
        own = rows[of_label].double().numpy()
        if len(own) > 1:
            deviations = own - own.mean(axis=0)
            freedom += len(own) - 1
            covariance += deviations.T @ deviations
            if degraded is not None:
                moved = degraded[of_label].double().numpy() - own.mean(axis=0)
                freedom += 0.2 * len(own)
                covariance += 0.2 * moved.T @ moved
    covariance = covariance * len(covariance) / np.trace(covariance)
    weight = freedom / (freedom + _PRIOR_DEVIATIONS)
    shrunk = (1 - weight) * np.eye(len(covariance)) + weight * covariance
    values, vectors = np.linalg.eigh(shrunk)
    mapped = probes.double().numpy() @ (vectors / np.sqrt(values)) @ vectors.T
    return torch.from_numpy(mapped / np.linalg.norm(mapped, axis=1, keepdims=True)).float()


# With few rows the Gram matrix of images is the smaller one, with many that of dimensions.
@pytest.mark.parametrize(("models", "images"), [(3, 4), (20, 10)])
def test_it_is_the_inverse_root_of_the_shrunk_covariance(models, images):
    rows, labels = enrolled(models, images)
    probes = F.normalize(torch.from_numpy(np.random.default_rng(1).normal(size=(7, 24))).float())
    adapted = Adaptation.fit(rows, labels)(probes)
    torch.testing.assert_close(adapted, slow(rows, labels, probes), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("models", "images"), [(3, 4), (20, 10)])
def test_degraded_copies_count_with_a_fifth(models, images):
    rows, labels = enrolled(models, images)
    rows, labels = torch.cat([rows, rows[:1] @ torch.eye(24).roll(1, 0)]), [*labels, "single"]
    degraded = F.normalize(rows + 0.5 * torch.eye(24)[5], dim=1)
    probes = F.normalize(torch.from_numpy(np.random.default_rng(1).normal(size=(7, 24))).float())
    plain, aware = adaptations(rows, labels, degraded, 1)
    torch.testing.assert_close(plain(probes), Adaptation.fit(rows, labels)(probes))
    torch.testing.assert_close(
        aware(probes), slow(rows, labels, probes, degraded), atol=1e-5, rtol=0
    )


def test_views_of_processed_images_are_adapted_each_by_itself():
    rows, labels = enrolled(6, 5)
    degraded = F.normalize(rows + 0.5 * torch.eye(24)[5], dim=1)
    probes = F.normalize(torch.from_numpy(np.random.default_rng(1).normal(size=(7, 24))).float())
    _, aware = adaptations(rows, labels, degraded, 3)
    adapted = aware(probes)
    torch.testing.assert_close(adapted.norm(dim=1), torch.ones(7))
    for view in range(3):
        part = slice(8 * view, 8 * view + 8)
        alone = Adaptation.fit(rows[:, part], labels, degraded[:, part])
        expected = alone(F.normalize(probes[:, part], dim=1)) / 3**0.5
        torch.testing.assert_close(adapted[:, part], expected)
    spoilt = probes.clone()
    spoilt[:, :8] = spoilt[:, :8].roll(1, 1)
    torch.testing.assert_close(aware(spoilt)[:, 8:], adapted[:, 8:])


def test_what_degrading_moves_counts_less():
    rows, labels = enrolled(10, 6)
    moved = torch.eye(24)[5]
    degraded = F.normalize(rows + moved, dim=1)
    mixed = F.normalize(torch.eye(24)[5:6] + torch.eye(24)[6:7], dim=1)
    plain, aware = adaptations(rows, labels, degraded, 1)
    assert (aware(mixed) @ moved).item() < 0.9 * (plain(mixed) @ moved).item()


def test_what_varies_within_models_counts_less_and_more_images_say_so_more_firmly():
    axis = torch.eye(24)[:1]
    mixed = F.normalize(axis + torch.eye(24)[1:2], dim=1)
    shares = []
    for images in (2, 10, 60):
        adaptation = Adaptation.fit(*enrolled(10, images))
        shares.append((adaptation(mixed) @ axis.T).item())
    assert 0.7 > shares[0] > shares[1] > shares[2] > 0


def test_of_very_many_images_a_sample_is_used(monkeypatch):
    rows, labels = enrolled(60, 10, dim=400)
    whole = Adaptation.fit(rows, labels)
    assert len(whole.directions) > 300
    monkeypatch.setattr(module, "_MOST_DEVIATIONS", 200)
    sample = Adaptation.fit(rows, labels)
    assert len(sample.directions) <= 200
    # The first axis is what varies: both find it, the sample from images of all models.
    for adaptation in (whole, sample):
        strongest = adaptation.directions[adaptation.gains.argmin()]
        assert strongest[0].abs() > 0.95
    alone = Adaptation.fit(rows[:200], labels[:200])
    assert not torch.allclose(sample.gains.sort().values[:5], alone.gains.sort().values[:5])


def test_single_images_of_models_change_nothing():
    rows, _ = enrolled(5, 1)
    for adaptation in (Adaptation.fit(rows, list("abcde")), Adaptation.fit(rows[:0], [])):
        torch.testing.assert_close(adaptation(rows), rows)
    twice = Adaptation.fit(torch.cat([rows, rows[:1]]), [*"abcde", "a"])
    assert len(twice.directions) <= 1
    torch.testing.assert_close(twice(rows), rows)


def test_the_order_of_enrolment_does_not_matter():
    rows, labels = enrolled(6, 5)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))
    one = Adaptation.fit(rows, labels)(rows)
    other = Adaptation.fit(rows[order], [labels[i] for i in order])(rows)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
