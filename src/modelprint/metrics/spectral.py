"""How the spectra of two sets of models compare, and how varied those of one set are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from modelprint.errors import InvalidOptionError
from modelprint.metrics.inputs import Floats, finite_table


def frechet_frequency_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Fréchet distance between two sets of models, each model given by its spectrum.

    `|mean_a - mean_b|^2 + trace(A + B - 2 (A B)^(1/2))` with the covariances A and B, as in FID:
    the unit is the square of the input's. There is one row per *model*, so rows are few and the
    plain covariance has no full rank: both covariances are shrunk towards a multiple of the
    identity with the intensity of Ledoit and Wolf (2004), which depends on the number of rows.
    Compare only figures that were computed with like numbers of rows.

    Args:
        a: (Na, F) spectra of one set of models, Na >= 2.
        b: (Nb, F) spectra of another set of models, Nb >= 2, at the same F frequencies.

    Returns:
        A number >= 0; 0 for equal means and equal shrunk covariances, smaller is closer.

    Raises:
        InvalidOptionError: fewer than two rows, different widths, or values that are not finite.
    """
    first, second = finite_table("a", a, least_rows=2), finite_table("b", b, least_rows=2)
    if first.shape[1] != second.shape[1]:
        raise InvalidOptionError(
            f"a and b: expected spectra at the same frequencies, got {first.shape[1]} and "
            f"{second.shape[1]} columns."
        )
    shift = first.mean(axis=0) - second.mean(axis=0)
    A, B = _shrunk_covariance(first), _shrunk_covariance(second)
    values, vectors = np.linalg.eigh(A)
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    # The eigenvalues of A B are those of the symmetric root(A) B root(A), which eigvalsh finds
    # without complex rounding residues.
    cross = np.sqrt(np.linalg.eigvalsh(root @ B @ root).clip(min=0.0)).sum()
    return float(max(0.0, shift @ shift + np.trace(A) + np.trace(B) - 2.0 * cross))


def diversity(spectra: ArrayLike) -> float:
    """Mean log-spectral distance between two models of a set.

    For two models the distance is the root mean square, over frequencies, of the difference of
    their log spectra; the figure is its mean over all pairs. It is in the unit of the input (dB in,
    dB out), has the same meaning for 20 models as for 5 000, falls when models repeat each other,
    and estimates no covariance, so that few models suffice. It measures spread, not the number of
    clusters: two tight groups far apart also score high.

    Args:
        spectra: (M, F) log power spectra, one row per model, M >= 2.

    Returns:
        A number >= 0 in the unit of the input; 0 when all models have one spectrum.

    Raises:
        InvalidOptionError: fewer than two rows, or values that are not finite.
    """
    rows = finite_table("spectra", spectra, least_rows=2)
    M = len(rows)
    total = 0.0
    for m in range(M - 1):
        total += float(np.sqrt(((rows[m + 1 :] - rows[m]) ** 2).mean(axis=1)).sum())
    return total / (M * (M - 1) / 2)


def _shrunk_covariance(rows: Floats) -> Floats:
    """Covariance (F, F) with the shrinkage of Ledoit and Wolf (2004), equation 14."""
    n, F = rows.shape
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred / n
    level = np.trace(covariance) / F
    target = level * np.eye(F)
    distance = ((covariance - target) ** 2).sum() / F
    squares = centred**2
    noise = ((squares.T @ squares).sum() / n - (covariance**2).sum()) / (n * F)
    intensity = min(noise, distance) / distance if distance > 0.0 else 0.0
    return np.asarray((1.0 - intensity) * covariance + intensity * target)
