"""Thousands of random generators from a few bytes each."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, SupportsIndex

import torch
from torch import Tensor

from modelprint.errors import InvalidOptionError
from modelprint.synthesis import network
from modelprint.synthesis.draws import Draws
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.pictures import crops, draw_pictures
from modelprint.synthesis.space import Architecture, DesignSpace, find_space

# Spaces up to this size are gone through in turn: every architecture has equally many seeds.
_ENUMERABLE = 10_000
_FIT_PICTURES = 6
_FIT_PX = 96


@dataclass(frozen=True)
class ModelSpec:
    """A synthetic model: everything about it follows from these four values."""

    space: str
    seed: int
    index: int
    architecture: Architecture

    @property
    def name(self) -> str:
        """A readable, stable name, such as ``open-0-17``."""
        return f"{self.space}-{self.seed}-{self.index}"


class ModelSynthesizer:
    """Draws random generators from a design space and renders photographs with them.

    A model's random weights depend on (space, seed, index) alone and are bit-identical everywhere.
    Its last layer is solved by ridge regression on procedural pictures that depend on the same
    three, and is equal up to the rounding of the machine.

    Args:
        space: ``"paper"`` (288 architectures), ``"open"`` or a ``DesignSpace``.
        seed: Names a family of models; a whole number.
        device: Where models run; ``None`` is the CPU.
        backend: ``"auto"`` or ``"torch"``, the one backend there is so far.

    Raises:
        InvalidOptionError: An unknown space or backend, or a seed that is no whole number.
    """

    def __init__(
        self,
        space: str | DesignSpace = "open",
        *,
        seed: int,
        device: torch.device | str | None = None,
        backend: Literal["auto", "torch"] = "auto",
    ) -> None:
        if backend not in ("auto", "torch"):
            raise InvalidOptionError(f"expected backend 'auto' or 'torch', got {backend!r}")
        self.space = find_space(space)
        if not isinstance(seed, SupportsIndex) or isinstance(seed, bool):
            raise InvalidOptionError(f"expected a whole number as seed, got {seed!r}")
        # A NumPy integer names the same family as the int of its value.
        self.seed = operator.index(seed)
        self.device = torch.device(device or "cpu")
        self._enumerated = list(self.space) if self.space.size <= _ENUMERABLE else None

    def sample(self, n: int, *, first: int = 0) -> list[ModelSpec]:
        """The models ``first .. first + n - 1``.

        Args:
            n: How many, at least 1.
            first: Index of the first one. Model i is the same whatever n and first are.

        Raises:
            InvalidOptionError: ``n`` below 1 or ``first`` below 0.
        """
        if n < 1 or first < 0:
            raise InvalidOptionError(f"expected n >= 1 and first >= 0, got n={n}, first={first}")
        return [
            ModelSpec(self.space.name, self.seed, index, self._architecture(index))
            for index in range(first, first + n)
        ]

    def _architecture(self, index: int) -> Architecture:
        if self._enumerated is not None:
            return self._enumerated[index % len(self._enumerated)]
        return self.space.draw(Draws(self.space.name, self.seed, index, "architecture"))

    @torch.no_grad()  # not inference_mode: a caller may write into what comes back
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
            raise InvalidOptionError("expected at least one model, got none; call sample(n) first")
        photos = _checked(photos).to(self.device)
        return torch.stack([self._render(model, photos) for model in models])

    def _render(self, model: ModelSpec, photos: Tensor) -> Tensor:
        parameters = Parameters(model.space, model.seed, model.index)
        network.fit(model.architecture, parameters, _fit_pictures(model))
        rendered = network.render(model.architecture, parameters.to(self.device), photos)
        return (rendered * 255).round().to(torch.uint8).cpu()


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


@lru_cache(maxsize=1)
def _fit_bank() -> Tensor:
    return draw_pictures(48, seed=0, size_px=2 * _FIT_PX)


def _fit_pictures(model: ModelSpec) -> Tensor:
    """The pictures on which this model's last layer is solved: ``(6, 3, 96, 96)`` float."""
    draws = Draws(model.space, model.seed, model.index, "fit pictures")
    chosen: Iterable[Tensor] = crops(_fit_bank(), draws, _FIT_PICTURES, _FIT_PX)
    return torch.stack(list(chosen)).float() / 255
