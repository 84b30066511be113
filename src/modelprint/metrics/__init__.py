"""Figures that say how well scores, answers, groups and spectra do their job.

Everywhere a *score* is larger for images that are more alike. *Positives* are scores that should be
high (same model), *negatives* scores that should be low. Arguments are anything numpy turns into an
array; results are plain floats, or frozen records of arrays where a figure is a curve. Needs numpy
alone.
"""

from modelprint.metrics.clustering import adjusted_rand_index, purity
from modelprint.metrics.detection import DetCurve, det_curve
from modelprint.metrics.false_positives import ReliabilityCurve, reliability_curve
from modelprint.metrics.intervals import bootstrap_interval
from modelprint.metrics.likelihood import cllr, min_cllr
from modelprint.metrics.scores import (
    equal_error_rate,
    oscr,
    roc_auc,
    top_k_accuracy,
    tpr_at_fpr,
)
from modelprint.metrics.spectral import diversity, frechet_frequency_distance

__all__ = [
    "DetCurve",
    "ReliabilityCurve",
    "adjusted_rand_index",
    "bootstrap_interval",
    "cllr",
    "det_curve",
    "diversity",
    "equal_error_rate",
    "frechet_frequency_distance",
    "min_cllr",
    "oscr",
    "purity",
    "reliability_curve",
    "roc_auc",
    "top_k_accuracy",
    "tpr_at_fpr",
]
