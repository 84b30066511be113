"""What a run consists of: schedule, whitening, calibration and figures."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import tiny
import torch

from modelprint.training import TrainingConfig
from modelprint.training.closed_form import whiten
from modelprint.training.evaluate import _figures, _impostor_scores
from modelprint.training.loop import _schedule

CONFIG = TrainingConfig()


def test_the_learning_rate_warms_up_and_falls_to_zero():
    rates = [_schedule(step, 1000) for step in range(1000)]
    assert rates[0] < 0.05
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[500] == pytest.approx(0.5)
    assert 0 < rates[-1] < 1e-4
    assert all(a > b for a, b in pairwise(rates[60:]))


def models(deviations: list[float], seed: int = 0) -> torch.Tensor:
    """``(60, 8, F)`` statistics of 60 models: unit noise within, these deviations between."""
    between = tiny.numbers(60, 1, len(deviations), seed=seed) * torch.tensor(deviations)
    return between + tiny.numbers(60, 8, len(deviations), seed=seed + 1)


def test_whitening_makes_the_noise_within_models_round():
    clean = models([3, 1, 0.5, 0]) @ tiny.numbers(4, 4, seed=9)
    backbone = whiten(clean, clean[:, :0], replace(CONFIG, dim=4, ridge=1e-9))
    projected = backbone.standardise(clean) @ backbone.projection
    deviations = (projected - projected.mean(1, keepdim=True)).flatten(0, 1)
    covariance = deviations.T @ deviations / (60 * 7)
    torch.testing.assert_close(covariance, torch.eye(4), atol=1e-2, rtol=0)


def test_the_directions_in_which_models_differ_most_come_first():
    clean = models([0, 0.5, 4, 1])
    backbone = whiten(clean, clean[:, :0], replace(CONFIG, dim=4))
    centres = (backbone.standardise(clean) @ backbone.projection).mean(1)
    spread = centres.var(0)
    assert spread.argsort(descending=True).tolist() == [0, 1, 2, 3]
    assert backbone.projection[:, 0].abs().argmax() == 2
    fewer = whiten(clean, clean[:, :0], replace(CONFIG, dim=2))
    torch.testing.assert_close(fewer.projection.abs(), backbone.projection[:, :2].abs())


def test_what_degrading_moves_counts_less():
    clean = models([2, 2])
    degraded = clean[:, :4].clone()
    degraded[..., 1] += 8 * tiny.numbers(60, 4, seed=5)
    config = replace(CONFIG, dim=2, degraded_weight=1.0)
    weights = whiten(clean, degraded, config).projection.norm(dim=1)
    assert weights[1] < 0.5 * weights[0]
    unmoved = whiten(clean, clean[:, :4], config).projection.norm(dim=1)
    assert unmoved[1] > 0.7 * unmoved[0]


def test_impostors_are_images_of_other_classes_only():
    extractor = tiny.extractor()
    labels = torch.tensor([0, 3, 0, 7])  # two classes of pictures that no model rendered
    clean = tiny.unit_rows(4 * 14, seed=3).view(4, 14, tiny.DIM)
    for enrolled in (1, 10):
        scores = _impostor_scores(extractor, labels, clean, enrolled)
        expected = []
        for model in range(4):
            template = torch.nn.functional.normalize(clean[model, :enrolled].mean(0), dim=0)
            for other in range(4):
                if labels[other] != labels[model]:
                    expected += extractor.compare(clean[other, 10:], template[None])[:, 0].tolist()
        np.testing.assert_allclose(np.sort(scores), np.sort(expected), atol=1e-3)


def test_figures_are_perfect_where_models_are_plain_to_tell_apart():
    clean = torch.eye(tiny.DIM)[:5, None].expand(5, 14, tiny.DIM) + 0.01 * tiny.numbers(
        5, 14, tiny.DIM
    )
    clean = torch.nn.functional.normalize(clean, dim=2)
    figures = _figures(tiny.extractor(cohort=0), torch.arange(5), clean)
    assert figures == {"top1": 1.0, "roc_auc": 1.0, "eer": 0.0}
    alike = torch.tensor([1, 1, 2, 3, 4])  # the first two are one class, so no longer alike
    worse = _figures(tiny.extractor(cohort=0), alike, clean)
    assert worse["top1"] == 1
    assert worse["roc_auc"] < 1
