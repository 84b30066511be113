"""The one entrance: layers of any models in, their outputs out, by the backend of choice."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from modelprint.errors import InvalidOptionError
from modelprint.kernels.fused_layer.plan import channels_last, mode
from modelprint.kernels.fused_layer.reference import PADDINGS, POINTWISE, UPSAMPLERS, FusedLayer
from modelprint.kernels.fused_layer.torch_path import fused_layer_torch
from modelprint.kernels.grouping import by_group

_DTYPES = (torch.float32, torch.bfloat16)
_WIDEST = 7


def run_layers(layers: Sequence[FusedLayer], backend: str) -> list[Tensor]:
    """Compute every layer.

    Args:
        layers: Of any shapes, dtypes and architectures; ``supported`` must hold for each.
        backend: ``"torch"`` or ``"triton"``; see ``modelprint.kernels.which_backend``.

    Returns:
        One ``(K, C', s H, s W)`` tensor per layer, in the order of ``layers``, in the dtype of its
        ``x``. A layer's output does not depend on the layers beside it.

    Raises:
        InvalidOptionError: An unknown backend.
    """
    if backend == "torch":
        return [fused_layer_torch(layer) for layer in layers]
    if backend != "triton":
        raise InvalidOptionError(f"expected backend 'torch' or 'triton', got {backend!r}")
    # Imported here: modelprint works, and is imported, without Triton.
    from modelprint.kernels.fused_layer.triton import fused_layers_triton

    return by_group(layers, bucket, fused_layers_triton)


def supported(layer: FusedLayer) -> bool:
    """Whether ``run_layers`` can compute this layer; others are for plain PyTorch."""
    kernel = layer.weight.shape[-1]
    return (
        layer.x.dtype in _DTYPES
        and layer.weight.dtype == layer.x.dtype
        and layer.activation in POINTWISE
        and layer.upsampler in UPSAMPLERS
        and layer.padding in PADDINGS
        and kernel % 2 == 1
        and kernel <= _WIDEST
    )


def bucket(layer: FusedLayer) -> Hashable:
    """Layers of one bucket are run by one launch.

    Shapes, dtype, memory format and whether the map is doubled (and if so, whether by way of
    phases, see ``plan.mode``) are equal within a bucket. Activation, normalisation, order, padding
    and the kind of upsampling are read per model inside the kernel.
    """
    x, weight = layer.x, layer.weight
    shapes = tuple(x.shape), tuple(weight.shape)
    return (*shapes, mode(layer), x.dtype, x.device, channels_last(x), channels_last(weight))
