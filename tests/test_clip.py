import json
import shutil
import sys

import numpy as np
import pytest
import tiny
import tiny_clip
import torch
from fakes import pictures
from PIL import Image
from safetensors.torch import load_file, save_file

from modelprint.backends.clip import PROCESSOR, ClipEmbedder
from modelprint.embedder import check_embedder
from modelprint.errors import (
    ExtractorMismatchError,
    InvalidOptionError,
    InvalidWeightsError,
    MissingExtraError,
    WeightsNotFoundError,
)
from modelprint.gallery import Gallery
from modelprint.hub import CONFIG, MODEL


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_clip.write(tmp_path_factory.mktemp("clip") / "checkpoint")


@pytest.fixture
def copy(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "copy")


def load(folder, **options):
    return ClipEmbedder.from_pretrained(folder, device="cpu", **options)


def square(number):
    """Of the size that CLIP takes, so that nothing is resized or cut."""
    return np.random.default_rng(number).integers(0, 256, (32, 32, 3)).astype(np.uint8)


@torch.no_grad()
def test_every_output_is_that_of_the_whole_model(checkpoint):
    images = [square(number) for number in range(3)]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    settings = json.loads((checkpoint / PROCESSOR).read_text())
    mean, deviation = (
        torch.tensor(settings[key]).view(3, 1, 1) for key in ("image_mean", "image_std")
    )
    whole = tiny_clip.model()
    vision = whole.vision_model((pixels - mean) / deviation, output_hidden_states=True)
    expected = {
        ("projected", None): whole.visual_projection(vision.pooler_output),
        ("pooled", None): vision.pooler_output,
        ("class", None): vision.last_hidden_state[:, 0],
        ("class", 0): vision.hidden_states[0][:, 0],
        ("class", 2): vision.hidden_states[2][:, 0],
        ("mean", 1): vision.hidden_states[1][:, 1:].mean(1),
    }
    digests = set()
    for (output, layer), features in expected.items():
        embedder = load(checkpoint, output=output, layer=layer)
        check_embedder(embedder)
        rows = embedder.embed(images)
        assert rows.shape == (3, embedder.dim)
        torch.testing.assert_close(rows, torch.nn.functional.normalize(features, dim=1))
        digests.add(embedder.digest)
    assert len(digests) == len(expected)


def test_a_row_depends_on_its_image_alone(checkpoint, tmp_path):
    sizes = ((32, 32), (40, 90), (70, 33), (32, 32))
    images = [tiny.photos(1, *size, seed=i)[0] for i, size in enumerate(sizes)]
    embedder, done = load(checkpoint), []
    rows = embedder.embed(images, batch_size=2, progress=done.append)
    assert done == [4]
    for image, row in zip(images, rows, strict=True):
        torch.testing.assert_close(embedder.embed(image)[0], row, rtol=0, atol=1e-6)
    Image.fromarray(images[1].permute(1, 2, 0).numpy()).save(tmp_path / "1.png")
    torch.testing.assert_close(embedder.embed(tmp_path / "1.png")[0], rows[1], rtol=0, atol=1e-6)
    assert embedder.embed([]).shape == (0, tiny_clip.PROJECTED)
    with pytest.raises(InvalidOptionError, match="batch_size >= 1"):
        embedder.embed(images, batch_size=0)


def test_a_gallery_holds_it(checkpoint, tmp_path):
    gallery = Gallery(load(checkpoint, output="class", layer=2))
    for label, model in {"one": 1, "two": 2}.items():
        gallery.enroll(label, pictures(model, range(5)))
    suspect = pictures(1, range(9, 10))[0]
    answer = gallery.identify(suspect)
    assert answer.candidates[0].label == "one"
    assert answer.decision == "inconclusive"  # it can rank, and nothing says what a score means
    gallery.calibrate({"three": pictures(3, range(6)), "four": pictures(4, range(6))}, fpr=0.2)
    decided = gallery.identify(suspect)
    assert decided.candidates[0].p_value is not None
    gallery.save(tmp_path / "models.gallery")
    again = Gallery.load(tmp_path / "models.gallery", load(checkpoint, output="class", layer=2))
    assert again.identify(suspect).to_dict()["candidates"] == decided.to_dict()["candidates"]
    with pytest.raises(ExtractorMismatchError):
        Gallery.load(tmp_path / "models.gallery", load(checkpoint, output="class", layer=1))


def test_the_digest_is_of_weights_and_preprocessing(copy):
    digest = load(copy).digest
    assert load(copy).digest == digest
    settings = json.loads((copy / PROCESSOR).read_text())
    (copy / PROCESSOR).write_text(json.dumps({**settings, "do_center_crop": False}))
    other = load(copy).digest
    assert other != digest
    weights = load_file(copy / MODEL)
    weights["visual_projection.weight"][0, 0] += 1
    save_file(weights, copy / MODEL, {"format": "pt"})
    assert load(copy).digest not in (digest, other)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"output": "text"}, "expected output in"),
        ({"layer": 2}, "expected no layer for the projected output"),
        ({"output": "class", "layer": 4}, "between 0 .* and 3"),
        ({"output": "mean", "layer": -1}, "got -1"),
    ],
)
def test_an_output_that_is_not_there_is_a_clear_error(checkpoint, options, says):
    with pytest.raises(InvalidOptionError, match=says):
        load(checkpoint, **options)


def change_config(folder, **changes):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **changes}))


def drop_a_weight(folder):
    weights = load_file(folder / MODEL)
    del weights["vision_model.post_layernorm.weight"]
    save_file(weights, folder / MODEL, {"format": "pt"})


DAMAGE = {
    "no safetensors": (lambda f: (f / MODEL).rename(f / "pytorch_model.bin"), "safetensors"),
    "no processor": (lambda f: (f / PROCESSOR).unlink(), f"{PROCESSOR} missing"),
    "cut off": (lambda f: (f / MODEL).write_bytes((f / MODEL).read_bytes()[:5000]), "cannot|read"),
    "a weight too few": (drop_a_weight, "post_layernorm.weight"),
    "another size": (lambda f: change_config(f, projection_dim=8), "visual_projection.weight"),
    "another model": (lambda f: change_config(f, model_type="bert"), "got 'bert'"),
    "no numbers": (lambda f: change_config(f, vision_config={"hidden_size": "x"}), "download"),
    "no config": (lambda f: (f / CONFIG).write_text("[]"), CONFIG),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_checkpoint_that_is_not_whole_is_a_clear_error(copy, case):
    damage, says = DAMAGE[case]
    damage(copy)
    with pytest.raises(InvalidWeightsError, match=says):
        load(copy)


def test_code_in_a_checkpoint_is_not_run(copy):
    change_config(copy, auto_map={"AutoModel": "modeling.Evil"})
    (copy / "modeling.py").write_text("raise SystemExit('run')")
    assert load(copy).dim == tiny_clip.PROJECTED


def test_no_such_checkpoint_is_a_clear_error(tmp_path):
    with pytest.raises(WeightsNotFoundError, match="not a folder"):
        load(tmp_path / "nowhere")
    # Fingerprint weights in the package have names; they are no CLIP, and are not offered here.
    with pytest.raises(WeightsNotFoundError, match="expected a weights folder or a hub repository"):
        load("procedural")


def test_a_missing_extra_is_a_clear_error(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modelprint\[clip\]'"):
        load(checkpoint)
