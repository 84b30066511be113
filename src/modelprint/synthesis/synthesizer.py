"""Thousands of random generators from a few bytes each."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Literal, SupportsIndex

import torch
from torch import Tensor

from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError
from modelprint.kernels import which_backend
from modelprint.synthesis.batched import Runner
from modelprint.synthesis.fitting import FITS, fitted
from modelprint.synthesis.rendering import PRECISIONS, models_at_once, rendered_by
from modelprint.synthesis.space import Architecture, DesignSpace, find_space
from modelprint.synthesis.spec import ModelSpec

__all__ = ["ModelSpec", "ModelSynthesizer"]

# Spaces up to this size are gone through in turn: every architecture has equally many seeds.
_ENUMERABLE = 10_000


class ModelSynthesizer:
    """Draws random generators from a design space and renders photographs with them.

    A model's random weights depend on (space, seed, index) alone and are bit-identical everywhere.
    What is fitted, on procedural pictures that depend on the same three, is equal up to the
    rounding of the machine.

    Args:
        space: ``"paper"`` (288 architectures), ``"open"`` or a ``DesignSpace``.
        seed: Names a family of models; a whole number.
        device: Where models run; ``None`` is the CPU.
        backend: ``"triton"`` runs many models by each launch of its kernels, ``"torch"`` model by
            model; ``"auto"`` is Triton on a CUDA device where it is installed, else PyTorch.
        fit: How a model comes to reconstruct pictures. ``"ridge"``: its last layer is solved in
            closed form. ``"none"``: not at all, it is random throughout. ``"descent"``: all its
            weights are trained, which takes some hundred times as long.
        precision: In which features are computed when rendering. ``"bfloat16"`` is faster where the
            hardware has it; its images differ by a few grey levels.

    Raises:
        InvalidOptionError: An unknown space, backend, fit or precision, a backend that cannot run
            here, or a seed that is no whole number.
    """

    def __init__(
        self,
        space: str | DesignSpace = "open",
        *,
        seed: int,
        device: torch.device | str | None = None,
        backend: Literal["auto", "triton", "torch"] = "auto",
        fit: Literal["ridge", "none", "descent"] = "ridge",
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        if fit not in FITS:
            raise InvalidOptionError(f"expected fit to be one of {FITS}, got {fit!r}")
        if precision not in PRECISIONS:
            raise InvalidOptionError(
                f"expected precision to be one of {tuple(PRECISIONS)}, got {precision!r}"
            )
        self.space = find_space(space)
        if not isinstance(seed, SupportsIndex) or isinstance(seed, bool):
            raise InvalidOptionError(f"expected a whole number as seed, got {seed!r}")
        # A NumPy integer names the same family as the int of its value.
        self.seed = operator.index(seed)
        self.device = torch.device(device or "cpu")
        self.backend, _ = which_backend(backend, self.device)
        self.fit, self.precision = fit, precision
        self._enumerated = list(self.space) if self.space.size <= _ENUMERABLE else None

    def sample(self, n: int, *, first: int = 0) -> list[ModelSpec]:
        """The models ``first .. first + n - 1``.

        Args:
            n: How many, at least 1.
            first: Index of the first one. Model i is the same whatever n and first are.

        Raises:
            InvalidOptionError: ``n`` below 1, ``first`` below 0, or one that is no whole number.
        """
        whole = isinstance(n, SupportsIndex) and isinstance(first, SupportsIndex)
        if not whole or n < 1 or first < 0:
            raise InvalidOptionError(
                f"expected whole numbers n >= 1 and first >= 0, got n={n!r}, first={first!r}"
            )
        return [
            ModelSpec(self.space.name, self.seed, index, self._architecture(index))
            for index in range(first, first + n)
        ]

    def _architecture(self, index: int) -> Architecture:
        if self._enumerated is not None:
            return self._enumerated[index % len(self._enumerated)]
        return self.space.draw(Draws(self.space.name, self.seed, index, "architecture"))

    def generate(self, models: Sequence[ModelSpec], photos: Tensor) -> Tensor:
        """Every model renders every photograph.

        Args:
            models: M specs from ``sample``.
            photos: ``(K, 3, H, W)`` uint8, or float in [0, 1]; sides of 32 pixels or more.

        Returns:
            ``(M, K, 3, H, W)`` uint8 on the CPU: generated images are 8-bit files.

        Raises:
            InvalidOptionError: No models, or photographs of another shape, type or size.
        """
        if not models:
            raise InvalidOptionError("expected at least one model, got M = 0; call sample(n) first")
        photos = _checked(photos).to(self.device)
        images = torch.empty(len(models), *photos.shape, dtype=torch.uint8)
        with Runner(self.backend, self.device, models_at_once(self.device, photos)) as runner:
            # No more models have weights at a time than run in step or wait for a thread.
            for first in range(0, len(models), runner.at_once):
                some = models[first : first + runner.at_once]
                parameters = fitted(some, self.fit, runner)
                rendered = rendered_by(some, parameters, photos, runner, self.precision)
                torch.stack(rendered, out=images[first : first + len(some)])
        return images


def _checked(photos: Tensor) -> Tensor:
    if not isinstance(photos, Tensor):
        raise InvalidOptionError(
            f"expected photographs as a tensor (K, 3, H, W), got {type(photos).__name__}; "
            "convert them with torch.from_numpy"
        )
    if photos.ndim != 4 or photos.shape[1] != 3 or len(photos) < 1 or min(photos.shape[2:]) < 32:
        raise InvalidOptionError(
            "expected photographs of shape (K, 3, H, W) with K >= 1 and sides of 32 pixels or "
            f"more, got {tuple(photos.shape)}"
        )
    if photos.dtype == torch.uint8:
        return photos.float() / 255
    if not photos.is_floating_point():
        raise InvalidOptionError(f"expected uint8 or float photographs, got {photos.dtype}")
    if not (photos.isfinite().all() and photos.min() >= 0 and photos.max() <= 1):
        raise InvalidOptionError("expected float photographs in [0, 1]; divide 0..255 by 255")
    return photos.float()
