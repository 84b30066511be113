"""Weights folders that were damaged, mixed, half written or changed on purpose."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from modelprint.errors import ExtractorMismatchError, InvalidWeightsError
from modelprint.extractor import SCHEMA_VERSION, FingerprintExtractor
from modelprint.gallery import Gallery
from modelprint.hub import CALIBRATION, CONFIG, DIGESTS, MODEL, WeightsFolder, write_weights


def load(folder):
    return FingerprintExtractor.from_pretrained(folder, device="cpu")


@pytest.fixture
def folder(tmp_path):
    tiny.extractor(seed=1).save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", [MODEL, CALIBRATION])
def test_a_single_changed_byte_is_noticed(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InvalidWeightsError, match=f"{name}: expected the sha256 .* damaged"):
        load(folder)


@pytest.mark.parametrize("name", [MODEL, CALIBRATION])
def test_files_of_another_model_are_noticed(folder, tmp_path, name):
    other = tiny.weights(seed=2)
    calibration = {**other.calibration, "source": "made up otherwise"}
    write_weights(WeightsFolder(other.tensors, other.config, calibration, ""), tmp_path / "other")
    (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(InvalidWeightsError, match=f"{name}: .* of another model than {CONFIG}"):
        load(folder)


def test_a_folder_of_the_first_schema_has_no_digests_and_is_read(folder):
    digest = load(folder).digest
    config = json.loads((folder / CONFIG).read_text())
    assert set(config.pop(DIGESTS)) == {MODEL, CALIBRATION}
    (folder / CONFIG).write_text(json.dumps({**config, "schema_version": 1}))
    old = load(folder)
    assert old.digest == digest
    assert old.config == tiny.extractor().config
    old.save_pretrained(folder)
    assert json.loads((folder / CONFIG).read_text())["schema_version"] == SCHEMA_VERSION
    assert load(folder).digest == digest


def test_weights_changed_on_purpose_do_not_pass_for_those_of_a_gallery(folder, tmp_path):
    gallery = Gallery(load(folder))
    gallery.enroll("a", tiny.photos(2))
    gallery.save(tmp_path / "g")
    weights = load(folder).to_weights()
    projection = weights.tensors["projection"].clone()
    projection[0, 0] += 1  # and the digests are put right, for whoever tampers can do that
    write_weights(
        WeightsFolder(
            {**weights.tensors, "projection": projection}, weights.config, weights.calibration, ""
        ),
        folder,
    )
    with pytest.raises(ExtractorMismatchError, match="gallery"):
        Gallery.load(tmp_path / "g", load(folder))


# Writing


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_folder_and_nothing_else(folder, monkeypatch, error):
    before, calls = content_of(folder), []

    def fails(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            raise error

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(type(error)):
        tiny.extractor(seed=2).save_pretrained(folder)
    assert content_of(folder) == before
    assert load(folder).digest == tiny.extractor(seed=1).digest


@pytest.mark.parametrize("renamed", [0, 2, 4])
def test_a_process_killed_while_writing_leaves_old_weights_new_ones_or_a_refusal(folder, renamed):
    script = f"""
import os, pathlib, sys
sys.path[:0] = {sys.path!r}
import tiny
real, done = pathlib.Path.replace, []
def replace(*paths):
    if len(done) == {renamed}:
        os._exit(9)
    done.append(real(*paths))
pathlib.Path.replace = replace
tiny.extractor(seed=2).save_pretrained({str(folder)!r})
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == 9
    if 0 < renamed < 4:
        with pytest.raises(InvalidWeightsError, match="expected the sha256"):
            load(folder)
        tiny.extractor(seed=2).save_pretrained(folder)
    expected = tiny.extractor(seed=1 if renamed == 0 else 2)
    assert load(folder).digest == expected.digest


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege elsewhere")
def test_writing_never_follows_a_link_out_of_the_folder(folder, tmp_path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    for name in (MODEL, CONFIG):
        (folder / name).unlink()
        (folder / name).symlink_to(precious)
    tiny.extractor(seed=2).save_pretrained(folder)
    assert precious.read_bytes() == b"mine"
    assert load(folder).digest == tiny.extractor(seed=2).digest


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
@pytest.mark.parametrize("name", [MODEL, CONFIG, CALIBRATION])
def test_links_to_devices_and_pipes_are_no_weights(folder, tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path / "pipe", Path("/dev/zero"), folder / name):  # the last is a circle
        (folder / name).unlink()
        (folder / name).symlink_to(target)
        with pytest.raises(InvalidWeightsError, match=f"{name} missing"):
            load(folder)
