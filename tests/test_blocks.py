import numpy as np
import pytest
import torch

from modelprint.errors import InvalidOptionError
from modelprint.synthesis import blocks
from modelprint.synthesis.blocks import ACTIVATIONS, NORMS, UPSAMPLERS
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.space import DesignSpace
from modelprint.synthesis.synthesizer import ModelSynthesizer


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.fixture
def registry():
    """What a test registers is forgotten after it."""
    tables = (UPSAMPLERS, ACTIVATIONS, NORMS)
    before = [dict(table) for table in tables]
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


def render(**stage: str) -> torch.Tensor:
    """One image by a model made of the given parts."""
    options = {"channels": (4,)} | {axis: (name,) for axis, name in stage.items()}
    synthesizer = ModelSynthesizer(DesignSpace("parts", (1,), options, {}), seed=0)
    photos = torch.from_numpy(np.random.default_rng(0).random((1, 3, 32, 34), np.float32))
    return synthesizer.generate(synthesizer.sample(1), photos)


@pytest.mark.parametrize("name", sorted(UPSAMPLERS))
@pytest.mark.parametrize("shape", [(2, 8, 5, 7), (1, 3, 1, 2)])
def test_every_upsampler_doubles_height_and_width(name, shape):
    y = UPSAMPLERS[name](features(*shape), Parameters("x"))
    assert y.shape == (shape[0], shape[1], 2 * shape[2], 2 * shape[3])
    assert y.isfinite().all()


@pytest.mark.parametrize("name", sorted(UPSAMPLERS))
def test_every_upsampler_moves_its_output_with_its_input(name):
    x, parameters = features(1, 4, 12, 12), Parameters("x")
    still = UPSAMPLERS[name](x, parameters)
    moved = UPSAMPLERS[name](x.roll((1, 1), (2, 3)), parameters)
    inside = slice(8, 16)
    torch.testing.assert_close(
        moved[..., inside, inside], still.roll((2, 2), (2, 3))[..., inside, inside]
    )


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "fir"])
def test_interpolating_upsamplers_keep_a_constant(name):
    y = UPSAMPLERS[name](torch.full((1, 2, 8, 8), 0.7), Parameters("x"))
    torch.testing.assert_close(y[..., 4:-4, 4:-4], torch.full((1, 2, 8, 8), 0.7))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_works_on_each_value_alone(name):
    x = features(2, 4, 6, 6)
    y = ACTIVATIONS[name](x, Parameters("x"))
    one = ACTIVATIONS[name](x[1:, 2:3, 3:4, 4:5], Parameters("y"))
    torch.testing.assert_close(y[1:, 2:3, 3:4, 4:5], one)


@pytest.mark.parametrize("name", sorted(NORMS))
def test_every_norm_keeps_shape_and_is_finite_even_where_nothing_varies(name):
    smallest = torch.ones(2 if name == "batch" else 1, 4, 1, 1)  # one number has no deviation
    for x in (features(2, 8, 5, 6), torch.ones(1, 6, 4, 4), smallest):
        y = NORMS[name](x, Parameters("x"))
        assert y.shape == x.shape
        assert y.isfinite().all()


def test_instance_norm_standardises_each_image_and_channel():
    x = 5 + 3 * features(2, 3, 16, 16)
    y = NORMS["instance"](x, Parameters("x"))
    torch.testing.assert_close(y.mean((2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((2, 3), correction=0), torch.ones(2, 3), atol=1e-3, rtol=0)


def test_group_norm_standardises_four_channels_together():
    y = NORMS["group"](2 + features(2, 8, 16, 16), Parameters("x")).view(2, 2, -1)
    torch.testing.assert_close(y.mean(2), torch.zeros(2, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(2), torch.ones(2, 2), atol=1e-3, rtol=0)


def test_pixel_norm_gives_every_pixel_a_unit_mean_square():
    y = NORMS["pixel"](3 * features(1, 8, 4, 4), Parameters("x"))
    torch.testing.assert_close(y.square().mean(1), torch.ones(1, 4, 4), atol=1e-3, rtol=0)


def test_batch_norm_keeps_the_statistics_of_its_first_input():
    parameters, first = Parameters("x"), 2 + 3 * features(4, 2, 16, 16)
    y = NORMS["batch"](first, parameters)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3)), torch.ones(2), atol=1e-2, rtol=0)
    again = NORMS["batch"](first[:1], parameters)
    torch.testing.assert_close(again, y[:1])


@pytest.mark.parametrize(
    ("mode", "numpys"),
    [("zeros", "constant"), ("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")],
)
def test_padding_is_what_numpy_calls_it(mode, numpys):
    x = features(1, 2, 5, 6)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode=numpys)
    assert (blocks.pad(x, 3, mode).numpy() == expected).all()
    assert blocks.pad(x, 0, mode) is x


@pytest.mark.parametrize("mode", ["reflect", "circular"])
def test_a_map_too_small_to_reflect_or_wrap_is_replicated(mode):
    x = features(1, 2, 3, 8)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="edge")
    assert (blocks.pad(x, 3, mode).numpy() == expected).all()


def test_a_convolution_is_its_weights_slid_over_the_map():
    x, parameters = features(1, 2, 5, 6), Parameters("model")
    y = blocks.convolve(x, parameters, 3, 3, "zeros")
    weight, bias = parameters.drawn("weight", 3, 2, 3, 3), parameters.drawn("bias", 3, bound=0.1)
    padded = np.pad(x[0].double().numpy(), ((0, 0), (1, 1), (1, 1)))
    for channel, row, column in np.ndindex(3, 5, 6):
        window = padded[:, row : row + 3, column : column + 3]
        expected = (window * weight[channel].double().numpy()).sum() + bias[channel].item()
        assert y[0, channel, row, column].item() == pytest.approx(expected, abs=1e-5)


def test_drawn_weights_depend_on_the_models_key_and_their_name_alone():
    first = Parameters("space", 0, 1)
    first.drawn("other", 7)
    weight = first.scope("stage0").scope("conv").drawn("weight", 4, 2, 3, 3)
    again = Parameters("space", 0, 1).drawn("stage0.conv.weight", 4, 2, 3, 3)
    assert torch.equal(weight, again)
    assert not torch.equal(
        weight, Parameters("space", 0, 2).drawn("stage0.conv.weight", 4, 2, 3, 3)
    )
    assert not torch.equal(weight, first.scope("stage1").scope("conv").drawn("weight", 4, 2, 3, 3))


def test_drawn_weights_have_the_variance_that_their_fan_in_asks_for():
    weight = Parameters("x").drawn("weight", 64, 16, 3, 3)
    assert weight.var().item() == pytest.approx(1.6 / (16 * 9), rel=0.05)
    assert Parameters("x").drawn("up", 64, 64, 3, fan_in=8).var().item() == pytest.approx(
        1.6 / 8, rel=0.05
    )
    assert Parameters("x").drawn("bias", 1000, bound=0.1).abs().max() <= 0.1


def test_a_measured_value_is_measured_once():
    parameters = Parameters("x")
    assert parameters.measured("mean", lambda: torch.ones(2)).tolist() == [1, 1]
    assert parameters.measured("mean", lambda: torch.zeros(2)).tolist() == [1, 1]
    assert parameters.to(torch.device("cpu")).measured("mean", torch.empty).tolist() == [1, 1]


@pytest.mark.usefixtures("registry")
def test_a_new_part_takes_a_few_lines_and_works_in_every_space():
    @blocks.register_upsampler("zero_insertion")
    def zero_insertion(x, parameters):
        y = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        y[..., ::2, ::2] = x
        return y

    @blocks.register_activation("square")
    def square(x, parameters):
        return x.square()

    @blocks.register_norm("scaled")
    def scaled(x, parameters):
        return x * parameters.drawn("scale", x.shape[1], 1, 1, bound=1.0)

    plain = render()
    for parts in ({"upsampler": "zero_insertion"}, {"activation": "square"}, {"norm": "scaled"}):
        image = render(**parts)
        assert image.shape == (1, 1, 3, 32, 34)
        assert not torch.equal(image, plain)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    "part",
    [
        lambda x, parameters: x,
        lambda x, parameters: x.repeat(1, 2, 2, 2),
        lambda x, parameters: x.repeat(1, 1, 2, 2)[..., :-1],
    ],
    ids=["same size", "more channels", "a column short"],
)
def test_an_upsampler_that_does_not_double_is_a_clear_error(part):
    blocks.register_upsampler("wrong")(part)
    with pytest.raises(InvalidOptionError, match="'wrong' to double height and width"):
        render(upsampler="wrong")


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("kind", ["activation", "norm"])
@pytest.mark.parametrize("order", ["conv-norm-act", "norm-act-conv"])
def test_an_activation_or_norm_that_changes_the_shape_is_a_clear_error(kind, order):
    register = {"activation": blocks.register_activation, "norm": blocks.register_norm}[kind]
    register("wrong")(lambda x, parameters: x[:, :2])
    with pytest.raises(InvalidOptionError, match=rf"{kind} 'wrong' to keep the shape \(.*, got"):
        render(**{kind: "wrong", "order": order})


@pytest.mark.usefixtures("registry")
def test_a_norm_from_moments_is_a_few_lines_and_equals_its_definition():
    @blocks.register_norm("centred")
    @blocks.MomentNorm
    def centred(moments):
        return torch.ones_like(moments.mean), -moments.mean

    @blocks.register_norm("centred plainly")
    def plainly(x, parameters):
        return x - x.mean((2, 3), keepdim=True)

    for upsampler in ("nearest", "bilinear"):
        for order in ("conv-norm-act", "norm-act-conv"):
            one, other = (
                render(norm=name, order=order, upsampler=upsampler, activation="tanh").int()
                for name in ("centred", "centred plainly")
            )
            assert (one - other).abs().max() <= 1


@pytest.mark.parametrize(
    ("kind", "register", "name"),
    [
        ("upsampler", blocks.register_upsampler, "nearest"),
        ("activation", blocks.register_activation, "relu"),
        ("norm", blocks.register_norm, "batch"),
    ],
)
def test_a_name_that_is_taken_is_refused(kind, register, name):
    with pytest.raises(InvalidOptionError, match=f"new {kind} name.*registered already"):
        register(name)


@pytest.mark.parametrize("axis", ["upsampler", "activation", "norm"])
def test_an_unknown_part_is_a_clear_error_that_lists_the_known_ones(axis):
    with pytest.raises(InvalidOptionError, match=rf"registered {axis}, got 'nope'; use one of \["):
        render(**{axis: "nope"})
