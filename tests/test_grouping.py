"""Grouping fingerprints of made-up generators whose scores and calibration are known."""

import numpy as np
import pytest
import torch

from modelprint.calibration import Calibration
from modelprint.discovery import grouping
from modelprint.discovery.grouping import group_images
from modelprint.metrics import adjusted_rand_index, purity

DIM = 40
DIRECTIONS = np.random.default_rng(0).normal(size=(20_000, DIM))
IMPOSTORS = 10 * DIRECTIONS[:, 0] / np.linalg.norm(DIRECTIONS, axis=1)
CALIBRATION = Calibration.fit({(1, 64): IMPOSTORS}, source="random directions")


def compare(a, b):
    """Ten times the cosine."""
    return 10 * a @ b.T


def fingerprints(sizes, noise=0.9, seed=0):
    """Of one generator after the other, and which each is of."""
    generator = np.random.default_rng(seed)
    model = np.repeat(np.arange(len(sizes)), sizes)
    centres = generator.normal(size=(len(sizes), DIM))
    own = np.random.default_rng([seed, int(100 * noise)])
    rows = centres[model] + noise * own.normal(size=(len(model), DIM))
    return torch.nn.functional.normalize(torch.from_numpy(rows), dim=1).float(), model


def grouped(rows, side_px=64, score=compare, calibration=CALIBRATION):
    return group_images(rows, [side_px] * len(rows), score, calibration)


def labels_of(found, n):
    """A number for each image; those without a group have one of their own."""
    labels = np.arange(n) + n
    for number, members in enumerate(found.groups):
        labels[members] = number
    return labels


def test_generators_are_told_apart_with_no_number_given():
    for models in (2, 5, 9):
        rows, model = fingerprints([12, 9, 7, 6, 5, 5, 4, 4, 4][:models] + [1] * 5, noise=0.7)
        found = grouped(rows)
        labels = labels_of(found, len(rows))
        assert len(found.groups) == models
        assert adjusted_rand_index(model, labels) > 0.97
        sizes = [len(members) for members in found.groups]
        assert sizes == sorted(sizes, reverse=True)


def test_hard_ones_are_left_single_rather_than_mixed():
    ari, pure = [], []
    for seed in range(5):
        rows, model = fingerprints([12, 9, 7, 5, 4] + [1] * 12, noise=1.3, seed=seed)
        labels = labels_of(grouped(rows), len(rows))
        ari.append(adjusted_rand_index(model, labels))
        pure.append(purity(model, labels))
    assert np.mean(pure) > 0.93
    assert 0.3 < np.mean(ari) < 1, "the test should be hard"


def test_images_that_are_all_of_different_generators_stay_single():
    falsely = sum(bool(grouped(fingerprints([1] * 40, seed=seed)[0]).groups) for seed in range(30))
    assert falsely <= 2


def test_the_rate_is_looser_where_there_is_more_to_find():
    few = grouped(fingerprints([8] + [1] * 32)[0]).pair_rate
    many = grouped(fingerprints([8] * 5)[0]).pair_rate
    assert few < many < grouping.PAIR_FDR
    rows, model = fingerprints([8] * 5)
    alike = compare(rows, rows).numpy() >= CALIBRATION.threshold(many, 1, 64)
    wrong = alike & (model[:, None] != model)
    assert wrong.sum() < 2 * grouping.PAIR_FDR * alike.sum()


def test_groups_grow_by_what_their_mean_can_tell(monkeypatch):
    rows, model = fingerprints([15] * 6 + [1] * 600, noise=1.0)  # few pairs are sure enough
    grown = labels_of(grouped(rows), len(rows))
    monkeypatch.setattr(grouping, "_joins", lambda *_: [])
    seeds = labels_of(grouped(rows), len(rows))
    assert purity(grown, seeds) == 1, "no group was taken apart"
    gained = adjusted_rand_index(model, grown) - adjusted_rand_index(model, seeds)
    assert gained > 0.1
    assert purity(model, grown) > 0.95


def test_groups_do_not_depend_on_the_order_or_the_blocks(monkeypatch):
    rows, _ = fingerprints([9, 8, 7] + [1] * 9, noise=0.6)
    order = np.random.default_rng(5).permutation(len(rows))
    labels = labels_of(grouped(rows), len(rows))
    assert 3 <= len(np.unique(labels)) < len(rows)
    monkeypatch.setattr(grouping, "_CHUNK", 5)
    again = labels_of(grouped(rows[order]), len(rows))
    assert adjusted_rand_index(labels[order], again) == 1


def test_a_scorer_need_not_be_symmetric():
    rows, _ = fingerprints([9, 8, 7] + [1] * 9, noise=0.6)

    def lopsided(a, b):
        return compare(a, b) + 3 * (a[:, :1] - b[:, 0])

    found = grouped(rows, score=lopsided)
    assert (found.scores == found.scores.T).all()
    assert np.allclose(found.scores, compare(rows, rows), atol=1e-4)
    same = labels_of(grouped(rows), len(rows))
    assert adjusted_rand_index(same, labels_of(found, len(rows))) > 0.9


def test_images_are_judged_by_their_size():
    scores = {(1, 64): IMPOSTORS, (1, 512): IMPOSTORS + 20}
    sized = Calibration.fit(scores, source="large images score higher")
    rows, _ = fingerprints([8, 8, 8], noise=0.3)
    assert len(grouped(rows, 64, calibration=sized).groups) == 3
    assert len(grouped(rows, 512, calibration=CALIBRATION).groups) == 3
    assert not grouped(rows, 512, calibration=sized).groups
    assert not grouped(rows, 300, calibration=sized).groups, "between two sizes, strictly"
    mixed = group_images(rows, [64, 512] * 12, compare, sized)
    small = {i for members in mixed.groups for i in members.tolist() if i % 2 == 0}
    assert len(small) == 12, "a pair is judged like the smaller of its images"


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_images_make_no_group(n):
    found = grouped(fingerprints([2] if n == 2 else [1] * n, noise=0.0)[0])
    assert found.groups == ()
    assert found.scores.shape == (n, n)


def test_a_calibration_that_is_too_coarse_finds_nothing():
    coarse = Calibration.fit(
        {(1, 64): np.linspace(-1, 1, 4)}, source="four scores", default_fpr=0.5
    )
    found = grouped(fingerprints([8, 8])[0], calibration=coarse)
    assert (found.groups, found.pair_rate) == ((), None)
