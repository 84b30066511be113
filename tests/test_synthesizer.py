import numpy as np
import pytest
import torch

from modelprint.errors import InvalidOptionError
from modelprint.synthesis import descent
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import DesignSpace
from modelprint.synthesis.synthesizer import ModelSynthesizer


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return draw_pictures(2, seed=9, size_px=48)


SMALL = DesignSpace(
    "small",
    (1, 2),
    {
        "channels": (4,),
        "upsampler": ("nearest", "bilinear", "transposed4", "pixel_shuffle"),
        "activation": ("relu", "tanh", "sine"),
        "norm": ("none", "batch", "instance"),
        "noise": (0.0, 0.2),
    },
    {"trunk": (0, 1), "bottleneck": ("none", "noise"), "output": ("linear", "tanh")},
)


def test_a_model_alone_is_the_model_in_a_batch_in_any_order(photos):
    synthesizer = ModelSynthesizer(SMALL, seed=3)
    models = synthesizer.sample(5)
    together = synthesizer.generate(models, photos)
    assert together.shape == (5, 2, 3, 48, 48)
    assert together.dtype == torch.uint8
    backwards = ModelSynthesizer(SMALL, seed=3).generate(models[::-1], photos).flip(0)
    assert torch.equal(backwards, together)
    for number, model in enumerate(models):
        alone = ModelSynthesizer(SMALL, seed=3).generate([model], photos)
        assert torch.equal(alone[0], together[number])


@pytest.mark.parametrize("space", ["paper", "open", SMALL])
def test_model_i_is_the_same_whatever_else_is_sampled(space):
    synthesizer = ModelSynthesizer(space, seed=1)
    models = synthesizer.sample(300)
    assert synthesizer.sample(3, first=290) == models[290:293]
    assert ModelSynthesizer(space, seed=1).sample(1, first=299) == models[299:]
    assert len({model.name for model in models}) == 300


def test_a_photograph_is_rendered_alike_alone_and_among_others(photos):
    synthesizer = ModelSynthesizer(SMALL, seed=3)
    models = synthesizer.sample(4)
    together = synthesizer.generate(models, photos).int()
    alone = synthesizer.generate(models, photos[1:]).int()
    # Convolutions may round a last bit otherwise in another batch, which may tip a grey level.
    assert (together[:, 1:] - alone).abs().max() <= 1


def test_every_model_and_every_seed_has_renderings_of_its_own(photos):
    renderings = [
        ModelSynthesizer("paper", seed=seed).generate([model], photos)
        for seed in (0, 1)
        for model in ModelSynthesizer("paper", seed=seed).sample(3)
    ]
    for number, one in enumerate(renderings):
        assert not any(torch.equal(one, other) for other in renderings[:number])


def test_two_seeds_of_one_architecture_differ(photos):
    """The paper's point: what differs between two trainings of one architecture."""
    models = [ModelSynthesizer("paper", seed=seed).sample(1, first=40)[0] for seed in (0, 1)]
    assert models[0].architecture == models[1].architecture
    one, two = (ModelSynthesizer("paper", seed=0).generate([model], photos) for model in models)
    assert not torch.equal(one, two)


def test_models_reconstruct_photographs_far_better_than_their_mean_colour(photos):
    photos = photos[:, :, :40, :40]
    mean = photos.float().mean((2, 3), keepdim=True)
    of_mean = (photos - mean).square().mean().item()
    for space in ("paper", "open"):
        synthesizer = ModelSynthesizer(space, seed=0)
        rendered = synthesizer.generate(synthesizer.sample(4, first=3), photos).float()
        errors = (rendered - photos).square().mean((1, 2, 3, 4))
        assert errors.median() < 0.3 * of_mean
        assert errors.min() > 0, "a model that copies leaves no fingerprint"


def test_the_papers_architectures_come_in_turn_with_equally_many_seeds():
    models = ModelSynthesizer("paper", seed=0).sample(2 * 288)
    assert len({model.architecture for model in models[:288]}) == 288
    assert [m.architecture for m in models[:288]] == [m.architecture for m in models[288:]]


@pytest.mark.parametrize("size", [(32, 32), (33, 45), (61, 34)])
def test_odd_sizes_are_rendered_at_that_size(size):
    photos = torch.from_numpy(np.random.default_rng(1).random((1, 3, *size), np.float32))
    synthesizer = ModelSynthesizer(SMALL, seed=0)
    assert synthesizer.generate(synthesizer.sample(2), photos).shape == (2, 1, 3, *size)


def test_bytes_and_the_floats_they_stand_for_are_rendered_alike(photos):
    synthesizer = ModelSynthesizer(SMALL, seed=0)
    models = synthesizer.sample(1)
    from_bytes = synthesizer.generate(models, photos)
    assert torch.equal(synthesizer.generate(models, photos.float() / 255), from_bytes)
    assert torch.equal(synthesizer.generate(models, (photos / 255.0).double()), from_bytes)


def test_a_caller_may_write_into_the_images(photos):
    synthesizer = ModelSynthesizer(SMALL, seed=0)
    images = synthesizer.generate(synthesizer.sample(1), photos)
    images += 1


def test_an_integer_of_numpy_names_the_same_family():
    ours = ModelSynthesizer("open", seed=7)
    numpys = ModelSynthesizer("open", seed=np.int64(7))
    assert numpys.sample(3) == ours.sample(3)
    assert type(numpys.seed) is int


def test_nobody_elses_random_state_is_touched(photos):
    before = torch.get_rng_state()
    synthesizer = ModelSynthesizer("open", seed=0)
    synthesizer.generate(synthesizer.sample(1), photos)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_fit_images_have_the_contrast_of_pictures_but_show_none(photos):
    synthesizer = ModelSynthesizer(SMALL, seed=0, fit="none")
    images = synthesizer.generate(synthesizer.sample(6), photos).float()
    assert (images.std((1, 3, 4)) > 15).all()
    assert ((images.mean((1, 3, 4)) - 115).abs() < 70).all()
    fitted = ModelSynthesizer(SMALL, seed=0).generate(synthesizer.sample(6), photos).float()
    errors = [(rendered - photos).square().mean((1, 2, 3, 4)) for rendered in (images, fitted)]
    assert (errors[0] > 5 * errors[1]).all()


def test_descent_reconstructs_and_depends_on_the_model_alone(photos, monkeypatch):
    monkeypatch.setattr(descent, "STEPS", 25)
    synthesizer = ModelSynthesizer(SMALL, seed=0, fit="descent")
    models = synthesizer.sample(3)
    together = synthesizer.generate(models, photos)
    assert torch.equal(synthesizer.generate(models[1:2], photos)[0], together[1])
    start = ModelSynthesizer(SMALL, seed=0, fit="none").generate(models, photos)
    before, after = ((y.float() - photos).square().mean((1, 2, 3, 4)) for y in (start, together))
    assert (after < 0.5 * before).all()


def test_bfloat16_renders_the_same_within_a_few_grey_levels(photos):
    models = ModelSynthesizer("paper", seed=0).sample(288)[3::60]
    exact = ModelSynthesizer("paper", seed=0).generate(models, photos)
    rounded = ModelSynthesizer("paper", seed=0, precision="bfloat16").generate(models, photos)
    difference = (exact.int() - rounded.int()).abs()
    assert 0 < difference.max() <= 4
    assert difference.float().mean() < 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"space": "nowhere", "seed": 0}, r"open.*paper.*nowhere"),
        ({"seed": 0, "backend": "triton"}, r"'triton', but the device is 'cpu'.*'auto' or 'torch'"),
        ({"seed": 0, "backend": "numpy"}, r"backend.*'auto', 'triton', 'torch'.*'numpy'"),
        ({"seed": 0, "fit": "lasso"}, r"fit.*'ridge', 'none', 'descent'.*'lasso'"),
        ({"seed": 0, "precision": "half"}, r"precision.*'float32', 'bfloat16'.*'half'"),
        ({"seed": 1.5}, r"whole number as seed, got 1\.5"),
        ({"seed": "0"}, "whole number as seed, got '0'"),
        ({"seed": True}, "whole number as seed, got True"),
    ],
)
def test_a_bad_argument_is_a_clear_error(arguments, said, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(InvalidOptionError, match=said):
        ModelSynthesizer(**arguments)


@pytest.mark.parametrize(("n", "first"), [(0, 0), (-1, 0), (1, -1), (1.5, 0), ("2", 0), (1, 0.5)])
def test_a_bad_number_of_models_is_a_clear_error(n, first):
    with pytest.raises(InvalidOptionError, match="n >= 1 and first >= 0"):
        ModelSynthesizer("paper", seed=0).sample(n, first=first)


@pytest.mark.parametrize(
    ("photos", "said"),
    [
        (np.zeros((1, 3, 32, 32), np.uint8), "as a tensor .*ndarray.*from_numpy"),
        ([torch.zeros(3, 32, 32)], "as a tensor"),
        (torch.zeros(3, 32, 32), r"got \(3, 32, 32\)"),
        (torch.zeros(1, 4, 32, 32), r"got \(1, 4, 32, 32\)"),
        (torch.zeros(0, 3, 32, 32), r"got \(0, 3, 32, 32\)"),
        (torch.zeros(1, 3, 31, 64), "32 pixels or more"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.int64), r"torch\.int64"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.bool), r"torch\.bool"),
        (torch.full((1, 3, 32, 32), 255.0), r"\[0, 1\]; divide"),
        (torch.full((1, 3, 32, 32), -0.1), r"\[0, 1\]"),
        (torch.full((1, 3, 32, 32), torch.nan), r"\[0, 1\]"),
    ],
)
def test_photographs_of_another_kind_are_a_clear_error(photos, said):
    synthesizer = ModelSynthesizer("paper", seed=0)
    with pytest.raises(InvalidOptionError, match=said):
        synthesizer.generate(synthesizer.sample(1), photos)


def test_no_models_is_a_clear_error(photos):
    with pytest.raises(InvalidOptionError, match="at least one model"):
        ModelSynthesizer("paper", seed=0).generate([], photos)
