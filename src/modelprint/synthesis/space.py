"""Design spaces: which architectures a synthetic model may have.

A space is a set of axes. Axes of a *stage* (one doubling of the resolution) are chosen per stage,
or once for all stages where the space is ``shared``; axes of the *whole* are chosen once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError


@dataclass(frozen=True)
class Stage:
    """One decoder stage: upsample by two, then ``layers`` convolutions."""

    layers: int = 1
    upsampler: str = "nearest"
    activation: str = "relu"
    norm: str = "batch"
    order: str = "conv-norm-act"
    channels: int = 32
    kernel: int = 3
    padding: str = "zeros"
    residual: str = "none"
    noise: float = 0.0


@dataclass(frozen=True)
class Whole:
    """What is chosen once for a model."""

    encoder: str = "average"
    skip: bool = False
    bottleneck: str = "none"
    trunk: int = 0
    output: str = "linear"
    output_kernel: int = 3
    finish: str = "none"


@dataclass(frozen=True)
class Architecture:
    """What a synthetic model is made of; stages run from the deepest to full resolution."""

    stages: tuple[Stage, ...]
    whole: Whole = Whole()

    @property
    def name(self) -> str:
        """A readable, stable name, unique within all spaces: one word an axis, deepest first."""
        stages = ["-".join(str(value) for value in asdict(stage).values()) for stage in self.stages]
        return "/".join(["-".join(str(value) for value in asdict(self.whole).values()), *stages])


def _check_axes(kind: str, axes: Mapping[str, Sequence[Any]], owner: type) -> None:
    known = [field.name for field in fields(owner)]
    for axis, options in axes.items():
        if axis not in known:
            raise InvalidOptionError(f"expected {kind} axes among {known}, got {axis!r}")
        if not options:
            raise InvalidOptionError(f"expected at least one option for {kind} axis {axis!r}")


@dataclass(frozen=True)
class DesignSpace:
    """A set of architectures to draw from.

    Args:
        name: Part of every model's key: two spaces of one name must be equal.
        depths: Numbers of stages; a model of depth d works down to 1 / 2**d of the resolution.
        stage: Options per field of ``Stage``; an option that stands twice is twice as likely.
        whole: Options per field of ``Whole``.
        shared: Whether all stages of a model share one choice.

    Raises:
        InvalidOptionError: An unknown axis or an axis without options.
    """

    name: str
    depths: Sequence[int]
    stage: Mapping[str, Sequence[Any]]
    whole: Mapping[str, Sequence[Any]]
    shared: bool = False

    def __post_init__(self) -> None:
        _check_axes("stage", self.stage, Stage)
        _check_axes("whole", self.whole, Whole)
        if not self.depths or min(self.depths) < 1 or max(self.depths) > 5:
            raise InvalidOptionError(f"expected depths between 1 and 5, got {list(self.depths)}")

    @property
    def size(self) -> int:
        """How many different architectures there are."""
        per_stage = math.prod(len(set(options)) for options in self.stage.values())
        once = math.prod(len(set(options)) for options in self.whole.values())
        chains = [math.prod([per_stage] * (1 if self.shared else d)) for d in set(self.depths)]
        return once * sum(chains)

    def __iter__(self) -> Iterator[Architecture]:
        """Every architecture, in a fixed order; meant for small spaces."""
        stages = [Stage(**choice) for choice in _product(self.stage)]
        for depth in sorted(set(self.depths)):
            for whole in _product(self.whole):
                if self.shared:
                    chains: Iterator[tuple[Stage, ...]] = ((stage,) * depth for stage in stages)
                else:
                    chains = itertools.product(stages, repeat=depth)
                for chain in chains:
                    yield Architecture(chain, Whole(**whole))

    def draw(self, draws: Draws) -> Architecture:
        """A random architecture: every axis is drawn on its own, uniformly over its options."""
        depth = draws.choice(self.depths)
        whole = Whole(**{axis: draws.choice(options) for axis, options in self.whole.items()})
        chosen = [
            Stage(**{axis: draws.choice(options) for axis, options in self.stage.items()})
            for _ in range(1 if self.shared else depth)
        ]
        return Architecture(tuple(chosen * depth if self.shared else chosen), whole)


def _product(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    unique = [list(dict.fromkeys(options)) for options in axes.values()]
    for values in itertools.product(*unique):
        yield dict(zip(axes, values, strict=True))


PAPER = DesignSpace(
    # {K, L, U, A, N, S} of Yang et al. 2025 (arXiv 2307.15977), section III: 288 architectures.
    name="paper",
    depths=(1, 2),
    stage={
        "layers": (1, 2),
        "upsampler": ("nearest", "bilinear", "transposed2"),
        "activation": ("none", "relu", "sigmoid", "tanh"),
        "norm": ("none", "batch", "instance"),
        "order": ("conv-norm-act", "norm-act-conv"),
    },
    whole={},
    shared=True,
)

OPEN = DesignSpace(
    name="open",
    depths=(1, 1, 1, 2, 2, 2, 3, 4),
    stage={
        "layers": (1, 1, 2),
        "upsampler": (
            *("nearest", "nearest", "bilinear", "bicubic", "fir", "pixel_shuffle", "pixel_shuffle"),
            *("transposed2", "transposed3", "transposed4", "transposed4", "transposed5"),
            "transposed6",
        ),
        "activation": (
            *("none", "relu", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "silu"),
            *("mish", "hardswish", "softplus", "sigmoid", "tanh", "sine"),
        ),
        "norm": ("none", "none", "batch", "instance", "group", "pixel"),
        "order": ("conv-norm-act", "norm-act-conv"),
        "channels": (12, 16, 24, 32),
        "kernel": (1, 3, 3, 3, 5, 7),
        "padding": ("zeros", "zeros", "reflect", "replicate", "circular"),
        "residual": ("none", "none", "add", "dense"),
        "noise": (0.0, 0.0, 0.0, 0.0, 0.05, 0.2),
    },
    whole={
        "encoder": ("average", "strided", "space_to_depth"),
        "skip": (False, True, True),
        "bottleneck": ("none", "none", "none", "none", "quantize", "noise"),
        "trunk": (0, 0, 1, 3),
        "output": ("linear", "linear", "tanh", "sigmoid", "sine"),
        "output_kernel": (1, 3, 3, 5, 7),
        "finish": ("none", "none", "sharpen", "filter"),
    },
)

SPACES: dict[str, DesignSpace] = {space.name: space for space in (PAPER, OPEN)}


def find_space(space: str | DesignSpace) -> DesignSpace:
    """The space of that name, or the given one.

    Raises:
        InvalidOptionError: No such space; the message lists the known ones.
    """
    if isinstance(space, DesignSpace):
        return space
    if space not in SPACES:
        raise InvalidOptionError(
            f"expected a DesignSpace or one of {sorted(SPACES)} as space, got {space!r}"
        )
    return SPACES[space]
