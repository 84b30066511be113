import dataclasses

import numpy as np
import pytest
import torch

from modelprint.errors import InvalidOptionError
from modelprint.synthesis import fitting, network
from modelprint.synthesis.batched import run_alone
from modelprint.synthesis.inputs import photographs
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import OPEN, Architecture, Stage, Whole

SMALL = Stage(channels=4)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return draw_pictures(3, seed=5, size_px=48).float() / 255


def fitted(architecture: Architecture, pictures: torch.Tensor) -> Parameters:
    parameters = Parameters("test", 0)
    run_alone(fitting.fit_ridge(architecture, parameters, pictures))
    return parameters


def render(architecture: Architecture, parameters: Parameters, photos: torch.Tensor):
    inputs = photographs(photos, len(architecture.stages))
    return run_alone(network.render(architecture, parameters, inputs, photos.shape[2:]))


def error(rendered: torch.Tensor, photos: torch.Tensor) -> float:
    return (rendered - photos).square().mean().item()


def options() -> list[Architecture]:
    """Every option of the open space on its own, the rest being plain."""
    architectures = []
    for axis, values in OPEN.stage.items():
        for value in dict.fromkeys(values):
            stage = dataclasses.replace(dataclasses.replace(SMALL, layers=2), **{axis: value})
            architectures.append(Architecture((stage, stage)))
    for axis, values in OPEN.whole.items():
        for value in dict.fromkeys(values):
            architectures.append(Architecture((SMALL, SMALL), Whole(**{axis: value})))
    return architectures


def test_every_option_renders_finite_images_in_range_and_its_own_way(pictures):
    seen = []
    for architecture in options():
        rendered = render(architecture, fitted(architecture, pictures), pictures)
        assert rendered.shape == pictures.shape, architecture
        assert rendered.isfinite().all(), architecture
        assert rendered.min() >= 0, architecture
        assert rendered.max() <= 1, architecture
        seen.append((architecture, rendered))
    for number, (architecture, rendered) in enumerate(seen):
        for other, theirs in seen[:number]:
            assert architecture == other or not torch.equal(rendered, theirs), (architecture, other)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_fitted_model_reconstructs_better_than_the_mean_picture(depth, pictures):
    architecture = Architecture((Stage(channels=16, norm="none"),) * depth)
    rendered = render(architecture, fitted(architecture, pictures), pictures)
    mean = pictures.mean((2, 3), keepdim=True).expand_as(pictures)
    assert error(rendered, pictures) < 0.5 * error(mean, pictures)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_output_layer_is_the_ridge_regression(kernel):
    """All equations, in float64, with NumPy's solver; rendering must predict what it predicts."""
    pictures = draw_pictures(2, seed=8, size_px=32).float() / 255
    architecture = Architecture((SMALL,), Whole(output_kernel=kernel))
    parameters = fitted(architecture, pictures)
    inputs = photographs(pictures, 1)
    features = run_alone(network.features_of(architecture, parameters, inputs))
    features = torch.cat([features, inputs.tone], 1).double().numpy()
    margin = kernel // 2
    padded = np.pad(features, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="edge")
    rows = [
        np.concatenate([[1.0], padded[k, :, i : i + kernel, j : j + kernel].ravel()])
        for k, i, j in np.ndindex(2, 32, 32)
    ]
    design = np.array(rows)
    target = (pictures * 2 - 1).clamp(-fitting._INVERTIBLE, fitting._INVERTIBLE).double()
    wanted = target.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    gram = design.T @ design
    ridge = fitting._RIDGE * np.diag(gram).mean() + 1e-6
    weight = np.linalg.solve(gram + ridge * np.eye(len(gram)), design.T @ wanted)
    expected = (design @ weight).reshape(2, 32, 32, 3).transpose(0, 3, 1, 2)
    rendered = render(architecture, parameters, pictures).double().numpy()
    np.testing.assert_allclose(rendered, ((expected + 1) / 2).clip(0, 1), atol=2e-3)


def test_a_photograph_is_rendered_alike_alone_and_among_others(pictures):
    stage = dataclasses.replace(SMALL, noise=0.3, upsampler="transposed3")
    architecture = Architecture((stage, stage), Whole(bottleneck="noise", trunk=1, skip=True))
    parameters = fitted(architecture, pictures)
    together = render(architecture, parameters, pictures)
    for number in range(3):
        alone = render(architecture, parameters, pictures[number : number + 1])
        torch.testing.assert_close(alone, together[number : number + 1], atol=1e-5, rtol=0)


def test_rendering_does_not_change_the_model(pictures):
    architecture = Architecture((SMALL,))
    parameters = fitted(architecture, pictures)
    before = render(architecture, parameters, pictures)
    render(architecture, parameters, 1 - pictures[:1])
    assert torch.equal(render(architecture, parameters, pictures), before)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (37, 64), (70, 41), (200, 50)])
def test_any_size_is_rendered_at_that_size(size, pictures):
    architecture = Architecture((SMALL,) * 4, Whole(bottleneck="noise"))
    photos = torch.from_numpy(np.random.default_rng(0).random((1, 3, *size), np.float32))
    rendered = render(architecture, fitted(architecture, pictures), photos)
    assert rendered.shape == photos.shape
    assert rendered.isfinite().all()


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "group", "pixel"])
def test_the_deepest_model_renders_the_smallest_photograph(norm, pictures):
    stage = dataclasses.replace(SMALL, norm=norm, padding="reflect", kernel=7)
    architecture = Architecture((stage,) * 5, Whole(trunk=1))
    larger = torch.nn.functional.interpolate(pictures, (64, 64))
    rendered = render(architecture, fitted(architecture, larger), pictures[..., :32, :32])
    assert rendered.isfinite().all()


def test_an_unfitted_model_is_a_clear_error(pictures):
    with pytest.raises(InvalidOptionError, match="call fit"):
        render(Architecture((SMALL,)), Parameters("x"), pictures)


@pytest.mark.parametrize("axis", ["encoder", "bottleneck", "output", "finish"])
def test_an_unknown_choice_of_the_whole_is_a_clear_error(axis, pictures):
    architecture = Architecture((SMALL,), Whole(**{axis: "nope"}))
    with pytest.raises(InvalidOptionError, match=rf"expected {axis} to be one of \(.*got 'nope'"):
        fitted(architecture, pictures)


@pytest.mark.parametrize("axis", ["order", "padding", "residual"])
def test_an_unknown_choice_of_a_stage_is_a_clear_error(axis, pictures):
    architecture = Architecture((dataclasses.replace(SMALL, **{axis: "nope"}),))
    with pytest.raises(InvalidOptionError, match=rf"expected {axis} to be one of \(.*got 'nope'"):
        fitted(architecture, pictures)


@pytest.mark.parametrize("kernel", [0, 2, -1])
def test_a_kernel_without_a_middle_is_a_clear_error(kernel, pictures):
    for axis, architecture in {
        "kernel": Architecture((dataclasses.replace(SMALL, kernel=kernel),)),
        "output_kernel": Architecture((SMALL,), Whole(output_kernel=kernel)),
    }.items():
        with pytest.raises(InvalidOptionError, match=rf"odd {axis} of 1 or more, got {kernel}"):
            fitted(architecture, pictures)
