import numpy as np
import pytest
from scipy import stats

from modelprint.answers.rivals import Rivalry, shares

NONE = np.array([np.nan])


def enrolled(leads, n, seed=0, noise=1.0):
    """Left-out scores of images of L models that score this much higher for their own model."""
    generator = np.random.default_rng(seed)
    model = np.repeat(np.arange(len(leads)), n)
    scores = noise * generator.normal(size=(len(model), len(leads)))
    scores[np.arange(len(model)), model] += np.array(leads)[model]
    return scores, model


def rivalry(scores, model, of=0):
    left_out = scores[np.arange(len(model)), model]
    return Rivalry.of(of, scores[model == of], scores[:, of], left_out, model)


def test_evidence_is_the_ratio_of_two_predictive_densities():
    scores, model = enrolled([4.0, 4.0], 6)
    image = np.array([2.0, 1.5])
    lead = [scores[model == a, a] - scores[model == a, 1 - a] for a in (0, 1)]
    squares = sum(((x - x.mean()) ** 2).sum() for x in lead)
    usual = squares / 10  # the mean over all pairs, which are this one
    freedom = 10 + 10
    variance = (squares + 10 * usual) / freedom
    scale = np.sqrt(variance * (1 + 1 / 6))
    middle, apart = (lead[0].mean() - lead[1].mean()) / 2, lead[0].mean() + lead[1].mean()
    half = apart / 2 * (1 - 4 * variance * (1 / 6 + 1 / 6) / apart**2)
    densities = [
        stats.t.logpdf(0.5, freedom, loc=middle + sign * half, scale=scale) for sign in (1, -1)
    ]
    assert rivalry(scores, model, 0).evidence(image)[1] == pytest.approx(
        densities[0] - densities[1]
    )
    assert rivalry(scores, model, 1).evidence(image)[0] == pytest.approx(
        densities[1] - densities[0]
    )
    assert np.isnan(rivalry(scores, model, 0).evidence(image)[0])


def test_models_that_cannot_be_told_apart_share_alike_whatever_the_scores():
    alike = rivalry(*enrolled([0.0, 0.0], 8))
    found = shares(0, np.array([9.0, 3.0]), alike.evidence(np.array([3.0, 1.0])))
    assert found.max() < 0.8
    apart = rivalry(*enrolled([6.0, 6.0], 8))
    found = shares(0, np.array([9.0, 3.0]), apart.evidence(np.array([6.0, 0.0])))
    assert found[0] > 0.99


@pytest.mark.parametrize("n", [2, 10])
@pytest.mark.parametrize("lead", [0.5, 1.5, 3.0])
def test_shares_are_right_as_often_as_they_say(lead, n):
    """Over many galleries of two models and the images that would be asked about."""
    generator = np.random.default_rng(n)
    said, right = [], []
    for seed in range(1500):
        maker = int(generator.integers(2))
        image = generator.normal(size=2)
        image[maker] += lead
        best = int(image.argmax())
        pair = rivalry(*enrolled([lead, lead], n, seed), best)
        found = shares(best, None, pair.evidence(image))
        said.append(found.max())
        right.append(int(found.argmax()) == maker)
    said, right = np.array(said), np.array(right)
    assert right.mean() >= said.mean() - 0.05
    # A coin toss among those that are named would be wrong half of the time, or more seldom.
    assert (~right[said >= 0.8]).sum() / len(said) < 0.06
    if lead == 3.0:
        assert (said >= 0.8).mean() > 0.8


def test_of_two_sources_the_less_sure_one_counts():
    evidence = np.array([np.nan, 1.0, 5.0, np.nan])
    log_odds = np.array([6.0, 0.0, 3.0, 4.0])
    odds = np.exp(-np.array([0.0, 1.0, 3.0, 2.0]))
    assert shares(0, log_odds, evidence) == pytest.approx(odds / odds.sum())
    assert shares(0, None, evidence) is None
    assert shares(0, None, evidence[:3]) == pytest.approx(
        np.exp([0, -1, -5]) / np.exp([0, -1, -5]).sum()
    )
    assert shares(0, None, NONE) == pytest.approx([1.0])


def test_a_model_of_one_image_says_nothing_about_its_pairs():
    scores, model = enrolled([4.0, 4.0, 4.0], 5)
    keep = (model != 1) | (np.arange(len(model)) == 5)
    scores, model = scores[keep], model[keep]
    scores[model == 1, 1] = np.nan
    found = rivalry(scores, model, 0).evidence(np.array([5.0, 1.0, 1.0]))
    assert np.isnan(found).tolist() == [True, True, False]
    assert np.isnan(rivalry(scores, model, 1).evidence(np.array([1.0, 5.0, 1.0]))).all()


def test_images_that_are_all_the_same_break_nothing():
    scores = np.zeros((4, 2))
    scores[[0, 1], 0] = scores[[2, 3], 1] = 3.0
    found = shares(0, None, rivalry(scores, np.array([0, 0, 1, 1])).evidence(scores[0]))
    assert found == pytest.approx([1, 0], abs=1e-6)
