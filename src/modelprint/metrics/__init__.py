"""Figures that say how well scores and spectra do their job.

Everywhere a *score* is larger for images that are more alike. *Positives* are scores that should be
high (same model), *negatives* scores that should be low. Arguments are anything numpy turns into a
float array; results are plain floats. Needs numpy alone.
"""

from modelprint.metrics.intervals import bootstrap_interval
from modelprint.metrics.scores import (
    equal_error_rate,
    oscr,
    roc_auc,
    top_k_accuracy,
    tpr_at_fpr,
)
from modelprint.metrics.spectral import diversity, frechet_frequency_distance

__all__ = [
    "bootstrap_interval",
    "diversity",
    "equal_error_rate",
    "frechet_frequency_distance",
    "oscr",
    "roc_auc",
    "top_k_accuracy",
    "tpr_at_fpr",
]
