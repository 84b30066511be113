"""Operations that do the heavy work of synthesis, one per folder: a reference and fast ways."""

from modelprint.kernels.backend import BACKENDS, which_backend

__all__ = ["BACKENDS", "which_backend"]
