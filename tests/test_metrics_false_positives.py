"""Measured false-positive rates against counting, their intervals against scipy and resampling."""

import numpy as np
import pytest
from scipy.stats import binomtest, ecdf

from modelprint import metrics
from modelprint.errors import InvalidOptionError


def p_values(seed=0, models=8, images=25):
    """Images of one model are too sure, or too shy, together."""
    generator = np.random.default_rng(seed)
    power = generator.uniform(0.5, 2.5, models)
    model_of = np.repeat(np.arange(models), images)
    return (generator.random(len(model_of)) ** power[model_of]).round(3), model_of


def test_the_measured_rate_is_the_share_at_or_below():
    p, model_of = p_values()
    curve = metrics.reliability_curve(p, model_of)
    assert curve.nominal.tolist() == [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    np.testing.assert_allclose(curve.measured, ecdf(p).cdf.evaluate(curve.nominal))
    assert metrics.reliability_curve([0.01, 0.02], nominal=[0.01]).measured.tolist() == [0.5]


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_of_independent_images_are_those_of_wilson(level):
    p, _ = p_values()
    p = np.append(p[p > 0.004], 0.4)
    curve = metrics.reliability_curve(p, nominal=[0.001, 0.05, 0.3, 0.999_999], level=level)
    assert curve.measured[0] == 0.0
    assert curve.measured[0] < curve.measured[1] < curve.measured[2]
    assert curve.level == level
    for place, rate in enumerate(curve.nominal):
        count = int((p <= rate).sum())
        exact = binomtest(count, len(p)).proportion_ci(level, method="wilson")
        assert (curve.low[place], curve.high[place]) == pytest.approx(tuple(exact), abs=1e-12)


def test_intervals_of_images_by_model_resample_models():
    p, model_of = p_values()
    names = np.array([f"m{model}" for model in model_of])
    curve = metrics.reliability_curve(p, names, nominal=[0.02, 0.1], resamples=300, seed=5)
    for place, rate in enumerate([0.02, 0.1]):

        def rate_of(weights, rate=rate):
            drawn = [np.repeat(p, w[model_of]) for w in weights.astype(int)]
            return np.array([(one <= rate).mean() for one in drawn])

        expected = metrics.bootstrap_interval(rate_of, 8, resamples=300, seed=5)
        assert (curve.low[place], curve.high[place]) == pytest.approx(expected)
    alone = metrics.reliability_curve(p, nominal=[0.02, 0.1])
    assert (curve.high - curve.low > alone.high - alone.low).all()


def test_models_of_different_size_count_by_their_images():
    p, model_of = np.array([0.5, 0.5, 0.5, 0.0]), [0, 0, 0, 1]
    curve = metrics.reliability_curve(p, model_of, nominal=[0.1], resamples=4000)
    assert curve.measured.tolist() == [0.25]
    assert (curve.low[0], curve.high[0]) == (0.0, 1.0)


def test_no_false_positive_at_all_still_has_an_upper_bound():
    curve = metrics.reliability_curve([0.3] * 40, [0, 1] * 20, nominal=[0.01, 0.4])
    none, every = (binomtest(k, 40).proportion_ci(method="wilson") for k in (0, 40))
    assert curve.measured.tolist() == [0.0, 1.0]
    assert curve.low == pytest.approx([0.0, every.low])
    assert curve.high == pytest.approx([none.high, 1.0])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: metrics.reliability_curve([]), r"p_values: .* got shape \(0,\)"),
        (lambda: metrics.reliability_curve([[0.5]]), r"p_values: .* \(1, 1\)"),
        (lambda: metrics.reliability_curve([np.nan]), "p_values: expected finite"),
        (lambda: metrics.reliability_curve([0.5, 1.5]), r"in \[0, 1\], got 0.5 to 1.5"),
        (lambda: metrics.reliability_curve([-0.1]), r"p_values: .* \[0, 1\]"),
        (lambda: metrics.reliability_curve([0.5], nominal=[]), "nominal"),
        (lambda: metrics.reliability_curve([0.5], nominal=[0.0]), r"in \(0, 1\), got \[0.0\]"),
        (lambda: metrics.reliability_curve([0.5], nominal=[0.1, 1.0]), "nominal: .* rising"),
        (lambda: metrics.reliability_curve([0.5], nominal=[0.1, 0.1]), "nominal: .* rising"),
        (lambda: metrics.reliability_curve([0.5], level=1.0), "level"),
        (lambda: metrics.reliability_curve([0.5], [0, 1]), "models: expected 1, .* got 2"),
        (lambda: metrics.reliability_curve([0.5], [0.5]), "models: .* of float64"),
        (lambda: metrics.reliability_curve([0.5, 0.2], [3, 3]), "models: expected at least 2"),
        (lambda: metrics.reliability_curve([0.0, 0.5], [0, 1], resamples=0), "resamples"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, says):
    with pytest.raises(InvalidOptionError, match=says):
        call()
