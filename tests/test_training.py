"""Whole runs of every recipe, tiny: unbroken, killed and continued."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from safetensors.torch import load_file

from modelprint.backbone import SpectrumResNet
from modelprint.errors import InvalidOptionError
from modelprint.extractor import FingerprintExtractor
from modelprint.features import residual_statistics as statistics_module
from modelprint.features.residual_statistics import residual_statistics
from modelprint.synthesis.space import SPACES
from modelprint.training import TrainingConfig, train
from modelprint.training.closed_form import fit_closed_form

CONFIG = TrainingConfig(
    pictures=6,
    content_pictures=6,
    image_px=32,
    held_out_px=32,
    models=8,
    images_per_model=3,
    degraded_per_model=1,
    held_out_models=20,
    dim=8,
    depth=10,
    width=4,
    steps=5,
    models_per_step=3,
    checkpoint_every=2,
)
EVERY = 61


@pytest.fixture(autouse=True)
def tiny_world(monkeypatch):
    """Models of a few channels, and one statistic in 61: eigenvectors of thousands take minutes."""
    monkeypatch.setitem(SPACES, "tiny", tiny.SPACE)

    def few(images: torch.Tensor) -> torch.Tensor:
        return residual_statistics(images)[:, ::EVERY]

    count = -(-statistics_module.statistics_count() // EVERY)
    for module in ("backbone", "training.closed_form"):
        monkeypatch.setattr(f"modelprint.{module}.residual_statistics", few)
    monkeypatch.setattr("modelprint.backbone.statistics_count", lambda: count)


def config_of(recipe: str) -> TrainingConfig:
    return replace(CONFIG, recipe=recipe, space="tiny")


class Killed(BaseException):
    """What a run is stopped with: nothing catches it."""


def kill_after(updates: int, monkeypatch):
    """Stop the next run at its progress bar's n-th update."""

    class Bar:
        def __init__(self, **_):
            self.left = updates

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def update(self, _: int) -> None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    monkeypatch.setattr("modelprint.training.run.tqdm", Bar)


def steps_logged(run: Path) -> list[int]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line["loss"]) for line in lines)
    return [line["step"] for line in lines]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("recipe", "updates"), [("closed-form", 2), ("contrastive", 4), ("paper", 4)]
)
def test_a_run_makes_weights_and_a_killed_one_makes_the_same(
    recipe, updates, monkeypatch, tmp_path
):
    config = config_of(recipe)
    figures = train(config, tmp_path / "unbroken", workers=1)

    assert set(figures) == {"top1", "roc_auc", "eer"}
    assert all(0 <= figure <= 1 for figure in figures.values())
    assert json.loads((tmp_path / "unbroken" / "figures.json").read_text()) == figures
    extractor = FingerprintExtractor.from_pretrained(
        tmp_path / "unbroken" / "weights", device="cpu"
    )
    assert extractor.config.trained["recipe"] == recipe
    assert extractor.digest in extractor.card
    assert f"{figures['roc_auc']:.4f}" in extractor.card
    assert "{" not in extractor.card
    assert extractor.calibration.default_fpr == 0.01
    assert len(extractor.cohort) >= config.held_out_models // 2
    torch.testing.assert_close(extractor.embed(tiny.photos(3)).norm(dim=1), torch.ones(3))

    with monkeypatch.context() as patch:
        kill_after(updates, patch)
        with pytest.raises(Killed):
            train(config, tmp_path / "killed", workers=1)
    left = sorted(path.name for path in (tmp_path / "killed").rglob("*.safetensors"))
    assert left, "a killed run leaves what it has done"
    assert not (tmp_path / "killed" / "weights").exists()
    for name in ("checkpoint.partial", "statistics/000000.partial"):
        (tmp_path / "killed" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "killed" / name).write_bytes(b"half a file")
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("0*.saf*")}
    assert train(config, tmp_path / "killed", workers=1) == figures
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in shards.items())
    if recipe != "closed-form":
        assert steps_logged(tmp_path / "killed") == [2, 4, 5], "steps are not done again"
    assert content(tmp_path / "killed" / "weights") == content(tmp_path / "unbroken" / "weights")


@pytest.fixture
def finished(tmp_path):
    """A run of the paper's recipe that is through, and its figures."""
    config = replace(config_of("paper"), steps=2)
    return config, tmp_path / "run", train(config, tmp_path / "run", workers=1)


def test_a_finished_run_can_be_repeated_refused_and_holds_no_pickle(finished, monkeypatch):
    config, run, figures = finished
    monkeypatch.setattr("modelprint.training.loop._loss", None)  # no step is trained again
    assert train(config, run, workers=1) == figures

    with pytest.raises(InvalidOptionError, match=r"other values of \['seed', 'steps'\]"):
        train(replace(config, seed=1, steps=3), run, workers=1)

    files = [path for path in run.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json", ".jsonl", ".md"}
    for path in files:
        if path.suffix == ".safetensors":
            assert load_file(path)
        else:
            path.read_text("utf-8")
    assert steps_logged(run) == [2]


def test_training_leaves_everybodys_random_state_alone(tmp_path):
    before = torch.get_rng_state()
    train(replace(config_of("contrastive"), steps=1), tmp_path, workers=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_content_need_be_divided_out(tmp_path):
    config = replace(config_of("closed-form"), content_pictures=0)
    backbone = fit_closed_form(config, tmp_path, workers=1, progress=lambda _: None)
    assert backbone.projection.isfinite().all()


def test_weights_depend_on_the_seed_and_do_not_tell_where_photographs_lie(tmp_path):
    photos = tmp_path / "private folder"
    photos.mkdir()
    for number, photo in enumerate(tiny.photos(3, 40, 40)):
        Image.fromarray(photo.permute(1, 2, 0).numpy()).save(photos / f"{number}.png")
    digests = set()
    for seed in (0, 1):
        config = replace(config_of("closed-form"), photos=str(photos), seed=seed)
        train(config, tmp_path / str(seed), workers=1)
        weights = tmp_path / str(seed) / "weights"
        digests.add(FingerprintExtractor.from_pretrained(weights, device="cpu").digest)
        assert not any(b"private folder" in each for each in content(weights).values())
        assert "photographs" in (weights / "README.md").read_text()
    assert len(digests) == 2


def test_a_network_of_the_recipes_is_what_is_loaded(finished):
    _, run, _ = finished
    extractor = FingerprintExtractor.from_pretrained(run / "weights", device="cpu")
    assert isinstance(extractor.backbone, SpectrumResNet)
    assert extractor.config.options == {"depth": 10, "width": 4, "log": False}
    checkpoint = load_file(run / "checkpoint.safetensors")
    for name, value in extractor.backbone.state_dict().items():
        torch.testing.assert_close(
            value, checkpoint[f"learner.backbone.{name}"], rtol=1e-3, atol=1e-6
        )
