import json
import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from modelprint.calibration import Calibration
from modelprint.errors import InvalidOptionError
from modelprint.metrics import cllr, min_cllr
from modelprint.scoring.likelihood import LikelihoodRatio

PX = 256


def normal(mean, deviation, n, seed):
    return np.random.default_rng(seed).normal(mean, deviation, n)


def fit(genuine, impostors):
    return Calibration.fit({(1, PX): impostors}, {(1, PX): genuine}, source="test")


@pytest.mark.parametrize(
    ("genuine", "impostors"),
    [
        (normal(4, 2, 90, 1), normal(0, 1, 4000, 2)),
        (normal(1, 1, 500, 1), normal(0, 1, 60, 2)),
        (normal(90, 1, 30, 1), normal(-90, 1, 30, 2)),  # no overlap at all
        (np.array([1.0]), np.array([0.0, 0.5])),
        (1e6 + normal(3, 1, 100, 1), 1e6 + normal(0, 1, 100, 2)),
    ],
)
def test_the_fit_is_that_of_scikit_learn(genuine, impostors):
    mine = LikelihoodRatio.fit(genuine, impostors)
    # A soft target is a positive and a negative at one place, each with its share of the weight.
    g, n = len(genuine), len(impostors)
    x = np.r_[genuine, impostors, genuine, impostors]
    centre, scale = x.mean(), x.std()
    target = np.r_[np.full(g, (g + 1) / (g + 2)), np.full(n, 1 / (n + 2))]
    weight = np.r_[np.full(g, 0.5 / g), np.full(n, 0.5 / n)]
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
    theirs.fit(
        ((x - centre) / scale)[:, None],
        np.r_[np.ones(g + n), np.zeros(g + n)],
        sample_weight=1e3 * np.r_[weight * target, weight * (1 - target)],
    )
    for score in (genuine.mean(), impostors.mean(), centre):
        logit = theirs.decision_function([[(score - centre) / scale]])[0]
        assert mine(score) == pytest.approx(logit, rel=2e-3, abs=2e-3)
    assert mine.genuine == g


def test_ratios_are_those_of_the_densities_where_these_are_known():
    ratio = LikelihoodRatio.fit(normal(3, 1, 40_000, 1), normal(0, 1, 40_000, 2))
    # ln of two normal densities of one variance: 3 x - 4.5.
    assert ratio.slope == pytest.approx(3, rel=0.03)
    assert ratio.offset == pytest.approx(-4.5, rel=0.03)


def test_ratios_of_fresh_scores_are_calibrated():
    calibration = fit(normal(3, 1.5, 3000, 1), normal(0, 1, 9000, 2))
    genuine, impostors = (
        [calibration.llr(score, 1, PX) for score in fresh]
        for fresh in (normal(3, 1.5, 3000, 3), normal(0, 1, 9000, 4))
    )
    cost, least = cllr(genuine, impostors), min_cllr(genuine, impostors)
    assert least <= cost < least + 0.03
    assert cost < 0.4


def test_ratios_are_bounded_by_the_numbers_of_comparisons_and_log_odds_are_not():
    calibration = fit(normal(5, 1, 50, 1), normal(0, 1, 500, 2))
    assert calibration.llr(100, 1, PX) == pytest.approx(math.log(501))
    assert calibration.llr(-100, 1, PX) == pytest.approx(-math.log(51))
    assert calibration.log_odds(100, 1, PX) > 100
    middle = 2.5
    assert calibration.llr(middle, 1, PX) == calibration.log_odds(middle, 1, PX)


def test_between_two_sizes_the_smaller_ratio_holds():
    impostors = {(size, PX): normal(size / 4, 1, 500, size) for size in (1, 10)}
    genuine = {(size, PX): normal(4, 1, 50, size) for size in (1, 10)}
    calibration = Calibration.fit(impostors, genuine, source="test")
    for score in (0.0, 2.0, 4.0):
        each = [calibration.llr(score, size, PX) for size in (1, 10)]
        assert calibration.llr(score, 5, PX) == min(each)


def test_without_genuine_scores_there_are_no_ratios():
    calibration = Calibration.fit({(1, PX): normal(0, 1, 500, 1)}, source="test")
    assert calibration.llr(3.0, 1, PX) is None
    assert calibration.log_odds(3.0, 1, PX) is None
    assert calibration.description == "test"


def test_ratios_survive_json_and_name_their_method():
    calibration = fit(normal(5, 1, 50, 1), normal(0, 1, 500, 2))
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration
    assert calibration.description.startswith("test; likelihood ratios by logistic regression")


@pytest.mark.parametrize(
    ("genuine", "impostors", "why"),
    [
        (normal(-1, 1, 50, 1), normal(0, 1, 500, 2), "above those of impostors"),
        (np.zeros(50), np.zeros(500), "above those of impostors"),
        (np.array([np.nan]), normal(0, 1, 500, 2), "finite genuine"),
        (np.zeros(0), normal(0, 1, 500, 2), "finite genuine"),
    ],
)
def test_genuine_scores_that_teach_nothing_are_refused(genuine, impostors, why):
    with pytest.raises(InvalidOptionError, match=why):
        fit(genuine, impostors)


def test_genuine_scores_of_other_sizes_are_refused():
    with pytest.raises(InvalidOptionError, match="same"):
        Calibration.fit(
            {(1, PX): normal(0, 1, 500, 1)}, {(1, 64): normal(3, 1, 50, 2)}, source="test"
        )
