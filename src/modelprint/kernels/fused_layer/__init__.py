"""Normalise, activate, enlarge and convolve in one operation, for many models at once."""

from modelprint.kernels.fused_layer.op import bucket, run_layers, supported
from modelprint.kernels.fused_layer.reference import (
    PADDINGS,
    POINTWISE,
    UPSAMPLERS,
    FusedLayer,
    fused_layer_reference,
    pad,
)
from modelprint.kernels.fused_layer.torch_path import fast_pointwise, scaled

__all__ = [
    "PADDINGS",
    "POINTWISE",
    "UPSAMPLERS",
    "FusedLayer",
    "bucket",
    "fast_pointwise",
    "fused_layer_reference",
    "pad",
    "run_layers",
    "scaled",
    "supported",
]
