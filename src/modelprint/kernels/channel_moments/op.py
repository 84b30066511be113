"""The one entrance: maps of any models in, their moments out, by the backend of choice."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from modelprint.errors import InvalidOptionError
from modelprint.kernels.channel_moments.reference import Moments
from modelprint.kernels.channel_moments.torch_path import channel_moments_torch
from modelprint.kernels.grouping import by_group


def channel_moments(maps: Sequence[Tensor], backend: str) -> list[Moments]:
    """Mean and variance of every channel of every image.

    Args:
        maps: ``(K, C, H, W)`` float32 or bfloat16 each, one per model, of any shapes.
        backend: ``"torch"`` or ``"triton"``; see ``modelprint.kernels.which_backend``.

    Returns:
        One ``Moments`` per map, in the order of ``maps``. A map's moments do not depend on the maps
        beside it.

    Raises:
        InvalidOptionError: An unknown backend.
    """
    if backend == "torch":
        return [channel_moments_torch(x) for x in maps]
    if backend != "triton":
        raise InvalidOptionError(f"expected backend 'torch' or 'triton', got {backend!r}")
    # Imported here: modelprint works, and is imported, without Triton.
    from modelprint.kernels.channel_moments.triton import channel_moments_triton

    return by_group(maps, lambda x: (x.shape, x.dtype, x.device), channel_moments_triton)
