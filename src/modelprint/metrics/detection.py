"""The whole trade-off of a verifier: both error rates at every threshold."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from modelprint.metrics.inputs import Floats, finite_scores
from modelprint.metrics.scores import crossing, error_curves


@dataclass(frozen=True, eq=False)
class DetCurve:
    """Error rates when scores at or above a threshold are accepted.

    Attributes:
        thresholds: (T,) float64, every distinct score, strictly rising, and infinity at the end.
        false_match_rates: (T,) float64, share of negatives accepted, from 1 falling to 0.
        false_non_match_rates: (T,) float64, share of positives rejected, from 0 rising to 1.
    """

    thresholds: Floats
    false_match_rates: Floats
    false_non_match_rates: Floats

    @property
    def equal_error_rate(self) -> float:
        """Where the two rates meet, in [0, 1]: the figure of `metrics.equal_error_rate`."""
        return float(crossing(self.false_non_match_rates[None], self.false_match_rates[None])[0])


def det_curve(positives: ArrayLike, negatives: ArrayLike) -> DetCurve:
    """Detection error trade-off: false-match and false-non-match rate at every threshold.

    `FMR(t) = share of negatives >= t`, `FNMR(t) = share of positives < t` (ISO/IEC 19795-1; drawn
    on normal-deviate axes by Martin et al., "The DET curve in assessment of detection task
    performance", 1997). Equal scores move the curve in one step, in both rates at once, and the
    rates are exact ratios of counts. `modelprint.plots.det_plot` draws it.

    Args:
        positives: (P,) scores of pairs of one model.
        negatives: (N,) scores of pairs of two models.

    Returns:
        The curve, from everything accepted to nothing accepted.

    Raises:
        InvalidOptionError: an array is empty, not one-dimensional, or holds NaN or infinity.
    """
    pos, neg = finite_scores("positives", positives), finite_scores("negatives", negatives)
    thresholds, false_rejects, false_accepts = error_curves(pos, neg)
    return DetCurve(thresholds, false_accepts, false_rejects)
