"""What a run consists of: schedule, whitening, calibration and figures."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from modelprint.answers.answering import Reference
from modelprint.index import Index, Row
from modelprint.synthesis.pictures import draw_pictures
from modelprint.training import TrainingConfig
from modelprint.training.calibrating import PROBES, _scores, calibrate, figures_of
from modelprint.training.closed_form import whiten as whiten_views
from modelprint.training.data import ModelImages
from modelprint.training.evaluate import cohort_images
from modelprint.training.loop import _schedule

CONFIG = TrainingConfig()
NOTHING = torch.empty(0, 3, 4)


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


def whiten(clean, degraded, content, config):
    """With one view, of which every part of a fingerprint is made."""
    return whiten_views(clean[:, None], clean, degraded, content[:, None], config)


def test_whitening_makes_the_noise_within_models_round_but_for_what_says_more():
    clean = models([3, 1, 0.5, 0]) @ tiny.numbers(4, 4, seed=9)
    backbone = whiten(clean, clean[:, :0], NOTHING, replace(CONFIG, dim=16, ridge=1e-9))
    projected = backbone.standardise(clean) @ backbone.projection
    deviations = (projected - projected.mean(1, keepdim=True)).flatten(0, 1)
    covariance = deviations.T @ deviations / (60 * 7)
    # With noise of one, directions of more than the usual spread are larger by its tenth root.
    noise = covariance.diagonal()
    spread = projected.mean(1).var(0, correction=0) / noise
    gains = (spread / spread.median()).clamp(min=1) ** 0.1
    assert gains.max() > 1.1
    torch.testing.assert_close(covariance, torch.diag(gains.square()), atol=2e-2, rtol=1e-2)


def test_the_directions_in_which_models_differ_most_come_first():
    clean = models([0, 0.5, 4, 1])
    backbone = whiten(clean, clean[:, :0], NOTHING, replace(CONFIG, dim=16))
    centres = (backbone.standardise(clean) @ backbone.projection).mean(1)
    spread = centres.var(0)
    assert spread.argsort(descending=True).tolist() == [0, 1, 2, 3]
    assert backbone.projection[:, 0].abs().argmax() == 2
    fewer = whiten(clean, clean[:, :0], NOTHING, replace(CONFIG, dim=8))
    torch.testing.assert_close(fewer.projection.abs(), backbone.projection[:, :2].abs())


def test_what_degrading_moves_counts_less():
    clean = models([2, 2])
    degraded = clean[:, :4].clone()
    degraded[..., 1] += 8 * tiny.numbers(60, 4, seed=5)
    config = replace(CONFIG, dim=8, degraded_weight=1.0)
    weights = whiten(clean, degraded, NOTHING, config).projection.norm(dim=1)
    assert weights[1] < 0.5 * weights[0]
    unmoved = whiten(clean, clean[:, :4], NOTHING, config).projection.norm(dim=1)
    assert unmoved[1] > 0.7 * unmoved[0]


def test_pictures_that_no_model_rendered_count_as_noise_too():
    clean = models([2, 2])
    content = tiny.numbers(80, 3, 2, seed=6) * torch.tensor([1.0, 8.0]) + 5
    plain, aware = (
        whiten(clean, clean[:, :0], content, replace(CONFIG, dim=8, content_weight=weight))
        for weight in (0.0, 1.0)
    )
    # The mean of the pictures says nothing, what they vary in does.
    ratio = aware.projection.norm(dim=1) / plain.projection.norm(dim=1)
    assert ratio[1] < 0.5 * ratio[0]


def test_impostors_are_images_of_other_classes_compared_as_in_a_gallery():
    extractor = tiny.extractor()
    labels = torch.tensor([0, 3, 0, 7])  # two classes of pictures that no model rendered
    clean, degraded = (tiny.unit_rows(4 * 14, seed=n).view(4, 14, tiny.DIM) for n in (3, 4))
    for enrolled in (1, 10):
        [(scores, own)] = _scores(extractor, labels, clean, degraded, clean[:, -PROBES:], enrolled)
        rows = tuple(Row(str(m), f"{m}-{n}", "") for m in range(4) for n in range(enrolled))
        of_images, of_copies = (x[:, :enrolled].flatten(0, 1) for x in (clean, degraded))
        gallery = Reference(extractor, Index(of_images, rows, of_copies))
        expected = gallery.score(
            clean[:, -PROBES:].flatten(0, 1), gallery.index.templates.fingerprints
        )
        np.testing.assert_allclose(scores, expected, atol=1e-3)
        assert own[:4].tolist() == [[True, False, True, False]] * 4
        assert own[4:8].tolist() == [[False, True, False, False]] * 4


def test_every_size_of_enrolment_and_image_is_calibrated():
    extractor = tiny.extractor()
    centres = tiny.unit_rows(24, seed=1)[:, None]
    noise = tiny.numbers(24, 14, tiny.DIM, seed=2)
    clean = torch.nn.functional.normalize(centres + 0.1 * noise, dim=2)
    blurred = torch.nn.functional.normalize(clean[:, -PROBES:] + 0.3 * noise[:, :PROBES], dim=2)
    calibration = calibrate(
        extractor, torch.arange(24), clean, clean, {64: blurred}, side_px=256, source="a test"
    )
    tables = {(table.enrolled, table.side_px): table for table in calibration.tables}
    assert set(tables) == {(n, side) for n in (1, 3, 10) for side in (64, 256)}
    assert {table.comparisons for table in tables.values()} == {24 * PROBES * 23}
    for table in tables.values():
        assert table.likelihood is not None
        assert table.likelihood.genuine == 24 * PROBES
    assert calibration.llr(30.0, 10, 256) > 0 > calibration.llr(0.0, 10, 256)


def test_figures_are_perfect_where_models_are_plain_to_tell_apart():
    # Every view of a model points in a direction of its own.
    angles = 2 * torch.pi * torch.arange(5) / 5
    directions = torch.stack([angles.cos(), angles.sin()], 1).repeat(1, tiny.DIM // 2)
    clean = directions[:, None] + 0.01 * tiny.numbers(5, 14, tiny.DIM)
    clean = torch.nn.functional.normalize(clean, dim=2)
    figures = figures_of(tiny.extractor(cohort=0), torch.arange(5), clean)
    assert figures == {"top1": 1.0, "roc_auc": 1.0, "eer": 0.0}
    alike = torch.tensor([1, 1, 2, 3, 4])  # the first two are one class, so no longer alike
    worse = figures_of(tiny.extractor(cohort=0), alike, clean)
    assert worse["top1"] == 1
    assert worse["roc_auc"] < 1


def test_the_cohort_has_a_degraded_copy_of_every_image():
    pictures = draw_pictures(4, seed=8, size_px=64)
    models = [ModelImages(pictures[:2], []), ModelImages(pictures[2:], [])]
    cohort = cohort_images(CONFIG, models)
    assert len(cohort) == 8
    for picture, image, copy in zip(pictures, cohort[:4], cohort[4:], strict=True):
        assert torch.equal(image, picture)
        assert not torch.equal(copy, picture)
        side = copy.shape[-1]
        assert copy.shape == (3, side, side)
        assert 0.65 * 64 - 1 <= side <= 1.3 * 64 + 1
        alike = F.interpolate(copy[None].float(), (64, 64), mode="bilinear", antialias=True)[0]
        assert (alike - picture).abs().mean() < 12
    again = cohort_images(CONFIG, models)
    assert all(torch.equal(one, other) for one, other in zip(cohort, again, strict=True))
