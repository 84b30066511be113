"""The numbers of one synthetic model: drawn from their names, or measured once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from modelprint.draws import Draws


class Parameters:
    """What a model's layers compute with.

    ``drawn`` values depend on (key, name) alone. ``measured`` values, such as the frozen statistics
    of a batch norm or a solved last layer, are fixed by the first pass, which the synthesizer makes
    on pictures that depend on the key alone as well.

    Args:
        *key: Names the model, for example ``("open", 0, 17)``.
        device: Where the tensors live. Values are drawn on the CPU: they are the same everywhere.
    """

    def __init__(self, *key: str | int, device: torch.device | str = "cpu") -> None:
        self._key = key
        self._device = device
        self._prefix = ""
        self._values: dict[str, Tensor] = {}
        self._drawn: set[str] = set()
        self._keeps = True

    def scope(self, name: str) -> Parameters:
        """The same parameters seen from inside a part: names get ``name.`` in front."""
        inner = Parameters.__new__(Parameters)
        inner.__dict__.update(self.__dict__, _prefix=f"{self._prefix}{name}.")
        return inner

    def to(self, device: torch.device) -> Parameters:
        """The same parameters with every value moved to ``device``."""
        moved = Parameters(*self._key, device=device)
        moved._values = {name: value.to(device) for name, value in self._values.items()}
        return moved

    def weights(self) -> dict[str, Tensor]:
        """What was drawn so far, by full name; nothing that was measured."""
        return {name: value for name, value in self._values.items() if name in self._drawn}

    def with_values(self, values: Mapping[str, Tensor], *, keeps: bool = True) -> Parameters:
        """The same model with other numbers, by full name.

        Args:
            values: All that it knows.
            keeps: Whether what is measured from now on is kept. A model in training keeps nothing:
                its statistics are those of each batch.
        """
        other = Parameters(*self._key, device=self._device)
        other._values, other._keeps = dict(values), keeps
        return other

    def drawn(
        self, name: str, *shape: int, fan_in: int | None = None, bound: float | None = None
    ) -> Tensor:
        """Weights uniform in ``[-bound, bound)``, float32, of the given shape.

        Without ``bound`` the variance is ``1.6 / fan_in``, between what keeps the variance of a
        linear and of a rectified layer; ``fan_in`` is the product of ``shape[1:]`` unless given.
        """

        def draw() -> Tensor:
            inputs = fan_in if fan_in is not None else max(1, torch.Size(shape[1:]).numel())
            limit = bound if bound is not None else (3 * 1.6 / inputs) ** 0.5
            stream = Draws(*self._key, self._prefix + name)
            return torch.from_numpy(stream.uniform(*shape, low=-limit, high=limit))

        self._drawn.add(self._prefix + name)
        return self.measured(name, draw)

    def measured(self, name: str, measure: Callable[[], Tensor]) -> Tensor:
        """The value kept under ``name``; the first call computes it."""
        known = self.known(name)
        return self.keep(name, measure()) if known is None else known

    def known(self, name: str) -> Tensor | None:
        """The value kept under ``name``, if there is one."""
        return self._values.get(self._prefix + name)

    def keep(self, name: str, value: Tensor) -> Tensor:
        """Keep ``value`` under ``name`` from now on, unless nothing is kept; returns it."""
        value = value.to(self._device)
        if self._keeps:
            self._values[self._prefix + name] = value
        return value
