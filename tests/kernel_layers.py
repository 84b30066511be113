"""Layers of random numbers for the tests of the kernels, and how exact an answer must be."""

import dataclasses
import zlib

import pytest
import torch

from modelprint.kernels.fused_layer import FusedLayer, fused_layer_reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def make_layer(
    images=1,
    channels=5,
    height=5,
    width=7,
    wanted=6,
    kernel=3,
    *,
    dtype=torch.float32,
    norm=None,
    device="cpu",
    **options,
):
    """A layer whose numbers depend on the arguments alone; ``norm`` is 1 or ``images``."""
    name = repr((images, channels, height, width, wanted, kernel, norm, options))
    draws = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def normal(*shape):
        return torch.randn(shape, generator=draws)

    x, weight = normal(images, channels, height, width), normal(wanted, channels, kernel, kernel)
    tensors = {
        "x": 1.5 * x,
        "weight": weight / (channels * kernel**2) ** 0.5,
        "bias": 0.3 * normal(wanted),
        "scale": 0.5 + normal(norm, channels).square() if norm else None,
        "shift": normal(norm, channels) if norm else None,
    }
    placed = {name: t if t is None else t.to(device, dtype) for name, t in tensors.items()}
    return FusedLayer(**placed, **options)


def exact(layer):
    """The answer in float64, of exactly the layer's numbers."""
    wide = {k: v.double() for k, v in vars(layer).items() if isinstance(v, torch.Tensor)}
    return fused_layer_reference(dataclasses.replace(layer, **wide))


def assert_exact_enough(answer, layer, factor=2):
    """At most twice the error of the same steps by PyTorch in the same dtype, plus two ulps."""
    # On the CPU, where float32 is float32.
    here = {k: v.cpu() for k, v in vars(layer).items() if isinstance(v, torch.Tensor)}
    layer, answer = dataclasses.replace(layer, **here), answer.cpu()
    expected = exact(layer)
    assert answer.shape == expected.shape
    assert answer.dtype == layer.x.dtype
    error = (answer.double() - expected).abs().max().item()
    usual = (fused_layer_reference(layer).double() - expected).abs().max().item()
    ulp = torch.finfo(layer.x.dtype).eps * expected.abs().max().item()
    assert error <= factor * usual + 2 * ulp, (error, usual, ulp)


@pytest.fixture
def poisoned(monkeypatch):
    """Memory that is allocated without a value holds NaN."""
    empty = torch.empty

    def poison(*args, **kwargs):
        made = empty(*args, **kwargs)
        return made.fill_(float("nan")) if made.is_floating_point() else made

    monkeypatch.setattr(torch, "empty", poison)
