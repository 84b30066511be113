"""Average linkage against scikit-learn's, and against a search for the best pair."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from modelprint.discovery.linkage import average_linkage
from modelprint.metrics import adjusted_rand_index


def similarities(n, seed):
    generator = np.random.default_rng([n, seed])
    together = np.arange(n)[:, None] // 6 == np.arange(n) // 6
    values = generator.normal(size=(n, n)) + 1.5 * together
    return (values + values.T) / 2


@pytest.mark.parametrize("n", [2, 3, 12, 70])
@pytest.mark.parametrize("least", [-9.0, 0.0, 0.6, 9.0])
def test_groups_are_those_of_scikit_learn(n, least):
    for seed in range(4):
        values = similarities(n, seed)
        other = AgglomerativeClustering(
            n_clusters=None, metric="precomputed", linkage="average", distance_threshold=20 - least
        ).fit_predict(20 - values)
        groups = average_linkage(values.astype(np.float32), least)
        assert adjusted_rand_index(other, groups) == 1


def test_groups_do_not_depend_on_the_order_of_images():
    values = similarities(40, 0)
    order = np.random.default_rng(1).permutation(40)
    groups = average_linkage(values.copy(), 0.5)
    shuffled = average_linkage(values[np.ix_(order, order)].copy(), 0.5)
    assert 1 < len(np.unique(groups)) < 40
    assert adjusted_rand_index(groups[order], shuffled) == 1


def test_equal_similarities_come_to_an_end():
    assert len(set(average_linkage(np.ones((9, 9), np.float32), 1.0))) == 1
    assert len(set(average_linkage(np.ones((9, 9), np.float32), 1.5))) == 9
    blocks = np.kron(np.eye(3), np.ones((3, 3))).astype(np.float32)
    assert average_linkage(blocks, 0.5).reshape(3, 3).std(axis=1).max() == 0


def test_no_image_and_a_single_one():
    assert average_linkage(np.empty((0, 0), np.float32), 0.0).tolist() == []
    assert average_linkage(np.zeros((1, 1), np.float32), -1.0).tolist() == [0]
