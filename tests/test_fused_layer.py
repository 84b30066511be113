"""The fused layer by PyTorch, and what both backends share."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from kernel_layers import assert_exact_enough, exact, make_layer, poisoned  # noqa: F401

from modelprint.errors import InvalidOptionError
from modelprint.kernels.fused_layer import (
    PADDINGS,
    POINTWISE,
    UPSAMPLERS,
    bucket,
    fast_pointwise,
    fused_layer_reference,
    pad,
    run_layers,
    supported,
)
from modelprint.kernels.fused_layer.plan import plan


def by_torch(layer):
    return run_layers([layer], "torch")[0]


def test_the_reference_is_the_sum_over_taps_of_what_the_padded_map_holds():
    """By loops, for nearest upsampling and zero padding; the rest is PyTorch's own."""
    layer = make_layer(channels=2, wanted=3, norm=1, activation="relu", upsampler="nearest")
    x, weight = layer.x[0].double().numpy(), layer.weight.double().numpy()
    x = x * layer.scale[0, :, None, None].numpy() + layer.shift[0, :, None, None].numpy()
    padded = np.zeros((2, 12, 16))
    padded[:, 1:-1, 1:-1] = np.maximum(x, 0).repeat(2, axis=1).repeat(2, axis=2)
    answer = fused_layer_reference(layer)[0].double().numpy()
    for channel, row, column in np.ndindex(3, 10, 14):
        window = padded[:, row : row + 3, column : column + 3]
        expected = (window * weight[channel]).sum() + layer.bias[channel].item()
        assert answer[channel, row, column] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("upsampler", UPSAMPLERS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.usefixtures("poisoned")
def test_torch_computes_what_the_reference_does(kernel, upsampler, padding):
    choices = {"upsampler": upsampler, "padding": padding, "kernel": kernel}
    for activate_first in (True, False):
        for size in ((5, 7), (1, 1), (2, 5), (3, 2), (8, 8)):
            plain = dict(zip(("height", "width"), size, strict=True), **choices)
            layer = make_layer(**plain, norm=1, activation="tanh", activate_first=activate_first)
            assert_exact_enough(by_torch(layer), layer)
    layer = make_layer(images=3, norm=3, activation="silu", dtype=torch.bfloat16, **choices)
    assert_exact_enough(by_torch(layer), layer)


@pytest.mark.parametrize("activation", sorted(POINTWISE))
def test_every_activation_is_exact_over_its_whole_range(activation):
    x = torch.cat([torch.linspace(-40, 40, 4001), torch.tensor([-1e4, -1e-4, 0.0, 1e-4, 1e4])])
    wanted = POINTWISE[activation](x.double())
    # A norm that changes nothing and a 1x1 kernel of one show the activation of a layer.
    one = torch.ones(1, 1)
    layer = make_layer(channels=1, wanted=1, kernel=1, activation=activation)
    layer = dataclasses.replace(layer, x=x.view(1, 1, 1, -1), scale=one, shift=0 * one)
    layer = dataclasses.replace(layer, weight=one.view(1, 1, 1, 1), bias=torch.zeros(1))
    for y in (fast_pointwise(x, activation), by_torch(layer).flatten()):
        assert ((y.double() - wanted).abs() <= 1e-6 * wanted.abs().clamp(min=1)).all()
    assert fast_pointwise(torch.tensor([float("nan")]), activation).isnan()


def test_inputs_are_left_as_they_are():
    for upsampler in UPSAMPLERS:
        layer = make_layer(norm=1, activation="mish", upsampler=upsampler, padding="circular")
        before = {k: v.clone() for k, v in vars(layer).items() if isinstance(v, torch.Tensor)}
        by_torch(layer)
        assert all(torch.equal(getattr(layer, name), value) for name, value in before.items())


def test_answers_come_in_the_order_of_the_layers():
    layers = [
        make_layer(wanted=wanted, kernel=kernel) for wanted, kernel in ((2, 3), (4, 1), (3, 5))
    ]
    for layer, answer in zip(layers, run_layers(layers, "torch"), strict=True):
        torch.testing.assert_close(answer.double(), exact(layer), atol=1e-5, rtol=0)
    assert run_layers([], "torch") == []


def test_a_map_of_any_memory_format_gives_the_same():
    layer = make_layer(images=2, channels=8, norm=2, activation="elu", upsampler="nearest")
    wide = torch.zeros(2, 8, 10, 14)
    wide[..., ::2, ::2] = layer.x
    for x in (layer.x.contiguous(memory_format=torch.channels_last), wide[..., ::2, ::2]):
        answer = by_torch(dataclasses.replace(layer, x=x))
        torch.testing.assert_close(answer, by_torch(layer))


@pytest.mark.parametrize(("mode", "size"), [("reflect", 3), ("circular", 3), ("replicate", 1)])
def test_a_map_too_small_to_reflect_or_wrap_is_replicated(mode, size):
    x = make_layer(height=size, width=9).x
    expected = torch.nn.functional.pad(x, [3] * 4, mode="replicate")
    assert torch.equal(pad(x, 3, mode), expected)
    assert not torch.equal(pad(x, 1, mode), pad(x, 1, "zeros"))
    assert pad(x, 0, mode) is x


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "square"},
        {"upsampler": "bicubic"},
        {"padding": "symmetric"},
        {"kernel": 9},
        {"kernel": 2},
        {"dtype": torch.float64},
    ],
)
def test_what_the_kernels_do_not_know_is_not_supported(change):
    assert supported(make_layer())
    assert not supported(make_layer(**change))


def test_a_bucket_is_told_by_shapes_and_formats_alone():
    same = [
        make_layer(activation="tanh", padding="circular", norm=1),
        make_layer(activation="relu", padding="reflect"),
    ]
    assert len({bucket(layer) for layer in same}) == 1
    doubled = make_layer(upsampler="bilinear"), make_layer(upsampler="nearest")
    other = make_layer(images=2), make_layer(width=8), make_layer(kernel=5), make_layer(wanted=7)
    shorter = make_layer(dtype=torch.bfloat16)
    assert len({bucket(layer) for layer in (same[0], *doubled, *other, shorter)}) == 8


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tiles_are_large_enough_for_a_matrix_product_and_fit_into_shared_memory(upsampler, dtype):
    for channels, size, wanted in itertools.product((3, 24, 33, 96), (1, 3, 40), (3, 32, 96, 384)):
        layer = make_layer(1, channels, size, size, wanted, 3, upsampler=upsampler, dtype=dtype)
        sizes = plan(layer)
        pixels = sizes.block_h * sizes.block_w
        assert min(pixels, sizes.block_in, sizes.block_out) >= 16
        assert sizes.block_out >= min(wanted, 128)
        taps = 4 if upsampler == "nearest" else 1
        step = sizes.block_in * (pixels + taps * sizes.block_out) * dtype.itemsize
        assert (sizes.stages - 1) * step <= 96 * 1024
        assert plan(dataclasses.replace(layer, x=layer.x.repeat(5, 1, 1, 1))) == sizes


def test_an_unknown_backend_is_a_clear_error():
    with pytest.raises(InvalidOptionError, match="'torch' or 'triton', got 'cuda'"):
        run_layers([make_layer()], "cuda")
