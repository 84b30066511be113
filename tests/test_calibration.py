import json
import math
from itertools import pairwise

import numpy as np
import pytest

from modelprint.calibration import Calibration, check_fpr
from modelprint.errors import InvalidOptionError, InvalidWeightsError
from modelprint.scoring.impostors import ImpostorTable

PX = 256  # the one image size of most calibrations here


def normal_scores(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


def slow_p(impostors, score):
    return (1 + sum(impostor >= score for impostor in impostors)) / (len(impostors) + 1)


@pytest.fixture(scope="module")
def calibration():
    impostors = {(1, PX): normal_scores(5000), (10, PX): 2 * normal_scores(3000, 1)}
    return Calibration.fit(impostors, source="test")


def test_p_value_is_the_counted_share_of_impostors(calibration):
    impostors = normal_scores(5000)
    for score in np.linspace(-3, impostors.max() + 0.1, 60):
        counted, p_value = slow_p(impostors, score), calibration.p_value(score, 1, PX)
        # Where decisions are made, the curve does not fall below the count, and between two
        # impostors, where the count jumps, it is above it by one of them at most.
        assert (0.99 if counted < 0.2 else 0.95) * counted <= p_value
        assert p_value <= 1.03 * (counted + 1 / 5001)


def test_p_value_is_exact_where_every_score_is_kept_also_with_ties():
    impostors = np.array([0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 5.0])
    table = Calibration.fit({(1, PX): impostors}, source="ties", default_fpr=0.5).tables[0]
    for score in (-1.0, 0.0, 1.0, 2.0, 5.0, 5.1):
        assert table.p_value(score) == pytest.approx(slow_p(impostors, score), rel=1e-12)
    # Between two scores the true share is that of the upper one: never claim less than it.
    for score in (0.5, 1.5, 3.0, 4.999):
        assert slow_p(impostors, score) <= table.p_value(score) <= 1


def test_p_value_falls_with_the_score_and_stays_above_its_floor(calibration):
    p_values = [calibration.p_value(score, 1, PX) for score in np.linspace(-10, 10, 2001)]
    assert all(a >= b for a, b in pairwise(p_values))
    assert p_values[0] == 1
    assert (
        p_values[-1]
        == calibration.p_value(math.inf, 1, PX)
        == calibration.finest_p(1, PX)
        == 1 / 5001
    )


def test_impostors_pass_at_the_rate_that_was_asked_for(calibration):
    fresh = normal_scores(20_000, seed=99)
    for fpr in (0.2, 0.05, 0.01):
        passed = np.mean([calibration.p_value(score, 1, PX) <= fpr for score in fresh])
        # Two binomial errors: of the fresh scores, and of the 5000 that were calibrated on.
        assert passed == pytest.approx(fpr, abs=4 * math.sqrt(fpr * (1 / 20_000 + 1 / 5000)))


GRID = {
    (size, side): rise * normal_scores(2000, seed=size)
    for size, rise in ((1, 1.0), (10, 2.0))
    for side in (64, 256)
}


@pytest.fixture(scope="module")
def grid():
    """Impostors that rise with the images enrolled, and, in one corner, fall with their size."""
    return Calibration.fit({**GRID, (10, 256): normal_scores(2000)}, source="test")


@pytest.mark.parametrize(
    ("asked", "tables"),
    [
        ((1, 64), {(1, 64)}),
        ((10, 64), {(10, 64)}),
        ((1, 20), {(1, 64)}),
        ((1000, 4000), {(10, 256)}),
        ((3, 64), {(1, 64), (10, 64)}),
        ((10, 100), {(10, 64), (10, 256)}),
        ((3, 100), {(1, 64), (10, 64), (1, 256), (10, 256)}),
    ],
)
def test_between_two_sizes_the_stricter_table_holds(grid, asked, tables):
    chosen = [table for table in grid.tables if (table.enrolled, table.side_px) in tables]
    for score in (0.0, 1.7, 2.5, 9.0):
        each = [table.p_value(score) for table in chosen]
        assert grid.p_value(score, *asked) == max(each)
    assert grid.finest_p(*asked) == max(table.finest_p for table in chosen)
    threshold = grid.threshold(0.01, *asked)
    assert grid.p_value(threshold, *asked) <= 0.01 < grid.p_value(threshold - 1e-6, *asked)


@pytest.mark.parametrize(
    "keys", [[(1, 64), (10, 256)], [(1, 64), (10, 64), (10, 256)], [(2, 64)], [(0, 64), (1, 64)]]
)
def test_a_size_that_lacks_a_table_is_refused(keys):
    with pytest.raises(InvalidOptionError):
        Calibration.fit({key: normal_scores(500) for key in keys}, source="test")


def test_images_of_the_same_two_models_are_one_piece_of_evidence():
    pairs = np.random.default_rng(3).normal(size=(150, 1)) + np.zeros((150, 40))
    apart, alike = (
        Calibration.fit({(1, PX): scores}, source="test") for scores in (pairs.ravel(), pairs)
    )
    table = alike.tables[0]
    assert (table.comparisons, table.independent) == (6000, 150)
    assert alike.finest_p(1, PX) == 1 / 151 > apart.finest_p(1, PX)
    for score in (-1.0, 0.5, 1.5, 2.2):
        counted = (pairs[:, 0] >= score).mean()
        exact = (1 + 150 * counted) / 151
        assert 0.999 * exact <= alike.p_value(score, 1, PX) <= 1.2 * exact
    with pytest.raises(InvalidOptionError, match="50 independent"):
        Calibration.fit({(1, PX): pairs[:50]}, source="test")


@pytest.mark.parametrize("fpr", [0.9, 0.5, 0.1, 0.01, 0.001, 2 / 5001, 1.5 / 5001, 1 / 5001])
def test_threshold_is_the_smallest_score_that_passes(calibration, fpr):
    threshold = calibration.threshold(fpr, 1, PX)
    assert calibration.p_value(threshold, 1, PX) <= fpr
    assert calibration.p_value(math.nextafter(threshold, -math.inf), 1, PX) > fpr


def test_threshold_finer_than_the_impostors_support_is_refused(calibration):
    with pytest.raises(InvalidOptionError, match="5000 impostor comparisons"):
        calibration.threshold(1 / 5002, 1, PX)


@pytest.mark.parametrize("fpr", [0, 1, -0.1, 1.5, math.nan, math.inf, "0.01", None, True])
def test_impossible_rates_are_refused(calibration, fpr):
    with pytest.raises(InvalidOptionError, match="between 0 and 1"):
        check_fpr(fpr)
    with pytest.raises(InvalidOptionError):
        calibration.threshold(fpr, 1, PX)
    with pytest.raises(InvalidOptionError):
        Calibration(calibration.tables, "test", fpr)


def test_equal_impostor_scores_make_a_step():
    calibration = Calibration.fit({(1, PX): np.zeros(200)}, source="constant")
    assert [calibration.p_value(score, 1, PX) for score in (-1, 0, 1e-9)] == [1, 1, 1 / 201]
    assert calibration.threshold(0.01, 1, PX) == math.nextafter(0, 1)


def test_tables_stay_small_and_keep_the_tail():
    table = Calibration.fit({(1, PX): normal_scores(100_000)}, source="test").tables[0]
    assert len(table.scores) <= 200
    assert table.scores[-1] == normal_scores(100_000).max()
    assert np.diff(np.log(table.p_values)).min() > -0.7  # no step worse than 1 of n to 2 of n


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ({(1, PX): np.array([0.0, np.nan] * 100)}, "finite"),
        ({(1, PX): np.array([0.0, np.inf] * 100)}, "finite"),
        ({(1, PX): np.zeros((20, 20, 20))}, "shape"),
        ({(1, PX): np.zeros(0)}, "shape"),
        ({(1, PX): np.arange(98.0)}, "at least 99"),
        ({(2, PX): np.arange(200.0)}, "1 enrolled"),
        ({(0, PX): np.arange(200.0)}, "at least 1"),
        ({}, "1 enrolled"),
    ],
)
def test_fit_refuses_what_cannot_be_calibrated_on(scores, why):
    with pytest.raises(InvalidOptionError, match=why):
        Calibration.fit(scores, source="test")


def test_json_round_trip_is_exact(calibration):
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    assert again == calibration


def broken(change):
    d = Calibration.fit(
        {(1, PX): np.arange(200.0), (5, PX): np.arange(300.0)}, source="test"
    ).to_dict()
    change(d, d["tables"][0])
    return d


@pytest.mark.parametrize(
    "change",
    [
        lambda d, t: d.update(extra=1),
        lambda d, t: d.pop("source"),
        lambda d, t: d.update(source=None),
        lambda d, t: d.update(default_fpr=2.0),
        lambda d, t: d.update(schema_version=1),
        lambda d, t: d.update(schema_version=3),
        lambda d, t: d.pop("schema_version"),
        lambda d, t: d.update(tables={}),
        lambda d, t: d.update(tables=[]),
        lambda d, t: d.update(tables=[3]),
        lambda d, t: d["tables"].reverse(),
        lambda d, t: d["tables"].pop(0),
        lambda d, t: t.update(more=0),
        lambda d, t: t.pop("comparisons"),
        lambda d, t: t.update(enrolled=True),
        lambda d, t: t.update(enrolled=0),
        lambda d, t: t.update(comparisons=10),
        lambda d, t: t.update(independent=10),
        lambda d, t: t.update(independent=0),
        lambda d, t: t.update(side_px=0),
        lambda d, t: t.pop("side_px"),
        lambda d, t: t.update(likelihood=3),
        lambda d, t: t.update(likelihood={"slope": 1.0, "offset": 0.0}),
        lambda d, t: t.update(likelihood={"slope": -1.0, "offset": 0.0, "genuine": 9}),
        lambda d, t: t.update(likelihood={"slope": 1.0, "offset": math.nan, "genuine": 9}),
        lambda d, t: t.update(likelihood={"slope": 1.0, "offset": 0.0, "genuine": 0}),
        lambda d, t: t["scores"].pop(),
        lambda d, t: t["scores"].__setitem__(3, math.nan),
        lambda d, t: t["scores"].__setitem__(3, "4"),
        lambda d, t: t["scores"].__setitem__(-1, 10**400),
        lambda d, t: t["scores"].reverse(),
        lambda d, t: t["p_values"].__setitem__(0, 0.999),
        lambda d, t: t["p_values"].__setitem__(5, math.nan),
        lambda d, t: t["p_values"].__setitem__(5, t["p_values"][4]),
        lambda d, t: t["p_values"].__setitem__(-1, 1e-9),
        lambda d, t: t["p_values"].__setitem__(-1, 0.0),
    ],
)
def test_a_damaged_calibration_is_refused(change):
    Calibration.from_dict(broken(lambda d, t: None))
    with pytest.raises(InvalidWeightsError, match="calibration cannot be used"):
        Calibration.from_dict(broken(change))


@pytest.mark.parametrize("d", [None, [], "calibration", 3])
def test_what_is_no_calibration_is_refused(d):
    with pytest.raises(InvalidWeightsError):
        Calibration.from_dict(d)


def test_a_table_that_is_no_survival_function_is_refused():
    with pytest.raises(InvalidOptionError, match="rise"):
        ImpostorTable(1, 64, 10, 10, (1.0, 1.0), (1.0, 0.5))


@pytest.mark.parametrize(
    ("version", "said"),
    [(1, "expected schema version 2, got 1: calibrate again"), (3, "pip install -U modelprint")],
)
def test_calibrations_of_other_schemas_are_refused_with_advice(version, said):
    def change(d, t):
        d.update(schema_version=version)
        if version == 3:
            d.update(more={})  # whatever else it may hold

    with pytest.raises(InvalidWeightsError, match=said):
        Calibration.from_dict(broken(change))
