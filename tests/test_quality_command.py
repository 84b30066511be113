"""What goes into the quality benchmark and what comes out: folders, conditions, baselines, CLI."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny_clip
import torch
from PIL import Image
from quality_oracle import (
    COUNTS,
    PHOTOGRAPHS,
    PLAN,
    SHARED,
    ScoringEmbedder,
    WeakEmbedder,
    write_folder,
)

from benchmarks import quality
from benchmarks.baselines import LogSpectrum
from benchmarks.conditions import CONDITIONS
from benchmarks.draws import Draw
from benchmarks.folder import BenchmarkFolder
from benchmarks.protocol import Plan, evaluate
from modelprint.errors import InvalidOptionError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    root = tmp_path_factory.mktemp("benchmark") / "made-up"
    write_folder(root)
    return root


@pytest.fixture(scope="module")
def folder(path):
    return BenchmarkFolder.open(path, least_images=5)


def test_conditions_change_images_the_same_way_every_time(folder):
    first, again = (evaluate(ScoringEmbedder(), folder, PLAN) for _ in range(2))
    assert again == first
    assert len({first[name]["auc"].value for name in PLAN.conditions}) == len(PLAN.conditions)
    picture = np.asarray(Image.open(folder.files[0]))[:40, :40]
    assert CONDITIONS["resize-0.75"](picture, "x").shape == (32, 32, 3)  # not below 32 px
    assert CONDITIONS["resize-0.75"](picture.repeat(3, axis=1), "x").shape == (32, 90, 3)
    noisy = [CONDITIONS["noise-0.01"](np.full((64, 64, 3), 99, np.uint8), key) for key in "aab"]
    assert (noisy[0] == noisy[1]).all()
    assert (noisy[0] != noisy[2]).any()
    assert noisy[0].std() == pytest.approx(2.55, rel=0.05)
    changing = CONDITIONS.keys() - {"clean", "resize-0.75"}
    assert all((CONDITIONS[name](picture, "x") != picture).any() for name in changing)


def test_alike_is_what_a_folder_of_processed_images_gives(path, folder, tmp_path):
    processed = tmp_path / "processed"
    shutil.copytree(path, processed)
    for file in processed.rglob("*.png"):
        pixels = CONDITIONS["jpeg-50"](np.asarray(Image.open(file)), "")
        Image.fromarray(pixels).save(file)
    plan = replace(PLAN, conditions=("clean", "jpeg-50"), alike=True)
    found = evaluate(LogSpectrum("log"), folder, plan)
    expected = evaluate(LogSpectrum("log"), BenchmarkFolder.open(processed, least_images=5), plan)
    assert found["jpeg-50"] == expected["clean"] != found["clean"]


def test_a_draw_does_not_depend_on_the_other_models(folder, path, tmp_path):
    smaller = tmp_path / "smaller"
    shutil.copytree(path, smaller)
    shutil.rmtree(smaller / "images" / "dalle_mini")
    (smaller / "index.json").unlink()
    less = BenchmarkFolder.open(smaller, least_images=5)
    for seed in range(3):
        whole, part = (Draw.of(f, enrolled=4, seed=seed) for f in (folder, less))
        assert [folder.keys[i] for i in whole.enrolled[1:].ravel()] == [
            less.keys[i] for i in part.enrolled.ravel()
        ]
    assert len({Draw.of(folder, enrolled=4, seed=s).enrolled.tobytes() for s in range(5)}) == 5


def test_what_a_folder_or_an_embedder_lacks_is_none(path, tmp_path):
    bare = tmp_path / "bare"
    for name in ("other_a", "sd14"):
        for number in range(6):
            (bare / "images" / name).mkdir(parents=True, exist_ok=True)
            source = sorted((path / "images" / name).glob("[0-9]*.png"))[number % 4]
            shutil.copy(source, bare / "images" / name / f"{number:02}.png")
    result = evaluate(
        WeakEmbedder(),
        BenchmarkFolder.open(bare, least_images=5),
        Plan(enrolled=4, seeds=(0,), conditions=("clean",), resamples=20),
    )["clean"]
    absent = {key for key, figure in result.items() if figure is None}
    decided = {"fpr", "fpr_models", "fpr_photos", "matched", "mismatched", "cllr"}
    subset = {"subset_top1", "subset_auc"}
    assert absent == decided | subset | {"shared_auc", "shared_images_auc"}


def test_folders_that_are_no_benchmark_are_refused(path, tmp_path):
    with pytest.raises(InvalidOptionError, match="images/<model>/"):
        BenchmarkFolder.open(tmp_path, least_images=5)
    with pytest.raises(InvalidOptionError, match="8 images of sd14 or more, got 7"):
        BenchmarkFolder.open(path, least_images=8)
    copy = tmp_path / "copy"
    shutil.copytree(path, copy)
    (copy / "images" / "sd14" / "05.png").unlink()
    with pytest.raises(InvalidOptionError, match="sd14: 7 listed, 6 found"):
        BenchmarkFolder.open(copy, least_images=5)
    (copy / "index.json").write_text("{}]")
    with pytest.raises(InvalidOptionError, match=r"index\.json: expected a list"):
        BenchmarkFolder.open(copy, least_images=5)


@pytest.mark.parametrize("average", ["power", "log"])
def test_log_spectrum_tells_upsampling_grids_apart(average):
    def grid(factor, number):
        coarse = np.random.default_rng([factor, number]).integers(0, 255, (96, 96, 3))
        return coarse.repeat(factor, axis=0).repeat(factor, axis=1)[:96, :96].astype(np.uint8)

    embedder = LogSpectrum(average)
    images = [grid(2, 0), grid(2, 1), grid(3, 0), grid(3, 1)]
    rows = embedder.embed(images)
    assert rows.shape == (4, embedder.dim)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(4))
    assert torch.equal(rows[2], embedder.embed(images[2:3])[0])
    cosines = rows @ rows.T
    assert min(cosines[0, 1], cosines[2, 3]) > max(cosines[:2, 2:].flatten()) + 0.1
    small = embedder.embed([grid(2, 2)[:40, :50], np.full((40, 64, 3), 7, np.uint8)])
    assert torch.allclose(small.norm(dim=1), torch.ones(2))


class FakeExtractor(ScoringEmbedder):
    @classmethod
    def from_pretrained(cls, source=None, *, device=None):
        extractor = cls()
        extractor.digest = hashlib.sha256(str(source).encode()).hexdigest()
        return extractor


def test_command_prints_tables_and_writes_json(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quality, "FingerprintExtractor", FakeExtractor)
    target = tmp_path / "quality.json"
    options = ["--data", str(path), "--enrolled", "4", "--quick", "--json", str(target)]
    clip = ["--clip", str(tiny_clip.write(tmp_path / "clip")), "--clip-layer", "2"]
    assert quality.main([*options, "--baseline", "paper=some/folder", *clip]) == 0
    out = capsys.readouterr().out
    record = json.loads(target.read_text())
    names = ["modelprint", "log-spectrum", "log-spectrum-strong", "paper", "clip-layer-2"]
    assert list(record["embedders"]) == names
    paper = record["embedders"]["paper"]
    assert paper["digest"] == hashlib.sha256(b"some/folder").hexdigest()
    assert list(paper["figures"]) == ["clean", "jpeg-75"]
    head, _, first = out.splitlines()[:3]
    assert [cell.strip() for cell in head.split("|")[2:-1]] == names
    auc = paper["figures"]["clean"]["top1_4"]
    assert f"{auc['value']:.3f} [{auc['low']:.2f}, {auc['high']:.2f}]" in first.split("|")[5]
    assert "| jpeg-75" in out
    assert record["embedders"]["log-spectrum"]["figures"]["clean"]["fpr"] is None
    assert record["data"]["models"] == sorted(COUNTS)
    assert (record["data"]["images"], record["data"]["photographs"]) == (
        32,
        PHOTOGRAPHS + len(COUNTS),
    )
    assert record["data"]["images_of_shared_photographs"] == 2 * SHARED
    assert record["protocol"]["seeds"] == [0, 1, 2, 3, 4]
    assert set(record["environment"]) == {
        "machine",
        "versions",
        "git_commit",
        "git_uncommitted_changes",
    }
    assert str(path.parent) not in target.read_text()


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--enrolled", "4", "--baseline", "paper"], "expected NAME=FOLDER"),
        (["--enrolled", "4", "--baseline", "log-spectrum=x"], "a name of its own"),
        (["--enrolled", "0"], "--enrolled: expected 1 or more"),
        (["--enrolled", "40"], "expected 41 images"),
        (["--enrolled", "4", "--clip-layer", "2"], "--clip-layer: expected --clip"),
        (["--enrolled", "4", "--clip", "nowhere"], "not a folder"),
        (["--json", "nowhere/quality.json"], "no folder nowhere"),
    ],
)
def test_command_refuses_bad_options_in_one_line(path, extra, says, monkeypatch, capsys):
    monkeypatch.setattr(quality, "FingerprintExtractor", FakeExtractor)
    with pytest.raises(SystemExit) as stopped:
        quality.main(["--data", str(path), *extra])
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err
