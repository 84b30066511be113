import pytest
import torch
from kernel_layers import DEVICE, make_layer, poisoned  # noqa: F401

from modelprint.errors import InvalidOptionError
from modelprint.kernels.channel_moments import (
    Moments,
    channel_moments,
    channel_moments_reference,
)

pytestmark = pytest.mark.usefixtures("poisoned")


def maps_of(dtype, *shape, offset=0.0):
    images, channels, height, width = shape
    made = make_layer(images, channels, height, width, wanted=1, kernel=1, device=DEVICE).x
    return (offset + made).to(dtype)


@pytest.fixture(params=["torch", "triton"])
def backend(request):
    if request.param == "triton":
        reason = "Triton is not installed (there is none for this platform)"
        pytest.importorskip("triton", reason=reason)
    return request.param


def assert_exact_enough(moments: Moments, x: torch.Tensor):
    mean, variance = channel_moments_reference(x.double())
    assert moments.mean.dtype == moments.variance.dtype == torch.float32
    # An ulp or two of what the numbers are computed from.
    largest = x.double().abs().amax((2, 3))
    assert ((moments.mean - mean).abs() <= 2.5e-7 * largest).all()
    assert ((moments.variance - variance).abs() <= 2e-6 * variance + 1e-12 * largest**2).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 5, 7, 9), (1, 33, 1, 1), (1, 3, 67, 65)])
def test_moments_of_maps_whose_mean_is_large_and_of_odd_size(backend, dtype, shape):
    x = maps_of(dtype, *shape, offset=50.0)
    assert_exact_enough(channel_moments([x], backend)[0], x)


def test_the_variance_divides_by_the_number_of_pixels(backend):
    x = torch.tensor([1.0, 2.0, 3.0, 6.0], device=DEVICE).view(1, 1, 2, 2)
    mean, variance = channel_moments([x], backend)[0]
    assert mean.tolist() == [[3.0]]
    assert variance.tolist() == [[3.5]]


def test_maps_of_several_shapes_and_formats_come_back_in_order(backend):
    first = maps_of(torch.float32, 2, 3, 4, 5)
    maps = [
        first,
        maps_of(torch.float32, 2, 3, 5, 4),
        2 * first.contiguous(memory_format=torch.channels_last),
        first[..., ::2, 1::2],
    ]
    together = channel_moments(maps, backend)
    for x, moments in zip(maps, together, strict=True):
        assert_exact_enough(moments, x)
        alone = channel_moments([x], backend)[0]
        assert torch.equal(alone.mean, moments.mean)
        assert torch.equal(alone.variance, moments.variance)


def test_an_unknown_backend_is_a_clear_error():
    with pytest.raises(InvalidOptionError, match="'torch' or 'triton', got 'auto'"):
        channel_moments([], "auto")
