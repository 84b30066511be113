"""The permutation test of drift against a slow one, on images that drift and others that do not."""

from itertools import combinations

import numpy as np
import pytest

from modelprint.health.drift import Drift, drift_of


def scores_of(*parts, seed=0, dim=12):
    """Scores of images around one centre each part, and the number of each image's part."""
    generator = np.random.default_rng(seed)
    centres = {name: generator.normal(size=dim) for name in sorted({name for name, _ in parts})}
    rows = [centres[name] + generator.normal(size=dim) for name, n in parts for _ in range(n)]
    return np.array(rows) @ np.array(rows).T, np.repeat(range(len(parts)), [n for _, n in parts])


def slow(scores, first):
    n = len(scores)

    def apart(chosen):
        rest = [i for i in range(n) if i not in chosen]
        among = [scores[i, j] for i, j in combinations(chosen, 2)]
        return np.mean(among) - np.mean([scores[i, j] for i in chosen for j in rest])

    real = apart(range(first))
    return np.mean([apart(chosen) >= real - 1e-9 for chosen in combinations(range(n), first)])


def test_p_value_is_the_share_of_all_divisions():
    for seed in range(5):
        scores, enrolments = scores_of(("a", 4), ("a", 5), seed=seed)
        drift = drift_of(scores, enrolments)
        assert drift.p_value == pytest.approx(slow(scores, 4))
        assert (drift.first_images, drift.later_images) == (4, 5)
        assert drift.first_score == pytest.approx(
            np.mean([scores[i, j] for i, j in combinations(range(4), 2)])
        )
        assert drift.later_score == pytest.approx(scores[4:, :4].mean())


def test_images_of_another_model_are_drift():
    scores, enrolments = scores_of(("a", 8), ("b", 8))
    drift = drift_of(scores, enrolments)
    assert drift.p_value == 1 / 5000, "no random division is as far apart as the real one"
    assert drift.later_score < drift.first_score


def test_p_values_are_those_of_chance_where_nothing_drifts():
    for n in (4, 9):  # all divisions, and random ones
        p_values = [
            drift_of(*scores_of(("a", n), ("a", n), seed=seed)).p_value for seed in range(200)
        ]
        assert np.mean(np.array(p_values) <= 0.05) <= 0.09
        assert 0.4 < np.mean(p_values) < 0.6


def test_equal_scores_are_no_drift():
    assert drift_of(np.ones((8, 8)), [0] * 4 + [1] * 4).p_value == 1


def test_first_are_as_many_enrolments_as_it_takes_to_have_three():
    scores, _ = scores_of(("a", 8))
    assert drift_of(scores, [0, 1, 2, 3, 3, 4, 5, 6]).first_images == 3
    assert drift_of(scores, [5, 5, 7, 7, 7, 9, 9, 9]).first_images == 5
    later_first = drift_of(scores[::-1, ::-1], [1, 1, 1, 1, 0, 0, 0, 0])
    assert later_first == drift_of(scores, [0, 0, 0, 0, 1, 1, 1, 1])
    assert isinstance(later_first, Drift)


@pytest.mark.parametrize("enrolments", [[0], [0, 1], [3, 3, 3, 3], [0, 1, 2]])
def test_nothing_to_compare(enrolments):
    assert drift_of(np.eye(len(enrolments)), enrolments) is None
