"""Figures against scikit-learn and scipy where they have them, against slow loops where not."""

from itertools import combinations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import brentq
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score, roc_curve, top_k_accuracy_score

from modelprint import metrics
from modelprint.errors import InvalidOptionError


def scores(seed, positives=70, negatives=230, *, ties):
    generator = np.random.default_rng(seed)
    pos, neg = generator.normal(1.0, 1.0, positives), generator.normal(0.0, 1.0, negatives)
    return (pos.round(), neg.round()) if ties else (pos, neg)


def labelled(pos, neg):
    return np.r_[np.ones(len(pos)), np.zeros(len(neg))], np.r_[pos, neg]


both = pytest.mark.parametrize("ties", [False, True])
seeds = pytest.mark.parametrize("seed", range(5))


@both
@seeds
def test_roc_auc_is_that_of_scikit_learn(seed, ties):
    pos, neg = scores(seed, ties=ties)
    assert metrics.roc_auc(pos, neg) == pytest.approx(roc_auc_score(*labelled(pos, neg)))


@both
@seeds
def test_equal_error_rate_is_where_the_roc_meets_the_diagonal(seed, ties):
    pos, neg = scores(seed, ties=ties)
    fpr, tpr, _ = roc_curve(*labelled(pos, neg), drop_intermediate=False)
    expected = brentq(lambda x: 1.0 - x - np.interp(x, fpr, tpr), 0.0, 1.0, xtol=1e-14)
    assert metrics.equal_error_rate(pos, neg) == pytest.approx(expected, abs=1e-9)


@both
@seeds
@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_tpr_at_fpr_tries_every_threshold(seed, ties, fpr):
    pos, neg = scores(seed, ties=ties)
    expected = max(
        np.mean(pos >= threshold)
        for threshold in [*pos, *neg, np.inf]
        if np.mean(neg >= threshold) <= fpr
    )
    assert metrics.tpr_at_fpr(pos, neg, fpr) == pytest.approx(expected)


def test_tpr_at_fpr_reaches_a_rate_that_is_no_binary_fraction():
    for n in range(1, 200):
        assert metrics.tpr_at_fpr([n - 1.5], range(n), 1 / n) == 1.0
        assert metrics.tpr_at_fpr([n - 2.5], range(n), 1 / n) == float(n == 1)


def test_separated_equal_and_reversed_scores():
    assert metrics.roc_auc([2, 3], [0, 1]) == 1.0
    assert metrics.roc_auc([0, 1], [2, 3]) == 0.0
    assert metrics.roc_auc([1, 1], [1]) == 0.5
    assert metrics.equal_error_rate([2, 3], [0, 1]) == 0.0
    assert metrics.equal_error_rate([0, 1], [2, 3]) == 1.0
    assert metrics.equal_error_rate([1, 1], [1]) == 0.5
    assert metrics.tpr_at_fpr([1, 2], [2, 3], 0.0) == 0.0


@seeds
@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_accuracy_is_that_of_scikit_learn(seed, k):
    generator = np.random.default_rng(seed)
    table, targets = generator.normal(size=(60, 6)), generator.integers(0, 6, 60)
    expected = top_k_accuracy_score(targets, table, k=k, labels=range(6))
    assert metrics.top_k_accuracy(table, targets, k) == pytest.approx(expected)


@seeds
@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_ties_count_like_a_fair_draw(seed, k):
    generator = np.random.default_rng(seed)
    table, targets = generator.integers(0, 3, (20, 4)).astype(float), generator.integers(0, 4, 20)
    drawn = []
    for _ in range(4000):
        order = np.lexsort((generator.random(table.shape), -table))
        drawn.append((order[:, :k] == targets[:, None]).any(axis=1).mean())
    assert metrics.top_k_accuracy(table, targets, k) == pytest.approx(np.mean(drawn), abs=0.01)
    assert metrics.top_k_accuracy(np.zeros((20, 4)), targets, k) == pytest.approx(k / 4)


@both
@seeds
def test_oscr_is_the_area_under_its_curve(seed, ties):
    known, unknown = scores(seed, ties=ties)
    correct = np.random.default_rng(seed + 99).random(len(known)) < 0.7
    thresholds = [np.inf, *sorted({*known, *unknown}, reverse=True)]
    identified = [np.mean(correct & (known >= t)) for t in thresholds]
    accepted = [np.mean(unknown >= t) for t in thresholds]
    heights = (np.array(identified[1:]) + identified[:-1]) / 2
    expected = np.sum(heights * np.diff(accepted))
    assert metrics.oscr(known, correct, unknown) == pytest.approx(expected)


def test_oscr_of_perfect_rejection_is_the_closed_set_accuracy():
    assert metrics.oscr([3, 4, 5, 6], np.array([True, True, True, False]), [1, 2]) == 0.75


# Without mixing, the true covariance is the target itself, and shrinkage must stop at 1.
@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("rows", [(8, 12), (40, 90)])
def test_frechet_distance_from_scikit_learn_covariances_and_scipy_roots(rows, mixed):
    generator = np.random.default_rng(3)
    mix = generator.normal(size=(10, 10)) if mixed else np.eye(10)
    a = generator.normal(size=(rows[0], 10)) @ mix
    b = generator.normal(0.5, 1.5, size=(rows[1], 10)) @ mix
    A, B = ledoit_wolf(a)[0], ledoit_wolf(b)[0]
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(A + B - 2 * sqrtm(A @ B).real)
    assert metrics.frechet_frequency_distance(a, b) == pytest.approx(expected)
    assert metrics.frechet_frequency_distance(b, a) == pytest.approx(expected)
    assert metrics.frechet_frequency_distance(a, a) == pytest.approx(0.0, abs=1e-9 * expected)


def test_frechet_distance_of_shifted_and_of_constant_sets_is_the_squared_shift():
    a = np.random.default_rng(4).normal(size=(5, 7))
    assert metrics.frechet_frequency_distance(a, a + 2.0) == pytest.approx(7 * 4.0)
    still = np.zeros((3, 2))
    assert metrics.frechet_frequency_distance(still, still + np.array([3.0, 4.0])) == pytest.approx(
        25.0
    )


def test_diversity_is_the_mean_root_mean_square_difference():
    spectra = np.random.default_rng(5).normal(size=(9, 33))
    expected = np.mean(
        [np.sqrt(np.mean((spectra[i] - spectra[j]) ** 2)) for i, j in combinations(range(9), 2)]
    )
    assert metrics.diversity(spectra) == pytest.approx(expected)
    assert metrics.diversity(10 * spectra + 3) == pytest.approx(10 * expected)
    assert metrics.diversity(np.ones((4, 5))) == 0.0
    assert metrics.diversity([[0, 0], [6, 6]]) == 6.0


def test_bootstrap_interval_resamples_groups():
    values = np.random.default_rng(6).normal(size=25)
    seen = []

    def mean(weights):
        seen.append(weights)
        return weights @ values / weights.sum(axis=1)

    low, high = metrics.bootstrap_interval(mean, 25, resamples=4000)
    assert seen[0].shape == (4000, 25)
    assert (seen[0].sum(axis=1) == 25).all()
    assert seen[0].var(axis=0).mean() == pytest.approx(24 / 25, rel=0.05)
    half_width = 1.96 * values.std() / np.sqrt(25)
    assert (high - low) / 2 == pytest.approx(half_width, rel=0.1)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=0.2 * half_width)
    assert metrics.bootstrap_interval(mean, 25, resamples=4000) == (low, high)
    assert metrics.bootstrap_interval(mean, 25, resamples=4000, seed=1) != (low, high)
    inner = metrics.bootstrap_interval(mean, 25, resamples=4000, level=0.5)
    assert low < inner[0] < inner[1] < high


def test_bootstrap_interval_resamples_each_kind_for_itself_and_drops_the_undefined():
    def statistic(weights):
        assert (weights[:, :3].sum(axis=1) == 3).all()
        assert (weights[:, 3:].sum(axis=1) == 5).all()
        return np.where(weights[:, 0] == 0, np.nan, weights[:, 0])

    low, high = metrics.bootstrap_interval(statistic, (3, 5), level=0.9999)
    assert (low, high) == (1.0, 3.0)


def test_bootstrap_interval_serves_figures_that_are_no_ratio_of_sums():
    generator = np.random.default_rng(7)
    model_of = np.repeat(np.arange(6), 20)
    pos, neg = (generator.normal(mean, 1, 120) + model_of / 5 for mean in (1.5, 0.0))

    def resampled(figure):
        def statistic(weights):
            draws = [w[model_of] for w in weights.astype(int)]
            return np.array([figure(np.repeat(pos, w), np.repeat(neg, w)) for w in draws])

        return metrics.bootstrap_interval(statistic, 6, resamples=200)

    cost_pos, cost_neg = (
        np.bincount(model_of, np.log2(1 + np.exp(llr))) / 40 for llr in (-pos, neg)
    )
    sums = metrics.bootstrap_interval(
        lambda w: w @ (cost_pos + cost_neg) / w.sum(axis=1), 6, resamples=200
    )
    assert resampled(metrics.cllr) == pytest.approx(sums)
    for figure in (metrics.equal_error_rate, metrics.min_cllr):
        low, high = resampled(figure)
        assert low < figure(pos, neg) < high


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: metrics.roc_auc([], [1.0]), r"positives: .* got shape \(0,\)"),
        (lambda: metrics.roc_auc([1.0], []), "negatives"),
        (lambda: metrics.roc_auc([[1.0]], [1.0]), r"one-dimensional .* \(1, 1\)"),
        (lambda: metrics.roc_auc([1.0, np.nan], [1.0]), "1 NaN or infinite among 2"),
        (lambda: metrics.equal_error_rate([1.0], [np.inf]), "negatives: expected finite"),
        (lambda: metrics.roc_auc(["high"], [1.0]), "got no numbers"),
        (lambda: metrics.tpr_at_fpr([1.0], [1.0], 1.5), r"fpr: .* \[0, 1\], got 1.5"),
        (lambda: metrics.tpr_at_fpr([1.0], [1.0], float("nan")), "fpr"),
        (lambda: metrics.top_k_accuracy([1.0, 2.0], [0, 1]), "scores: expected a table"),
        (lambda: metrics.top_k_accuracy([[1.0, 2.0]], [0, 1]), "targets: expected 1 integers"),
        (lambda: metrics.top_k_accuracy([[1.0, 2.0]], [0.0]), "of float64"),
        (lambda: metrics.top_k_accuracy([[1.0, 2.0]], [2]), "column numbers 0 to 1"),
        (lambda: metrics.top_k_accuracy([[1.0, 2.0]], [-1]), "column numbers 0 to 1"),
        (lambda: metrics.top_k_accuracy([[1.0, 2.0]], [0], k=3), "k: expected 1 to 2"),
        (lambda: metrics.oscr([1.0, 2.0], [True], [0.0]), "known_correct: expected 2 bools"),
        (lambda: metrics.oscr([1.0], [1], [0.0]), "of int64"),
        (lambda: metrics.oscr([1.0], [True], []), "unknown_scores"),
        (lambda: metrics.frechet_frequency_distance([[1.0]], [[1.0], [2.0]]), "at least 2 rows"),
        (lambda: metrics.frechet_frequency_distance(np.ones((2, 3)), np.ones((2, 4))), "3 and 4"),
        (lambda: metrics.diversity([[1.0, 2.0]]), "spectra: expected a table"),
        (lambda: metrics.diversity(np.ones((3, 0))), "spectra"),
        (lambda: metrics.diversity([[1.0], [np.nan]]), "NaN"),
        (lambda: metrics.bootstrap_interval(lambda w: w[:, 0], 0), "groups"),
        (lambda: metrics.bootstrap_interval(lambda w: w[:, 0], (3, 0)), "groups"),
        (lambda: metrics.bootstrap_interval(lambda w: w[:, 0], 3, resamples=0), "resamples"),
        (lambda: metrics.bootstrap_interval(lambda w: w[:, 0], 3, level=1.0), "level"),
        (lambda: metrics.bootstrap_interval(lambda w: w, 3), "statistic: expected 1000 figures"),
        (lambda: metrics.bootstrap_interval(lambda w: w[:, 0] * np.nan, 3), "every resample"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, says):
    with pytest.raises(InvalidOptionError, match=says):
        call()


def test_arguments_are_left_as_they_were():
    pos, neg = np.array([3.0, 1.0, 2.0]), np.array([2.0, 0.0, 1.0])
    metrics.roc_auc(pos, neg)
    metrics.equal_error_rate(pos, neg)
    metrics.oscr(pos, np.array([True, False, True]), neg)
    assert pos.tolist() == [3.0, 1.0, 2.0]
    assert neg.tolist() == [2.0, 0.0, 1.0]
