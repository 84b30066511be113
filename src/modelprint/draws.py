"""Numbers from names: a counter-based random stream for every named thing.

A stream is keyed by a path such as ``("open", 0, 17, "stage1.conv0.weight")``: the key is the
SHA-256 of the path, the generator is Philox-4x64. So a weight depends on its name alone, never on
what was drawn before it, on the batch, the worker or the device, and models need no storage.

Only raw integers are taken from the generator and turned into floats by exact arithmetic, because
NumPy keeps bit streams stable across versions but not its distributions (NEP 19).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")


class Draws:
    """A random stream that is a function of its name.

    Args:
        *name: Words and whole numbers; equal paths give equal streams on every machine.
    """

    def __init__(self, *name: str | int) -> None:
        path = "\x1f".join(f"{type(part).__name__}:{part}" for part in name)
        key = int.from_bytes(hashlib.sha256(path.encode()).digest()[:16], "little")
        self._bits = np.random.Philox(key=key)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> npt.NDArray[np.float32]:
        """Float32 values in ``[low, high)`` on a grid of 2**-24, of the given shape."""
        raw = self._bits.random_raw(int(np.prod(shape, dtype=np.int64)))
        unit = (np.asarray(raw) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        return (np.float32(low) + unit * np.float32(high - low)).reshape(shape)

    def bell(self, *shape: int) -> npt.NDArray[np.float32]:
        """Sums of four uniforms around 0: close to Gaussian, deviation ``1 / sqrt(3)``."""
        total: npt.NDArray[np.float32] = self.uniform(4, *shape).sum(0) - 2
        return total

    def number(self, low: float = 0.0, high: float = 1.0) -> float:
        """One float in ``[low, high)``."""
        return low + (int(self._bits.random_raw()) >> 11) * 2.0**-53 * (high - low)

    def integer(self, stop: int) -> int:
        """A whole number in ``[0, stop)``; the modulo bias is below ``stop * 2**-64``."""
        return int(self._bits.random_raw()) % stop

    def choice(self, options: Sequence[T]) -> T:
        """One of ``options``, each equally likely; repeat an option to make it likelier."""
        return options[self.integer(len(options))]

    def permutation(self, n: int) -> npt.NDArray[np.int64]:
        """The numbers ``0 .. n-1`` in random order."""
        return np.argsort(np.asarray(self._bits.random_raw(n)), kind="stable").astype(np.int64)
