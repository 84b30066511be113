"""Parts that a researcher registers work everywhere that built-in parts do."""

import importlib
import inspect
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modelprint.errors import InvalidOptionError
from modelprint.synthesis.blocks import (
    ACTIVATIONS,
    NORMS,
    UPSAMPLERS,
    register_activation,
    register_norm,
    register_upsampler,
)
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import OPEN, DesignSpace
from modelprint.synthesis.synthesizer import ModelSynthesizer

ROOT = Path(__file__).resolve().parent.parent
TABLES = {"upsampler": UPSAMPLERS, "norm": NORMS, "activation": ACTIVATIONS}


@pytest.fixture(autouse=True)
def registry():
    """What a test registers is forgotten after it."""
    before = {axis: dict(table) for axis, table in TABLES.items()}
    yield
    for axis, table in TABLES.items():
        table.clear()
        table.update(before[axis])


@pytest.fixture
def example(registry):
    """The example, freshly imported: importing it is what registers its parts."""
    yield importlib.import_module("examples.custom_block")
    del sys.modules["examples.custom_block"]


@pytest.fixture
def mixed(example):
    """A small space in which the new parts stand beside built-in ones."""
    stage = {axis: (part, *BUILT_IN[axis]) for axis, part in example.OWN.items()}
    stage |= {"channels": (4,), "order": ("conv-norm-act", "norm-act-conv")}
    return DesignSpace("small mixed", (1, 2), stage, {})


BUILT_IN = {
    "upsampler": ("nearest", "bilinear"),
    "norm": ("batch", "none"),
    "activation": ("relu",),
}


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return draw_pictures(2, seed=6, size_px=64)


def test_each_part_takes_less_than_twenty_lines(example):
    for axis, part in example.OWN.items():
        lines = inspect.getsource(TABLES[axis][part]).splitlines()
        assert lines[0] == f'@register_{axis}("{part}")'
        assert len(lines) < 20


def test_the_parts_of_the_example_are_sampled_among_the_built_in_ones(example):
    models = ModelSynthesizer(example.mixed_space(), seed=0).sample(200)
    with_each = [sum(part in example.own_parts(m) for m in models) for part in example.OWN.values()]
    assert min(with_each) > 20
    assert sum(not example.own_parts(model) for model in models) > 20
    assert all(
        part in model.architecture.name for model in models for part in example.own_parts(model)
    )


def test_names_stay_what_they_are_whatever_else_is_registered(example):
    space = example.mixed_space()
    before = ModelSynthesizer(space, seed=3).sample(30)
    register_activation("another")(lambda x, parameters: x.abs())
    after = ModelSynthesizer(example.mixed_space(), seed=3).sample(30)
    assert after == before
    assert [m.name for m in before[:2]] == ["open-and-own-3-0", "open-and-own-3-1"]
    assert len({model.architecture.name for model in before}) == 30
    # The space that it was made from is as it was.
    assert not set(example.OWN.values()) & {o for options in OPEN.stage.values() for o in options}


def test_a_model_alone_is_the_model_in_a_batch_with_built_in_ones(example, mixed, photos):
    synthesizer = ModelSynthesizer(mixed, seed=1)
    models = synthesizer.sample(3)
    assert any(example.own_parts(model) for model in models)
    narrow = DesignSpace("known", (1,), {"channels": (4,)}, {})
    models.append(ModelSynthesizer(narrow, seed=1).sample(1)[0])
    together = synthesizer.generate(models, photos)
    for number, model in enumerate(models):
        alone = ModelSynthesizer(mixed, seed=1).generate([model], photos)[0]
        assert torch.equal(alone, together[number])
    assert len({images.numpy().tobytes() for images in together}) == len(models)


@pytest.mark.parametrize("fit", ["none", "descent"])
def test_other_fits_take_the_parts_too(example, photos, fit):
    stage = {axis: (part,) for axis, part in example.OWN.items()} | {"channels": (2,)}
    synthesizer = ModelSynthesizer(DesignSpace("fits", (1,), stage, {}), seed=0, fit=fit)
    model = synthesizer.sample(1)
    solved = ModelSynthesizer(DesignSpace("fits", (1,), stage, {}), seed=0).generate(model, photos)
    images = synthesizer.generate(model, photos)
    assert images.float().std() > 1
    assert not torch.equal(images, solved)


def test_the_torch_backend_is_what_auto_takes_for_them(mixed, photos):
    images = [
        ModelSynthesizer(mixed, seed=0, backend=backend).generate(
            ModelSynthesizer(mixed, seed=0).sample(3), photos[:1]
        )
        for backend in ("auto", "torch")
    ]
    assert torch.equal(*images)


BOTH_BACKENDS = """
import torch
from examples.custom_block import OWN
from modelprint.synthesis.batched import run_in_step
from modelprint.synthesis.inputs import inputs_of
from modelprint.synthesis.network import features_of
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.space import Architecture, Stage

own = Architecture((Stage(channels=4, **OWN),))
half = Architecture((Stage(channels=4, activation=OWN["activation"]),))
known = Architecture((Stage(channels=4),))
x = inputs_of(torch.linspace(-1, 1, 3 * 8 * 8).view(1, 3, 8, 8), 1)
torchs, tritons = (
    run_in_step([features_of(a, Parameters("x"), x) for a in (own, half, known)], backend)
    for backend in ("torch", "triton")
)
for ours, theirs in zip(torchs, tritons):
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_kernels_leave_the_parts_they_do_not_know_to_torch():
    """In a process of its own: Triton decides once, when imported, whether it is interpreted."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", BOTH_BACKENDS], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_example_prints_names_and_figures_and_saves_a_picture(
    example, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(example, "SIDE_PX", 64)
    # Narrow models are quick; the parts are the same.
    narrow = {"channels": (4,), "kernel": (1, 3)}
    monkeypatch.setattr(example, "OPEN", replace(OPEN, depths=(1,), stage=OPEN.stage | narrow))
    out = tmp_path / "sheet.png"
    assert example.main(["--out", str(out), "--batch", "3", "--models", "2", "--images", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == [f"open-and-own-0-{i}" for i in range(3)]
    split = [line.rsplit(maxsplit=2) for line in lines[-4:]]
    figures = {name: (distance, varied) for name, distance, varied in split}
    assert len(figures) == 4
    assert all(f"open with {part} alone" in figures for part in example.OWN.values())
    for distance, varied in figures.values():
        assert float(distance) > 0
        assert float(varied) > 0
    with Image.open(out) as sheet:
        assert np.asarray(sheet).std() > 10


@pytest.mark.parametrize(
    ("axis", "register", "part", "said"),
    [
        ("upsampler", register_upsampler, lambda x, _: x, "'odd' to double height and width"),
        ("norm", register_norm, lambda x, _: x[:, :-1], "norm 'odd' to keep the shape"),
        ("norm", register_norm, lambda x, _: x.mean(), "norm 'odd' to keep the shape"),
        ("activation", register_activation, lambda x, _: x[..., 1:], "activation 'odd' to keep"),
    ],
)
@pytest.mark.parametrize("order", ["conv-norm-act", "norm-act-conv"])
def test_a_part_that_changes_the_shape_is_refused_by_name(
    axis, register, part, said, order, photos
):
    register("odd")(part)
    space = DesignSpace("odd", (1,), {axis: ("odd",), "order": (order,), "channels": (4,)}, {})
    synthesizer = ModelSynthesizer(space, seed=0)
    with pytest.raises(InvalidOptionError, match=said):
        synthesizer.generate(synthesizer.sample(1), photos[:1])


def test_a_part_that_nobody_registered_is_refused_by_name(photos):
    space = replace(OPEN, name="typo", stage={"norm": ("btach",)})
    synthesizer = ModelSynthesizer(space, seed=0)
    with pytest.raises(InvalidOptionError, match="'btach'; use one of"):
        synthesizer.generate(synthesizer.sample(1), photos[:1])
