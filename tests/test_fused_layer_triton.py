"""The fused layer as a Triton kernel; without a GPU, by Triton's interpreter."""

import dataclasses

import pytest
import torch
from kernel_layers import DEVICE, assert_exact_enough, make_layer, poisoned  # noqa: F401

pytest.importorskip("triton", reason="Triton is not installed (there is none for this platform)")

from modelprint.kernels.backend import interpreted
from modelprint.kernels.fused_layer import PADDINGS, POINTWISE, bucket, run_layers
from modelprint.kernels.fused_layer.activations import CODES

pytestmark = pytest.mark.usefixtures("poisoned")


def layer_of(**arguments):
    return make_layer(device=DEVICE, **arguments)


def check(*layers, factor=2):
    answers = run_layers(layers, "triton")
    for layer, answer in zip(layers, answers, strict=True):
        assert_exact_enough(answer, layer, factor)
    return answers


def test_every_activation_and_norm_in_one_launch():
    layers = [
        layer_of(height=2, width=4, kernel=1, activation=name, norm=1) for name in sorted(POINTWISE)
    ]
    layers.append(layer_of(height=2, width=4, kernel=1))
    assert len({bucket(layer) for layer in layers}) == 1
    check(*layers)
    assert set(CODES) == set(POINTWISE)


@pytest.mark.parametrize(
    ("upsampler", "kernel", "paddings"),
    [
        ("none", 3, PADDINGS),
        ("none", 5, ["reflect"]),
        ("nearest", 3, ["zeros", "reflect", "circular"]),
        ("nearest", 5, ["circular"]),
        ("nearest", 5, ["reflect"]),
        ("nearest", 7, ["circular"]),
    ],
)
def test_every_padding_and_size_of_kernel(upsampler, kernel, paddings):
    size = {"height": 4, "width": 5} if upsampler == "none" else {"height": 2, "width": 3}
    common = {"kernel": kernel, "upsampler": upsampler, "activation": "sigmoid", **size}
    check(*(layer_of(padding=padding, **common) for padding in paddings))


def test_bilinear_with_the_activation_before_or_after_it():
    common = {"height": 3, "width": 4, "upsampler": "bilinear", "norm": 1, "channels": 3}
    choices = [("circular", True), ("zeros", False), ("reflect", True), ("replicate", False)]
    check(
        *(
            layer_of(padding=padding, activate_first=first, activation="relu", **common)
            for padding, first in choices
        )
    )


@pytest.mark.parametrize(
    "shape",
    [
        {"height": 1, "width": 1, "kernel": 3, "padding": "reflect"},
        {"height": 1, "width": 1, "kernel": 5, "padding": "circular", "upsampler": "nearest"},
        {"height": 9, "width": 17, "kernel": 1, "channels": 33, "wanted": 3},
        {"height": 2, "width": 1, "kernel": 1, "channels": 3, "wanted": 130},
        {"height": 33, "width": 1, "kernel": 1, "channels": 3, "upsampler": "nearest"},
    ],
    ids=str,
)
def test_sizes_that_no_tile_divides(shape):
    check(layer_of(norm=1, **shape))


@pytest.mark.parametrize("upsampler", ["none", "nearest", "bilinear"])
def test_bfloat16(upsampler):
    layer = layer_of(
        height=3, width=3, norm=1, upsampler=upsampler, activation="tanh", dtype=torch.bfloat16
    )
    # The interpreter cuts off the digits that a GPU rounds: twice the error.
    check(layer, factor=4 if interpreted() else 2)


def test_a_model_alone_is_bit_for_bit_what_it_is_among_others():
    common = {"height": 3, "width": 4, "images": 2}
    layers = [
        layer_of(activation=name, padding=padding, norm=norm, **common)
        for name, padding, norm in (("gelu", "zeros", 2), ("sine", "circular", 1))
    ]
    together = check(*layers, layer_of(kernel=1, height=1))
    for layer, answer in zip(layers, together, strict=False):
        assert torch.equal(run_layers([layer], "triton")[0], answer)


def test_maps_and_weights_are_read_where_they_lie():
    """Channels-last, a slice of a larger map, and weights of either memory format."""
    layer = layer_of(channels=8, height=3, width=4, norm=1, activation="relu")
    plain = check(layer)[0]
    last = torch.channels_last
    wide = torch.full((1, 11, 6, 9), float("nan"), device=DEVICE)
    wide[:, 2:10, ::2, 1::2] = layer.x
    for x, weight in (
        (layer.x.contiguous(memory_format=last), layer.weight.contiguous(memory_format=last)),
        (wide[:, 2:10, ::2, 1::2], layer.weight),
    ):
        moved = dataclasses.replace(layer, x=x, weight=weight)
        torch.testing.assert_close(run_layers([moved], "triton")[0], plain, atol=1e-6, rtol=0)


def test_a_nan_stays_a_nan_where_it_belongs():
    layer = layer_of(height=5, width=5, activation="relu")
    layer.x[0, 2, 0, 0] = float("nan")
    answer = run_layers([layer], "triton")[0]
    assert answer[..., :2, :2].isnan().all()
    assert answer[..., 2:, :].isfinite().all()
