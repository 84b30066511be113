"""Which of the two ways of computing runs: plain PyTorch or Triton kernels."""

from __future__ import annotations

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib.util import find_spec

import torch

from modelprint.errors import InvalidOptionError

BACKENDS = ("auto", "triton", "torch")


def which_backend(backend: str, device: torch.device | str) -> tuple[str, str]:
    """What ``backend`` means on ``device``.

    Args:
        backend: ``"auto"``, ``"triton"`` or ``"torch"``. ``"auto"`` is Triton where the device is a
            CUDA one and Triton works, otherwise PyTorch.
        device: Where the tensors live.

    Returns:
        ``("torch" or "triton", why)``; the reason is a sentence for human eyes.

    Raises:
        InvalidOptionError: An unknown backend, or ``"triton"`` where it cannot run; the message
            says why it cannot.
    """
    if backend not in BACKENDS:
        raise InvalidOptionError(f"expected backend to be one of {BACKENDS}, got {backend!r}")
    if backend == "torch":
        return "torch", "asked for"
    obstacle = _obstacle(torch.device(device))
    if backend == "triton":
        if obstacle:
            raise InvalidOptionError(
                f"expected a backend that runs here, got 'triton', but {obstacle}; "
                "use backend 'auto' or 'torch'"
            )
        return "triton", "asked for"
    if obstacle:
        return "torch", obstacle
    if torch.device(device).type != "cuda":
        # Triton's interpreter is there to test kernels; nobody wants it unasked.
        return "torch", f"the device is {torch.device(device).type!r}, not 'cuda'"
    return "triton", "the device is 'cuda' and Triton is installed"


def _obstacle(device: torch.device) -> str:
    """Why Triton cannot run on ``device``; empty if it can."""
    if device.type != "cuda" and not (device.type == "cpu" and interpreted()):
        return f"the device is {device.type!r}, not 'cuda'"
    return _import_obstacle()


def interpreted() -> bool:
    """Whether Triton kernels are run by its interpreter, which needs no GPU (and is slow)."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


@lru_cache(maxsize=1)
def _import_obstacle() -> str:
    if find_spec("triton") is None:
        return "Triton is not installed"
    try:
        importlib.import_module("triton")
    except Exception as error:  # whatever a broken installation raises, the torch backend works
        return f"Triton cannot be imported ({type(error).__name__}: {error})"
    return ""


def on_device(device: torch.device) -> AbstractContextManager[object]:
    """A context in which Triton launches on ``device``."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
