"""The one scorer."""

import tiny
import torch
import torch.nn.functional as F

from modelprint.scoring.adaptation import Adaptation, AdaptationByView
from modelprint.scoring.comparison import Comparison, symmetric
from modelprint.scoring.views import Views


def test_without_a_cohort_scores_are_cosines():
    a, b = tiny.unit_rows(3, seed=1), tiny.unit_rows(4, seed=2)
    torch.testing.assert_close(Comparison(torch.empty(0, tiny.DIM))(a, b), a @ b.T)


def test_scores_are_deviations_above_how_the_image_scores_against_the_cohort():
    images, models, cohort = (tiny.unit_rows(n, seed=n) for n in (3, 4, 50))
    score = Comparison(cohort)(images, models)
    for i in range(3):
        level = images[i] @ cohort.T
        for j in range(4):
            expected = (images[i] @ models[j] - level.mean()) / (level.std() + 1e-4)
            torch.testing.assert_close(score[i, j], expected, atol=1e-4, rtol=1e-4)


def test_two_images_score_the_same_both_ways_round():
    a, b, cohort = (tiny.unit_rows(n, seed=n) for n in (3, 4, 50))
    score = Comparison(cohort)
    both = symmetric(score, a, b)
    torch.testing.assert_close(both, symmetric(score, b, a).T)
    torch.testing.assert_close(both[1, 2], (score(a, b)[1, 2] + score(b, a)[2, 1]) / 2)
    assert not torch.allclose(score(a, b), score(b, a).T, atol=1e-3)


def test_an_adapted_scorer_adapts_everything_it_compares():
    a, b, cohort, rows = (tiny.unit_rows(n, seed=n) for n in (3, 4, 50, 20))
    adaptation = Adaptation.fit(rows, [i // 5 for i in range(20)])
    plain = Comparison(adaptation(cohort))(adaptation(a), adaptation(b))
    torch.testing.assert_close(Comparison(cohort, [adaptation])(a, b), plain)
    assert not torch.allclose(Comparison(cohort)(a, b), plain, atol=1e-3)


def test_of_several_adaptations_the_one_that_finds_more_alike_counts():
    a, b, cohort, rows = (tiny.unit_rows(n, seed=n) for n in (3, 4, 50, 20))
    one = Adaptation.fit(rows, [i // 5 for i in range(20)])
    other = Adaptation.fit(rows.flip(1), [i // 4 for i in range(20)])
    each = torch.stack([Comparison(cohort, [way])(a, b) for way in (one, other)])
    both = Comparison(cohort, [one, other])
    torch.testing.assert_close(both(a, b), each.amax(0))
    assert 0 < (each[0] > each[1]).float().mean() < 1
    torch.testing.assert_close(both.against(a, both.take_apart(b)), both(a, b))


def test_adapting_again_starts_from_what_was_there():
    a, b, cohort, rows = (tiny.unit_rows(n, seed=n) for n in (3, 4, 50, 20))
    one = rows, [i // 5 for i in range(20)], rows.roll(1, 1)
    other = F.normalize(-rows + rows.roll(1, 0), dim=1), [i // 4 for i in range(20)], rows
    torch.testing.assert_close(
        Comparison(cohort).adapted(*one).adapted(*other)(a, b),
        Comparison(cohort).adapted(*other)(a, b),
    )


def test_a_gallerys_scorer_has_an_adaptation_for_processed_images_as_well():
    a, b, cohort, rows = (tiny.unit_rows(n, seed=n) for n in (3, 4, 50, 20))
    degraded = tiny.unit_rows(20, seed=5)
    labels, views = [i // 5 for i in range(20)], Views((2.0, 1.0))
    adapted = Comparison(cohort, views=views).adapted(rows, labels, degraded)
    ways = Adaptation.fit(rows, labels), AdaptationByView.fit(rows, labels, degraded, 2)
    torch.testing.assert_close(adapted(a, b), Comparison(cohort, ways, views)(a, b))


def test_nothing_has_no_scores():
    score = Comparison(tiny.unit_rows(50, seed=1))
    assert score(tiny.unit_rows(3, seed=2), torch.empty(0, tiny.DIM)).shape == (3, 0)
    assert score(torch.empty(0, tiny.DIM), tiny.unit_rows(3, seed=2)).shape == (0, 3)
