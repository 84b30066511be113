"""Weights <-> what files keep of them: large matrices with 8 bits a number, other floats with 16.

A number of a matrix is kept as a multiple, -127 to 127, of its column's scale, the largest
magnitude of the column being 127 of it. Of what a column's numbers do together, this changes about
a hundredth; files are half as long as with 16 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from modelprint.errors import InvalidWeightsError

_LARGEST = 127
_SCALE = ".scale"


def packed(tensors: Mapping[str, Tensor], matrices: Collection[str]) -> dict[str, Tensor]:
    """Weights as they are kept; unpacking and packing again changes nothing more.

    Args:
        tensors: Weights by name; integers stay as they are.
        matrices: Names of the matrices `(R, C)` to be kept with 8 bits, under their names and, the
            scales `(C,)`, under their names and ".scale".
    """
    kept = {}
    for name, value in tensors.items():
        if name in matrices:
            kept[name], kept[name + _SCALE] = _multiples(value.detach().float())
        else:
            kept[name] = value.detach().half() if value.is_floating_point() else value.detach()
    return kept


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they are used: floats with 32 bits.

    Raises:
        InvalidWeightsError: Scales are missing or do not fit their matrix.
    """
    scales = {name + _SCALE for name, value in tensors.items() if value.dtype == torch.int8}
    whole = {}
    for name, value in tensors.items():
        if name in scales:
            continue
        if value.dtype == torch.int8:
            whole[name] = value.float() * _scale(tensors, name)
        else:
            whole[name] = value.float() if value.is_floating_point() else value
    return whole


def _multiples(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Whole multiples `(R, C)` int8 of the scales `(C,)` float16 that stand beside them."""
    largest = matrix.abs().amax(0) if len(matrix) else matrix.sum(0)
    scale = (largest / _LARGEST).half()
    # Where a scale is nothing, so is its column.
    multiples = matrix / scale.float().where(scale > 0, 1.0)
    return multiples.round().clamp(-_LARGEST, _LARGEST).to(torch.int8), scale


def _scale(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    matrix, scale = tensors[name], tensors.get(name + _SCALE)
    if scale is None or matrix.ndim != 2 or scale.shape != matrix.shape[1:]:
        raise InvalidWeightsError(
            f"expected {name}, which is kept with 8 bits a number, to be a matrix with one of "
            f"{name}{_SCALE} for each column, got shapes {tuple(matrix.shape)} and "
            f"{None if scale is None else tuple(scale.shape)}; download the weights again"
        )
    return scale.float()
