"""What a synthetic model is before it runs: a name and an architecture, a few bytes."""

from __future__ import annotations

from dataclasses import dataclass

from modelprint.synthesis.space import Architecture


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

    @property
    def key(self) -> tuple[str, int, int]:
        """What the model's random numbers are drawn from."""
        return self.space, self.seed, self.index
