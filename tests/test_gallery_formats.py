"""Files of earlier formats are read; what later ones added is kept."""

import hashlib
import json

import numpy as np
import pytest
import torch
from fakes import DIM, CalibratedEmbedder, CosineEmbedder, picture, pictures
from gallery_files import HASHES, assert_refused, header_of, rewrite
from safetensors.torch import load_file, save_file

from modelprint.errors import InvalidGalleryFileError
from modelprint.features.degradations import degraded_copy
from modelprint.gallery import Gallery
from modelprint.images import load_image
from modelprint.index import Index


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


def written_by_the_first_version(path):
    """Two models as modelprint 0.1 wrote them, byte by byte."""
    rows = [["sdxl", f"{1:064x}", "a.png"], ["sdxl", f"{2:064x}", "b.png"]]
    rows += [["a / b", f"{3:064x}", "c.png"]]  # no path of today's, and yet a label
    values = np.zeros((3, DIM), "<f4")
    values[[0, 1, 2], [0, 1, 2]] = 1
    extractor = CalibratedEmbedder().digest
    whole = hashlib.sha256(f"modelprint gallery {extractor}\n".encode())
    for (label, sha256, _), row in zip(rows, values, strict=True):
        whole.update(json.dumps([label, sha256]).encode() + b"\n" + row.tobytes())
    gallery = {
        "format_version": 1,
        "extractor_digest": extractor,
        "digest": whole.hexdigest(),
        "dim": DIM,
        "rows": rows,
    }
    header = json.dumps(
        {
            "__metadata__": {"modelprint_gallery": json.dumps(gallery, separators=(",", ":"))},
            "fingerprints": {
                "dtype": "F32",
                "shape": [3, DIM],
                "data_offsets": [0, values.nbytes],
            },
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())
    return whole.hexdigest()


def test_a_file_of_the_first_format_is_read_and_saved_in_the_new_one(tmp_path):
    path = tmp_path / "old.gallery"
    digest = written_by_the_first_version(path)
    gallery = Gallery.load(path, CalibratedEmbedder())
    assert gallery.labels == ("sdxl", "a / b")
    assert gallery.digest == digest
    rows = gallery._index.rows
    assert [row.name for row in rows] == ["a.png", "b.png", "c.png"]
    assert {(row.enrolment, row.side_px) for row in rows} == {(0, 0)}
    gallery.enroll("sdxl", pictures(1, range(2)))
    assert [row.enrolment for row in gallery._index.rows] == [0, 0, 0, 1, 1]
    gallery.save(path)
    assert header_of(path)["format_version"] == 3
    assert Gallery.load(path, CalibratedEmbedder()).digest == gallery.digest


def test_a_damaged_file_of_the_first_format_is_refused(tmp_path):
    path = tmp_path / "old.gallery"
    written_by_the_first_version(path)
    rewrite(path)
    Gallery.load(path, CalibratedEmbedder())
    rewrite(path, {"digest": "0" * 64})
    assert_refused(path, "wrong digest")
    written_by_the_first_version(path)
    rewrite(path, {"rows": [["sdxl", sha, "x", 0, 64] for sha in HASHES[:3]]})
    assert_refused(path, "row 0 is not")
    written_by_the_first_version(path)
    rewrite(path, {"calibration": None})
    assert_refused(path, "fields")


# What format 2 adds


def test_enrolments_and_sides_are_kept(gallery, saved):
    gallery.enroll("sdxl", pictures(1, range(10, 12)))
    gallery.save(saved)
    rows = Gallery.load(saved, CalibratedEmbedder())._index.rows
    assert [row.enrolment for row in rows] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert {row.side_px for row in rows} == {64}


def test_a_calibration_of_the_gallerys_own_is_kept(gallery, saved):
    plain = gallery.digest
    gallery.calibrate(fpr=0.2)
    gallery.save(saved)
    loaded = Gallery.load(saved, CalibratedEmbedder())
    assert loaded.calibration == gallery.calibration
    assert loaded.calibration.default_fpr == 0.2
    assert loaded.digest == gallery.digest != plain
    rewrite(saved, {"calibration": None})
    assert_refused(saved, "wrong digest")
    gallery.save(saved, overwrite=True)
    described = header_of(saved)["calibration"]
    described["tables"]["tables"] = []
    rewrite(saved, {"calibration": described})
    assert_refused(saved, "calibration cannot be used: expected impostor tables")


# What format 3 adds


@pytest.fixture
def adapted():
    """A gallery of an embedder without a scorer of its own."""
    filled = Gallery(CosineEmbedder())
    filled.enroll("sdxl", pictures(1, range(3)))
    filled.enroll("flux", pictures(2, range(2)))
    return filled


def test_degraded_copies_are_kept(adapted, tmp_path):
    path = tmp_path / "g"
    adapted.save(path)
    index, loaded = adapted._index, Gallery.load(path, CosineEmbedder())._index
    torch.testing.assert_close(loaded.degraded, index.degraded, atol=0, rtol=0)
    images = [degraded_copy(load_image(pixels)) for pixels in pictures(2, range(2))]
    torch.testing.assert_close(index.degraded[3:], CosineEmbedder().embed(images))
    assert not torch.allclose(index.degraded, index.fingerprints, atol=1e-3)
    adapted.remove("sdxl")
    assert torch.equal(adapted._index.degraded, index.degraded[3:])
    other = Gallery(CosineEmbedder())
    other.enroll("pixart", pictures(3, range(2)))
    other.merge(adapted)
    assert torch.equal(other._index.degraded[2:], index.degraded[3:])


def test_they_decide_answers_and_so_the_digest(adapted):
    index, before = adapted._index, adapted.digest
    for row in range(5):
        degraded = index.degraded.clone()
        degraded[row] = degraded[row].roll(1)
        adapted._replace(Index(index.fingerprints, index.rows, degraded))
        assert adapted.digest != before


def test_a_file_of_the_second_format_is_read_as_if_images_were_their_copies(adapted, tmp_path):
    path = tmp_path / "g"
    adapted.save(path)
    header = {**header_of(path), "format_version": 2}
    del header["checksum"]
    fingerprints = load_file(path)["fingerprints"]
    described = json.dumps(dict(sorted(header.items())), separators=(",", ":")).encode()
    checksum = hashlib.sha256(described + b"\n" + fingerprints.numpy().tobytes()).hexdigest()
    text = json.dumps({**header, "checksum": checksum}, separators=(",", ":"))
    save_file({"fingerprints": fingerprints}, path, {"modelprint_gallery": text})
    loaded = Gallery.load(path, CosineEmbedder())
    assert torch.equal(loaded._index.degraded, loaded._index.fingerprints)
    assert loaded.identify(picture(2, 9)).candidates[0].label == "flux"
    loaded.save(path)
    assert header_of(path)["format_version"] == 3
    assert Gallery.load(path, CosineEmbedder()).digest == loaded.digest


def test_changed_copies_are_refused(adapted, tmp_path):
    path = tmp_path / "g"
    adapted.save(path)
    good = load_file(path)
    for degraded, why in (
        (good["degraded"] * 0.9, "fingerprints of degraded copies are not float32 rows"),
        (good["degraded"][:4], r"fingerprints of degraded copies have shape \[4, 16\]"),
        (good["degraded"].roll(1, 0), "wrong digest"),
    ):
        rewrite(path, degraded=degraded)
        with pytest.raises(InvalidGalleryFileError, match=why):
            Gallery.load(path, CosineEmbedder())
