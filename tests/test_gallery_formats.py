"""Files of the first format are read; what the second added is kept."""

import hashlib
import json

import numpy as np
import pytest
from fakes import DIM, CalibratedEmbedder, pictures
from gallery_files import HASHES, assert_refused, header_of, rewrite

from modelprint.gallery import Gallery


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
    assert header_of(path)["format_version"] == 2
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
