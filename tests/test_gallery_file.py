import json
import os
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import torch
from fakes import DIM, CalibratedEmbedder, CosineEmbedder, picture, pictures
from gallery_files import HASHES, assert_refused, header_of, rewrite
from safetensors.torch import save_file

import modelprint.gallery
import modelprint.gallery_file
from modelprint.errors import ExtractorMismatchError, InvalidGalleryFileError, InvalidOptionError
from modelprint.gallery import Gallery
from modelprint.images import load_image


@pytest.fixture
def gallery():
    filled = Gallery(CalibratedEmbedder())
    for label, model in {"sdxl": 1, "größer 🖼": 2}.items():
        filled.enroll(label, pictures(model, range(3)))
    return filled


@pytest.fixture
def saved(gallery, tmp_path):
    path = tmp_path / "models.gallery"
    gallery.save(path)
    return path


# Round trip


def test_a_loaded_gallery_answers_as_the_saved_one_and_saves_the_same_bytes(gallery, saved):
    loaded = Gallery.load(saved, CalibratedEmbedder())
    assert loaded.labels == gallery.labels
    assert loaded.digest == gallery.digest
    assert loaded.identify(picture(2, 99)) == gallery.identify(picture(2, 99))
    again = saved.with_name("again")
    loaded.save(again)
    gallery.save(saved.with_name("third"))
    assert again.read_bytes() == saved.read_bytes() == saved.with_name("third").read_bytes()
    loaded.enroll("more", pictures(5, range(2)))
    loaded.save(saved)
    assert Gallery.load(saved, CalibratedEmbedder()).labels == (*gallery.labels, "more")


def test_an_empty_gallery_can_be_kept(tmp_path):
    Gallery(CosineEmbedder()).save(tmp_path / "empty")
    loaded = Gallery.load(tmp_path / "empty", CosineEmbedder())
    assert len(loaded) == 0
    assert loaded.enroll("a", pictures(1, range(2))) == 2


def test_a_removed_model_is_gone_from_the_file(gallery, saved):
    gallery.remove("sdxl")
    gallery.save(saved)
    assert Gallery.load(saved, CalibratedEmbedder()).labels == ("größer 🖼",)
    assert b"sdxl" not in saved.read_bytes()


def test_a_loaded_gallery_does_not_depend_on_its_file(gallery, saved):
    loaded = Gallery.load(saved, CalibratedEmbedder())
    with saved.open("r+b") as file:
        file.write(bytes(saved.stat().st_size))
    assert loaded.digest == gallery.digest


def test_image_names_that_are_not_unicode_survive(tmp_path):
    gallery = Gallery(CosineEmbedder())
    gallery.enroll("a", [load_image(picture(1, 0), name="caf\udce9\n.png")])
    gallery.save(tmp_path / "g")
    assert header_of(tmp_path / "g")["rows"][0][2] == "caf\udce9\n.png"
    Gallery.load(tmp_path / "g", CosineEmbedder())


def test_without_an_extractor_the_bundled_one_is_used(gallery, saved, monkeypatch):
    monkeypatch.setattr(modelprint.gallery, "bundled_extractor", CalibratedEmbedder)
    assert Gallery.load(saved).digest == gallery.digest


# Files that are not what they should be


def test_another_extractor_is_refused(saved):
    with pytest.raises(ExtractorMismatchError, match=str(saved)):
        Gallery.load(saved, CalibratedEmbedder("another"))


def test_another_length_of_fingerprints_is_refused_also_without_any(tmp_path):
    empty = tmp_path / "empty"
    Gallery(CosineEmbedder()).save(empty)
    longer = CosineEmbedder()
    longer.dim = DIM + 1
    with pytest.raises(ExtractorMismatchError, match=f"dim {DIM}"):
        Gallery.load(empty, longer)


def test_a_truncated_file_is_refused_wherever_it_ends(saved):
    content = saved.read_bytes()
    for length in (*range(0, 40), *range(40, len(content), 97), len(content) - 1):
        saved.write_bytes(content[:length])
        assert_refused(saved, "damaged or not a gallery")
    saved.write_bytes(content + b"x")
    assert_refused(saved, "damaged or not a gallery")


def test_a_changed_byte_is_noticed_or_harmless(gallery, saved):
    content = saved.read_bytes()
    names = [range(i, i + 7) for i in range(len(content)) if content[i : i + 6] == b"image "]
    for at in range(0, len(content), 23):
        damaged = bytearray(content)
        damaged[at] ^= 1
        saved.write_bytes(damaged)
        if any(at in name for name in names):  # the only thing that no answer depends on
            continue
        with pytest.raises((InvalidGalleryFileError, ExtractorMismatchError)):
            Gallery.load(saved, CalibratedEmbedder())


def test_a_newer_format_is_refused_kindly_whatever_else_it_holds(saved):
    rewrite(saved, json.dumps({"format_version": 4, "surprise": True}))
    assert_refused(saved, "newer modelprint.*pip install -U modelprint")


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "foreign"
    save_file({"fingerprints": torch.eye(4)}, path)
    assert_refused(path, "not a gallery")
    save_file({"fingerprints": torch.eye(4)}, path, {"format": "pt"})
    assert_refused(path, "not a gallery")
    torch.save({"fingerprints": torch.eye(4)}, path)
    assert_refused(path, "not a gallery")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert_refused(path, "not a gallery")
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    assert_refused(path, "not a gallery")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "[]",
        "3",
        "{",
        "[" * 100_000,
        '{"format_version": ' + "9" * 10_000 + "}",
        '{"format_version": NaN}',
    ],
    ids=["empty", "list", "number", "cut", "deep", "huge", "nan"],
)
def test_a_header_that_is_no_header_is_refused(saved, header):
    rewrite(saved, header)
    assert_refused(saved, "not JSON|format version")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format_version": True}, "format version is True"),
        ({"format_version": 0}, "format version is 0"),
        ({"format_version": "1"}, "format version is '1'"),
        ({"extra": 1}, "extra"),
        ({"dim": 16.0}, "dim is not of type int"),
        ({"dim": DIM + 1}, r"header says \[6, 17\]"),
        ({"dim": -1}, "dim not in"),
        ({"dim": 2**70}, "dim not in"),
        ({"rows": {}}, "rows is not of type list"),
        ({"rows": []}, r"header says \[0, 16\]"),
        ({"rows": [None] * 6}, "row 0 is not"),
        ({"rows": [["sdxl", sha, "x"] for sha in HASHES]}, "row 0 is not"),
        ({"rows": [["sdxl", sha, None, 0, 64] for sha in HASHES]}, "row 0 is not"),
        ({"rows": [["sdxl", HASHES[0], "x", 0, 64]] * 6}, "enrolled already"),
        ({"rows": [["sdxl", "short", "x", 0, 64]] * 6}, "row 0 has no sha256"),
        ({"rows": [["", sha, "x", 0, 64] for sha in HASHES]}, "label ''"),
        ({"rows": [["a\nb", sha, "x", 0, 64] for sha in HASHES]}, "control characters"),
        ({"rows": [["sdxl", sha, "x", 0, 64] for sha in HASHES]}, "wrong digest"),
        ({"rows": [["sdxl", sha, "x", True, 64] for sha in HASHES]}, "row 0 is not"),
        ({"rows": [["sdxl", sha, "x", -1, 64] for sha in HASHES]}, "negative"),
        ({"rows": [["sdxl", sha, "x", 0, 2**31] for sha in HASHES]}, "huge"),
        ({"calibration": []}, "calibration is not of type dict"),
        ({"calibration": {}}, "calibration is not one"),
        ({"calibration": {"fitted_to": "x", "tables": {}}}, "calibration is not one"),
        ({"calibration": {"fitted_to": None, "tables": {}}}, "calibration cannot be used"),
        ({"extractor_digest": "0" * 63}, "not a sha256"),
        ({"extractor_digest": None}, "not of type str"),
        ({"extractor_digest": "0" * 64}, "wrong digest"),
        ({"checksum": "0" * 64}, "wrong digest"),
        ({"checksum": None}, "checksum is not of type str"),
    ],
)
def test_a_changed_header_is_refused(saved, change, why):
    rewrite(saved)
    Gallery.load(saved, CalibratedEmbedder())
    rewrite(saved, change)
    assert_refused(saved, why)


def test_a_missing_field_is_refused(saved):
    header = header_of(saved)
    del header["rows"]
    rewrite(saved, json.dumps(header))
    assert_refused(saved, "fields")


@pytest.mark.parametrize(
    ("fingerprints", "why"),
    [
        (torch.eye(DIM)[:6] * torch.nan, "unit length"),
        (torch.eye(DIM)[:6] * torch.inf, "unit length"),
        (torch.eye(DIM)[:6] * 0.9, "unit length"),
        (torch.eye(DIM)[:6].half(), "float32"),
        (torch.eye(DIM)[:6].int(), "float32"),
        (torch.eye(DIM)[:5], r"\[5, 16\]"),
        (torch.eye(DIM)[:6, :15].contiguous(), r"\[6, 15\]"),
        (torch.ones(()), r"\[\]"),
        (torch.eye(DIM)[:6], "wrong digest"),
    ],
)
def test_changed_fingerprints_are_refused(saved, fingerprints, why):
    rewrite(saved, fingerprints=fingerprints)
    assert_refused(saved, why)


def test_more_tensors_or_another_name_are_refused(saved):
    rewrite(saved, more=torch.ones(2))
    assert_refused(saved, "tensors")


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    assert_refused(tmp_path / "missing", "no such file")
    assert_refused(tmp_path, "not a file")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
        assert_refused(tmp_path / "fifo", "not a file")


# Saving


def files(folder):
    """What is in a folder besides locks."""
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    gallery, saved, monkeypatch, step, error
):
    before = saved.read_bytes()
    gallery.enroll("more", pictures(5, range(2)))

    def fails(*args, **options):
        raise error

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], fails)
    with pytest.raises(type(error)):
        gallery.save(saved)
    with pytest.raises(type(error)):
        gallery.save(saved.with_name("new"))
    assert saved.read_bytes() == before
    assert files(saved.parent) == [saved.name]


def test_a_process_killed_while_saving_leaves_the_old_file(saved):
    before = saved.read_bytes()
    script = f"""
import os, pathlib, sys
sys.path[:0] = {sys.path!r}
from modelprint.gallery_file import read_gallery, write_gallery
content = read_gallery({str(saved)!r})
pathlib.Path.replace = lambda *args: os._exit(9)
changed = content.index.without_label("sdxl")
write_gallery({str(saved)!r}, changed, content.extractor_digest, known=content.checksum)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == 9
    assert saved.read_bytes() == before
    Gallery.load(saved, CalibratedEmbedder())


@pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX")
def test_modes_and_links_are_kept(gallery, tmp_path):
    new, plain = tmp_path / "new", tmp_path / "plain"
    plain.touch()
    gallery.save(new)
    assert stat.S_IMODE(new.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    new.chmod(0o640)
    link = tmp_path / "latest"
    link.symlink_to(new)
    gallery.remove("sdxl")
    gallery.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert Gallery.load(new, CalibratedEmbedder()).labels == ("größer 🖼",)


def test_a_path_that_is_no_place_for_a_file_is_refused(gallery, tmp_path):
    for path in (tmp_path, tmp_path / "no" / "such", Path(os.devnull)):
        with pytest.raises(InvalidOptionError, match="path of a file in an existing folder"):
            gallery.save(path)
    assert files(tmp_path) == []


def test_a_gallery_that_no_reader_would_take_is_not_written(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(modelprint.gallery_file, "MAX_HEADER_BYTES", 100)
    with pytest.raises(InvalidOptionError, match="too many"):
        gallery.save(tmp_path / "g")
    assert files(tmp_path) == []


# Headers that ask for more than they are worth


def test_a_label_of_endless_ancestors_is_refused(gallery, saved):
    deep = "/".join("a" * 50_000)
    rewrite(saved, {"rows": [[deep, sha, "x", 0, 64] for sha in HASHES]})
    assert_refused(saved, "label 'a/a/a/.*got 99999 characters, above 500")
    with pytest.raises(InvalidOptionError, match="got 501 characters"):
        gallery.enroll("a" * 501, pictures(9, range(2)))
    gallery.enroll("a" * 500, pictures(9, range(2)))


def test_a_calibration_of_endless_tables_is_refused_at_once(gallery, saved):
    gallery.calibrate(fpr=0.2)
    gallery.save(saved)
    described = header_of(saved)["calibration"]
    table = {**described["tables"]["tables"][0], "scores": [0.0], "p_values": [1.0]}
    # Every size with every side would be four million.
    described["tables"]["tables"] = [{**table, "enrolled": i, "side_px": i} for i in range(1, 2001)]
    rewrite(saved, {"calibration": described})
    tracemalloc.start()
    assert_refused(saved, r"got \(enrolled, side_px\) \[\(1, 1\), .*, \.\.\.\]")
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()
