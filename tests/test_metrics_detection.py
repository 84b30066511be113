"""The error trade-off against scikit-learn's curves, its log loss and its isotonic regression."""

import numpy as np
import pytest
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import det_curve, log_loss, roc_curve

from modelprint import metrics
from modelprint.errors import InvalidOptionError


def scores(seed, positives=70, negatives=230, *, ties):
    generator = np.random.default_rng(seed)
    pos, neg = generator.normal(1.0, 1.5, positives), generator.normal(-0.5, 1.0, negatives)
    return (pos.round(), neg.round()) if ties else (pos, neg)


def labelled(pos, neg):
    return np.r_[np.ones(len(pos)), np.zeros(len(neg))], np.r_[pos, neg]


both = pytest.mark.parametrize("ties", [False, True])
seeds = pytest.mark.parametrize("seed", range(5))


@both
@seeds
def test_det_curve_has_every_point_of_the_roc_curve(seed, ties):
    pos, neg = scores(seed, ties=ties)
    curve = metrics.det_curve(pos, neg)
    fpr, tpr, thresholds = roc_curve(*labelled(pos, neg), drop_intermediate=False)
    assert curve.thresholds.tolist() == thresholds[::-1].tolist()
    assert curve.false_match_rates.tolist() == fpr[::-1].tolist()
    np.testing.assert_allclose(curve.false_non_match_rates, 1 - tpr[::-1], rtol=0, atol=1e-15)


@both
@seeds
def test_det_curve_is_that_of_scikit_learn(seed, ties):
    pos, neg = scores(seed, ties=ties)
    curve = metrics.det_curve(pos, neg)
    ours = {
        point: rates
        for point, *rates in zip(
            curve.thresholds, curve.false_match_rates, curve.false_non_match_rates, strict=True
        )
    }
    fpr, fnr, thresholds = det_curve(*labelled(pos, neg))
    for rates, threshold in zip(zip(fpr, fnr, strict=True), thresholds, strict=True):
        assert ours.pop(threshold) == list(rates)
    # What scikit-learn leaves out is where one of the rates does not move any more.
    assert all(min(rates) == 0.0 or max(rates) == 1.0 for rates in ours.values())


@both
@seeds
def test_the_equal_error_rate_of_a_curve_is_that_of_its_scores(seed, ties):
    pos, neg = scores(seed, ties=ties)
    assert metrics.det_curve(pos, neg).equal_error_rate == metrics.equal_error_rate(pos, neg)


def test_rates_are_exact_shares():
    curve = metrics.det_curve(range(100), range(100))
    assert curve.false_match_rates.tolist() == [(100 - n) / 100 for n in range(101)]
    assert curve.false_non_match_rates.tolist() == [n / 100 for n in range(101)]
    tie = metrics.det_curve([5, 5], [5])
    assert tie.thresholds.tolist() == [5.0, np.inf]
    assert tie.false_match_rates.tolist() == [1.0, 0.0]
    assert tie.false_non_match_rates.tolist() == [0.0, 1.0]


@both
@seeds
def test_cllr_is_the_balanced_log_loss_in_bits(seed, ties):
    pos, neg = scores(seed, ties=ties)
    assert metrics.cllr(pos, neg) == pytest.approx(balanced_bits(pos, neg))


@both
@seeds
def test_min_cllr_is_the_cost_after_isotonic_regression(seed, ties):
    pos, neg = scores(seed, ties=ties)
    y, x = labelled(pos, neg)
    pooled = IsotonicRegression(y_min=0.0, y_max=1.0).fit(x, y).predict(x)
    llr = np.clip(logit(pooled), -50, 50) - np.log(len(pos) / len(neg))
    expected = balanced_bits(llr[: len(pos)], llr[len(pos) :])
    assert metrics.min_cllr(pos, neg) == pytest.approx(expected)
    assert metrics.min_cllr(pos, neg) < metrics.cllr(pos, neg)
    assert metrics.min_cllr(np.exp(pos), np.exp(neg)) == pytest.approx(metrics.min_cllr(pos, neg))


def balanced_bits(pos, neg):
    """Log loss at even odds, from scikit-learn."""
    y, llr = labelled(pos, neg)
    weights = np.where(y == 1, 1 / len(pos), 1 / len(neg))
    return log_loss(y, 1 / (1 + np.exp(-llr)), sample_weight=weights) / np.log(2)


def test_costs_of_known_ratios():
    assert metrics.cllr([0, 0], [0]) == pytest.approx(1.0)
    assert metrics.cllr([np.log(3)], [-np.log(3)]) == pytest.approx(np.log2(4 / 3))
    assert metrics.cllr([800], [-800]) == pytest.approx(0.0)
    assert metrics.cllr([-800], [800]) == pytest.approx(800 / np.log(2))
    assert metrics.min_cllr([2, 3], [0, 1]) == 0.0
    assert metrics.min_cllr([0, 1], [2, 3]) == 1.0
    assert metrics.min_cllr([1], [1, 1, 1]) == 1.0


def test_min_cllr_of_calibrated_ratios_is_their_cost():
    # Ratios that are right by construction: 1 of 4 positives and 3 of 4 negatives at ln 1/3.
    pos, neg = np.log([1 / 3, 3, 3, 3]), np.log([1 / 3, 1 / 3, 1 / 3, 3])
    assert metrics.min_cllr(pos, neg) == pytest.approx(metrics.cllr(pos, neg))
    assert metrics.min_cllr(pos, neg) < metrics.cllr(2 * pos, 2 * neg)


@pytest.mark.parametrize("metric", ["det_curve", "cllr", "min_cllr"])
@pytest.mark.parametrize(
    ("pos", "neg", "says"),
    [
        ([], [1.0], r"positives: .* got shape \(0,\)"),
        ([1.0], [], r"negatives: .* got shape \(0,\)"),
        ([1.0, np.nan], [1.0], "positives: .* 1 NaN or infinite among 2"),
        ([1.0], [-np.inf], "negatives: expected finite"),
        ([[1.0]], [1.0], r"one-dimensional .* \(1, 1\)"),
        ([1.0], ["low"], "negatives: .* no numbers"),
    ],
)
def test_what_cannot_be_measured_is_refused(metric, pos, neg, says):
    with pytest.raises(InvalidOptionError, match=says):
        getattr(metrics, metric)(pos, neg)
