"""What a gallery needs from the thing that turns images into fingerprints.

`Embedder` is the whole contract. An embedder may also have a scorer of its own, either
`comparison`, a `Comparison`, which a gallery can adapt to what is enrolled, or `compare(a, b)`,
which is taken as it is; and `calibration`, the impostor scores that turn a score into a p-value.
Without a scorer, fingerprints are compared by cosine; without `calibration`, scores can be ranked
but nothing can be decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from modelprint.calibration import Calibration
from modelprint.errors import InvalidOptionError
from modelprint.features.degradations import degraded_copy
from modelprint.images import LoadedImage
from modelprint.scoring.comparison import Comparison

Scorer: TypeAlias = Callable[[Tensor, Tensor], Tensor]

SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class Embedder(Protocol):
    """Turns images into fingerprints: `FingerprintExtractor`, or one of your own."""

    @property
    def dim(self) -> int:
        """Length D of a fingerprint."""

    @property
    def digest(self) -> str:
        """Sha256 in hex of all that decides a fingerprint: weights and preprocessing."""

    def embed(
        self,
        images: Iterable[LoadedImage],
        *,
        batch_size: int = 32,
        progress: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Fingerprints `(N, D)`: float32, on the CPU, finite, rows of unit length."""


def check_embedder(embedder: Embedder) -> None:
    """Refuse an object that is not an embedder before any work is done with it.

    Raises:
        InvalidOptionError: `embed`, a positive `dim` or a sha256 `digest` is missing.
    """
    dim, digest = getattr(embedder, "dim", None), getattr(embedder, "digest", None)
    if not callable(getattr(embedder, "embed", None)):
        problem = f"{type(embedder).__name__} has no method embed"
    elif type(dim) is not int or dim < 1:
        problem = f"its dim is {dim!r}, expected a positive int"
    elif not isinstance(digest, str) or not SHA256_HEX.fullmatch(digest):
        problem = f"its digest is {digest!r}, expected 64 lower-case hex digits (a sha256)"
    else:
        return
    raise InvalidOptionError(
        f"expected an embedder with embed, dim and digest, such as "
        f"FingerprintExtractor.from_pretrained(); {problem}"
    )


def fingerprints_of(embedder: Embedder, images: Sequence[LoadedImage]) -> Tensor:
    """Embed images and check what came back, for the embedder may be somebody else's.

    Returns:
        `(N, D)` float32 on the CPU, finite, rows of unit length.

    Raises:
        InvalidOptionError: the embedder broke its contract.
    """
    if not images:
        return torch.empty(0, embedder.dim)
    rows = embedder.embed(images)
    if rows.shape != (len(images), embedder.dim):
        raise InvalidOptionError(
            f"the embedder gave fingerprints of shape {tuple(rows.shape)}, "
            f"expected {(len(images), embedder.dim)}: one row of its dim per image"
        )
    rows = rows.detach().to("cpu", torch.float32)
    if not are_unit_rows(rows):
        raise InvalidOptionError(
            "the embedder gave fingerprints that are not of unit length, or not finite; "
            "normalise them in its embed"
        )
    return rows


def degraded_of(embedder: Embedder, images: Sequence[LoadedImage], fingerprints: Tensor) -> Tensor:
    """Fingerprints `(N, D)` of a degraded copy of each image, which depends on the image alone.

    Args:
        embedder: Makes them.
        images: N of them.
        fingerprints: `(N, D)` of the images, which stand for the copies where a `compare` of the
            embedder's own would not make use of these.

    Raises:
        InvalidOptionError: As `fingerprints_of`.
    """
    if _comparison(embedder) is None:
        return fingerprints
    return fingerprints_of(embedder, [degraded_copy(image) for image in images])


def scorer_of(embedder: Embedder) -> Scorer:
    """What scores `(N, D)` fingerprints against `(M, D)` as `(N, M)`: larger is more alike.

    The unit is the embedder's: standard deviations above impostors for `FingerprintExtractor`,
    cosine in [-1, 1] for an embedder without a scorer of its own.

    """
    return _comparison(embedder) or embedder.compare  # type: ignore[attr-defined]


def adapted_scorer(
    embedder: Embedder, fingerprints: Tensor, labels: Sequence[str], degraded: Tensor
) -> Scorer:
    """The same, adapted to what is enrolled; a `compare` of the embedder's own is taken as it is.

    The arguments after the first are those of `Comparison.adapted`.
    """
    comparison = _comparison(embedder)
    if comparison is None:
        return scorer_of(embedder)
    return comparison.adapted(fingerprints, labels, degraded)


def _comparison(embedder: Embedder) -> Comparison | None:
    """What can be adapted; None if there is nothing but a `compare` of the embedder's own."""
    comparison: Comparison | None = getattr(embedder, "comparison", None)
    if comparison is None and getattr(embedder, "compare", None) is None:
        return Comparison(torch.empty(0, embedder.dim))
    return comparison


def calibration_of(embedder: Embedder) -> Calibration | None:
    """The embedder's impostor scores, or None: then no decision can be honest."""
    calibration: Calibration | None = getattr(embedder, "calibration", None)
    return calibration


def are_unit_rows(rows: Tensor) -> bool:
    """Whether every row of `(N, D)` is finite and of unit length, within float16 rounding."""
    # A NaN or an infinity makes its row's norm fail the comparison, so it needs no test of its own.
    return bool(((rows.norm(dim=1) - 1).abs() < 1e-3).all())
