"""Which synthetic models stand in which line of the fidelity table.

The Fréchet distance depends on how many rows it is computed from, so every set has the same number
N of models, and a line that has several sets shows the mean of their figures. "Without" an axis has
one set for each option of the axis, at which it is fixed: no single option decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError
from modelprint.synthesis.space import Architecture, DesignSpace
from modelprint.synthesis.synthesizer import ModelSpec, ModelSynthesizer

# The axes of Yang et al. 2025, section III, and what they are in an architecture whose stages are
# all alike.
AXES: dict[str, tuple[str, Callable[[Architecture], object]]] = {
    "K": ("blocks", lambda a: len(a.stages)),
    "L": ("layers", lambda a: a.stages[0].layers),
    "U": ("upsampling", lambda a: a.stages[0].upsampler),
    "A": ("activation", lambda a: a.stages[0].activation),
    "N": ("normalisation", lambda a: a.stages[0].norm),
    "S": ("order", lambda a: a.stages[0].order),
}
WHOLE = "paper"
WITHOUT_SEEDS = "without seeds"
# So that each of the four activations has N models among those that are rendered anyway.
SETS = 4


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        name: Such as "without U (upsampling)".
        sets: N models each, by what they have in common: "nearest", or "set 1".
    """

    name: str
    sets: dict[str, tuple[ModelSpec, ...]]


def lines(paper: DesignSpace, others: Sequence[DesignSpace], n: int, *, seed: int) -> list[Line]:
    """The whole of ``paper``, ``paper`` without each of its axes and without seeds, other spaces.

    Args:
        paper: A space whose stages are shared, small enough to be gone through.
        others: Spaces that are drawn from as they are.
        n: Models in each set.
        seed: Of the synthesizers.

    Raises:
        InvalidOptionError: ``n`` below 2, or an axis with more than four options.
    """
    if n < 2:
        raise InvalidOptionError(f"expected 2 or more models in a set, got {n}")
    rounds = -(-SETS * n // paper.size)
    pool = ModelSynthesizer(paper, seed=seed).sample(rounds * paper.size)
    # They come in the order of their architectures, of which a set would see the first ones alone.
    order = Draws("fidelity", paper.name, seed).permutation(len(pool))
    pool = [pool[i] for i in order.tolist()]
    whole = _split(pool, n)
    table = [Line(WHOLE, whole)]
    for letter, (name, choice) in AXES.items():
        options = sorted({choice(model.architecture) for model in pool}, key=str)
        if len(options) > 1:
            fixed = {
                str(option): tuple(m for m in pool if choice(m.architecture) == option)[:n]
                for option in options
            }
            if min(map(len, fixed.values())) < n:
                raise InvalidOptionError(
                    f"expected at most {SETS} equally frequent options of {name}, got {options}"
                )
            table.append(Line(f"without {letter} ({name})", fixed))
    # Within a set all weights come from one stream; architectures alone make models differ.
    one_seed = {
        label: tuple(replace(model, index=stream) for model in models)
        for stream, (label, models) in enumerate(whole.items())
    }
    table.append(Line(WITHOUT_SEEDS, one_seed))
    for space in others:
        models = ModelSynthesizer(space, seed=seed).sample(SETS * n)
        table.append(Line(space.name, _split(models, n)))
    return table


def _split(models: Sequence[ModelSpec], n: int) -> dict[str, tuple[ModelSpec, ...]]:
    return {f"set {i + 1}": tuple(models[i * n : (i + 1) * n]) for i in range(SETS)}
