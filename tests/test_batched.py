import threading
from functools import partial

import numpy as np
import pytest
import torch

from modelprint.kernels.fused_layer import POINTWISE, FusedLayer, fused_layer_reference
from modelprint.synthesis import fitting
from modelprint.synthesis.batched import Runner, run_alone, run_in_step
from modelprint.synthesis.maps import FeatureMap, composed
from modelprint.synthesis.requests import (
    ChannelMoments,
    Equations,
    ToPictures,
    Transposed,
    answer_all,
    answer_plainly,
    as_convolution,
    joined,
    to_pictures,
    transpose,
)
from modelprint.synthesis.space import DesignSpace
from modelprint.synthesis.synthesizer import ModelSynthesizer

CPU = torch.device("cpu")


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def adding(start: float, rounds: int):
    """A model that asks ``rounds`` times and returns what it was told in all."""
    total = torch.full((1, 1, 2, 2), float(start))
    for _ in range(rounds):
        total = total + (yield FusedLayer(total, torch.ones(1, 1, 1, 1), torch.ones(1)))
    return total


@pytest.mark.parametrize("kernel", range(2, 9))
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 5, 1, 1), (1, 4, 2, 1)])
def test_a_transposed_convolution_is_a_convolution_and_a_pixel_shuffle(kernel, shape):
    request = Transposed(
        numbers(*shape),
        numbers(shape[1], 6, kernel, kernel, seed=1),
        numbers(6, seed=2),
        numbers(shape[0], shape[1], seed=3),
        numbers(shape[0], shape[1], seed=4),
        "gelu",
    )
    y = torch.nn.functional.pixel_shuffle(fused_layer_reference(as_convolution(request)), 2)
    assert y.shape == (shape[0], 6, 2 * shape[2], 2 * shape[3])
    torch.testing.assert_close(y, transpose(request), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_a_transposed_and_a_plain_convolution_are_one_up_to_the_border(kernel):
    x, up = numbers(2, 4, 6, 5), numbers(4, 4, 2, 2, seed=1)
    weight, bias = numbers(3, 4, kernel, kernel, seed=2), numbers(3, seed=3)
    step_by_step = torch.nn.functional.conv2d(
        torch.nn.functional.conv_transpose2d(x, up, stride=2), weight, bias, padding=kernel // 2
    )
    together = transpose(Transposed(x, composed(up, weight), bias))
    torch.testing.assert_close(together, step_by_step, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("upsampler", ["none", "nearest", "bilinear"])
@pytest.mark.parametrize("before", ["none", "tanh"])
@pytest.mark.parametrize("after", ["none", "sine"])
@pytest.mark.parametrize("normed", [True, False])
def test_work_put_off_is_done_in_the_order_in_which_it_was_asked_for(
    upsampler, before, after, normed
):
    x, scale, shift = numbers(2, 3, 4, 5), numbers(2, 3, seed=1), numbers(1, 3, seed=2)
    expected = POINTWISE[before](x)
    put_off = FeatureMap(x).activated(before) if before != "none" else FeatureMap(x)
    put_off = put_off._replace(upsampler=upsampler)
    if upsampler != "none":
        align = None if upsampler == "nearest" else False
        expected = torch.nn.functional.interpolate(
            expected, scale_factor=2, mode=upsampler, align_corners=align
        )
    if normed:
        put_off = put_off.applied().normalised(scale, shift)
        expected = expected * scale[..., None, None] + shift[..., None, None]
    if after != "none":
        put_off = put_off.activated(after)
    expected = POINTWISE[after](expected)
    torch.testing.assert_close(put_off.settled(), expected)
    weight, bias = numbers(2, 3, 3, 3, seed=3), numbers(2, seed=4)
    y = run_alone(put_off.convolved(weight, bias, "replicate"))
    plain = fused_layer_reference(FusedLayer(expected, weight, bias, padding="replicate"))
    torch.testing.assert_close(y, plain)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("shape", [(2, 5, 6, 8), (1, 3, 5, 4), (1, 3, 4, 6)])
def test_a_convolution_to_pictures_is_one_over_replicated_borders(kernel, shape):
    x = numbers(*shape).bfloat16()
    tone = numbers(shape[0], 3, *shape[2:], seed=3)
    weight, bias = numbers(3, shape[1] + 3, kernel, kernel, seed=1), numbers(3, seed=2)
    both = torch.cat([x.float(), tone], 1)
    padded = torch.nn.functional.pad(both, [kernel // 2] * 4, mode="replicate")
    assert torch.equal(joined(x, tone, kernel // 2), padded)
    expected = torch.nn.functional.conv2d(padded, weight, bias)
    for given in (x, x.float(), x.contiguous(memory_format=torch.channels_last)):
        y = to_pictures(ToPictures(given, tone, weight, bias))
        torch.testing.assert_close(y, expected, atol=1e-4, rtol=1e-4)


def test_answers_come_in_the_order_of_the_requests_whatever_their_kinds():
    x = numbers(2, 4, 5, 5)
    gram = torch.eye(3, dtype=torch.float64) * 2
    requests = [
        ChannelMoments(x),
        Equations(gram, torch.ones(3, 1, dtype=torch.float64)),
        Transposed(x, numbers(4, 4, 4, 4)),
        FusedLayer(x, numbers(3, 4, 3, 3), torch.zeros(3)),
        Equations(gram[:2, :2], torch.ones(2, 1, dtype=torch.float64)),
        ChannelMoments(x + 1),
        FusedLayer(x.double(), numbers(3, 4, 9, 9).double(), torch.zeros(3).double()),
        Equations(gram * 2, torch.ones(3, 1, dtype=torch.float64)),
    ]
    for answer, request in zip(answer_all(requests, "torch"), requests, strict=True):
        expected = answer_plainly(request)
        torch.testing.assert_close(tuple(answer), tuple(expected), atol=1e-5, rtol=1e-5)


def test_models_of_different_lengths_run_in_step_and_give_what_they_give_alone():
    rounds = [3, 0, 5, 1]
    together = run_in_step([adding(n, r) for n, r in enumerate(rounds)], "torch")
    for number, (result, asked) in enumerate(zip(together, rounds, strict=True)):
        assert torch.equal(result, run_alone(adding(number, asked)))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_runner_keeps_order_starts_models_late_and_leaves_threads_as_they_were(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    started: list[int] = []
    seen: set[tuple[str, int, bool]] = set()

    def model(number):
        started.append(number)
        seen.add(
            (threading.current_thread().name, torch.get_num_threads(), torch.is_grad_enabled())
        )
        return adding(number, 2)

    try:
        with Runner("torch", CPU, at_once=1) as runner:
            results = runner.run(partial(model, number) for number in range(40))
            first = next(results)
            assert len(started) <= 2 * threads + 1
            rest = list(results)
        assert torch.get_num_threads() == threads
        fresh: list[int] = []
        thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert fresh == [threads]
    finally:
        torch.set_num_threads(before)
    for number, result in enumerate([first, *rest]):
        assert torch.equal(result, run_alone(adding(number, 2)))
    assert {(count, grad) for _, count, grad in seen} == {(1, False)}


def test_an_error_in_a_model_reaches_the_caller_and_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    def broken():
        yield ChannelMoments(numbers(1, 1, 2, 2))
        raise ValueError("no good")

    try:
        with Runner("torch", CPU, at_once=1) as runner, pytest.raises(ValueError, match="no good"):
            list(runner.run([partial(adding, 0, 1), broken]))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


TINY = DesignSpace(
    "tiny",
    (1,),
    {
        "channels": (2,),
        "upsampler": ("nearest", "transposed2"),
        "activation": ("tanh",),
        "norm": ("batch", "instance"),
    },
    {"output_kernel": (1,)},
)


def test_triton_renders_what_pytorch_renders_and_a_model_alone_as_in_a_batch(monkeypatch):
    pytest.importorskip("triton")
    # Without a GPU kernels are interpreted, slowly.
    pictures = fitting.fit_pictures
    monkeypatch.setattr(fitting, "fit_pictures", lambda model: pictures(model)[:1, :, :16, :16])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    photos = torch.from_numpy(np.random.default_rng(0).random((1, 3, 32, 32), np.float32))
    plain, kernels = (
        ModelSynthesizer(TINY, seed=0, device=device, backend=backend)
        for backend in ("torch", "triton")
    )
    models = plain.sample(4)[1:3]
    expected, images = plain.generate(models, photos).int(), kernels.generate(models, photos)
    assert (images.int() - expected).abs().max() <= 1
    assert torch.equal(kernels.generate(models[1:], photos)[0], images[1])
