"""Agreement of groups with models, against scikit-learn and against slow loops over pairs."""

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from modelprint import metrics
from modelprint.errors import InvalidOptionError


def partitions(seed):
    """Models, groups that agree with them now and then, and as many of each as the seed says."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2 + seed, 60)
    noise = generator.integers(0, 4, 60)
    groups = np.where(generator.random(60) < 0.6, labels, 10 + noise)
    return labels, groups


seeds = pytest.mark.parametrize("seed", range(6))


@seeds
def test_adjusted_rand_index_is_that_of_scikit_learn(seed):
    labels, groups = partitions(seed)
    expected = pytest.approx(adjusted_rand_score(labels, groups))
    assert metrics.adjusted_rand_index(labels, groups) == expected
    assert metrics.adjusted_rand_index(groups, labels) == expected
    names = [f"model {label}" for label in labels]
    assert metrics.adjusted_rand_index(names, 7 - groups) == expected
    assert metrics.adjusted_rand_index(np.array(names, dtype=object), groups) == expected


@seeds
def test_adjusted_rand_index_counts_pairs(seed):
    labels, groups = partitions(seed)
    pairs = list(combinations(range(60), 2))
    in_label = np.array([labels[i] == labels[j] for i, j in pairs])
    in_group = np.array([groups[i] == groups[j] for i, j in pairs])
    by_chance = in_label.mean() * in_group.mean()
    best = (in_label.mean() + in_group.mean()) / 2
    expected = ((in_label & in_group).mean() - by_chance) / (best - by_chance)
    assert metrics.adjusted_rand_index(labels, groups) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "groups", "expected"),
    [
        ([0, 0, 1, 1], ["b", "b", "a", "a"], 1.0),
        ([0, 0, 1, 1], [0, 1, 0, 1], -0.5),
        ([0, 0, 1, 1], [0, 0, 0, 0], 0.0),
        ([0, 0, 1, 1], [0, 1, 2, 3], 0.0),
        ([0, 0, 0], [5, 5, 5], 1.0),
        ([0, 1, 2], [5, 6, 7], 1.0),
        ([0], [5], 1.0),
    ],
)
def test_adjusted_rand_index_of_plain_cases(labels, groups, expected):
    assert metrics.adjusted_rand_index(labels, groups) == expected
    assert adjusted_rand_score(labels, groups) == expected


def test_adjusted_rand_index_of_so_many_pairs_that_64_bits_overflow():
    labels = np.arange(400_000) % 2
    halves = np.arange(400_000) // 100_000
    S, A, B, pairs = 8 * comb(50_000, 2), *(n * comb(400_000 // n, 2) for n in (2, 4, 1))
    expected = (S - A * B / pairs) / ((A + B) / 2 - A * B / pairs)
    assert A * B > 2**63
    assert metrics.adjusted_rand_index(labels, halves) == pytest.approx(expected, rel=1e-6)


@seeds
def test_purity_is_the_share_of_the_most_frequent_models(seed):
    labels, groups = partitions(seed)
    table = contingency_matrix(labels, groups)
    assert metrics.purity(labels, groups) == pytest.approx(table.max(axis=0).sum() / 60)
    assert metrics.purity(groups, labels) == pytest.approx(table.max(axis=1).sum() / 60)
    right = sum(
        Counter(labels[groups == group].tolist()).most_common(1)[0][1] for group in set(groups)
    )
    assert metrics.purity(labels.astype(str), groups) == pytest.approx(right / 60)


def test_purity_of_plain_cases():
    assert metrics.purity(["a", "a", "b"], [0, 0, 0]) == pytest.approx(2 / 3)
    assert metrics.purity(["a", "a", "b"], [0, 0, 1]) == 1.0
    assert metrics.purity(["a", "a", "b"], [0, 1, 2]) == 1.0
    assert metrics.purity([True, False], [0, 0]) == 0.5


@pytest.mark.parametrize("metric", ["adjusted_rand_index", "purity"])
@pytest.mark.parametrize(
    ("labels", "groups", "says"),
    [
        ([], [], r"labels: .* got shape \(0,\)"),
        (["a"], [], r"groups: .* got shape \(0,\)"),
        (["a", "b"], [0], "groups: expected 2, one for each label, got 1"),
        ([[1, 2]], [0], r"labels: .* got shape \(1, 2\)"),
        ([0.0, np.nan], [0, 1], "labels: .* of float64"),
        (["a", None], [0, 1], "labels: .* of object"),
        ([[1], [1, 2]], [0, 1], "labels: expected one label per image"),
    ],
)
def test_what_cannot_be_measured_is_refused(metric, labels, groups, says):
    with pytest.raises(InvalidOptionError, match=says):
        getattr(metrics, metric)(labels, groups)
