"""Files that a killed run can trust."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_whole(
    tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file whose final name appears only when it is whole."""
    partial_path = path.with_suffix(".partial")
    save_file(dict(tensors), partial_path, metadata=metadata)
    partial_path.replace(path)
