"""A gallery as one file: safetensors, with the rows' labels and hashes in its header.

```
tensor    fingerprints          (N, D) float32
tensor    degraded              (N, D) float32, of a degraded copy of each image
metadata  modelprint_gallery    JSON: format_version, extractor_digest, checksum, dim,
                                rows [[label, sha256, name, enrolment, side_px], ...],
                                calibration: null, or {fitted_to, tables}: the digest of the
                                enrolled images it was fitted to, and Calibration.to_dict()
```

The same gallery always makes the same bytes. Nothing in a file is executed, and nothing in it is
believed before it is checked. Files of format 2, without degraded copies, are read as well, the
images standing for them; and of format 1, which had `digest` for `checksum`, and neither
enrolments, sides nor a calibration: all of their images count as one enrolment.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from modelprint.calibration import Calibration, OwnCalibration
from modelprint.embedder import SHA256_HEX, are_unit_rows
from modelprint.errors import (
    DuplicateImageError,
    GalleryChangedError,
    InvalidGalleryFileError,
    InvalidOptionError,
    InvalidWeightsError,
)
from modelprint.files import replace_files
from modelprint.index import Index, Row, check_label
from modelprint.locking import place_of, remove_leftovers

FORMAT_VERSION = 3
METADATA_KEY = "modelprint_gallery"
FINGERPRINTS, DEGRADED = "fingerprints", "degraded"
_WHAT = {FINGERPRINTS: "fingerprints", DEGRADED: "fingerprints of degraded copies"}
MAX_DIM = 1_000_000
# Readers of safetensors refuse a longer header, so a longer one must never be written.
MAX_HEADER_BYTES = 100_000_000
_MOST = 2**31


@dataclass(frozen=True, eq=False)
class GalleryContent:
    """What is in a gallery file.

    Attributes:
        index: The enrolled images.
        extractor_digest: Of the extractor that made their fingerprints.
        own: The gallery's calibration, or None.
        checksum: Of the file.
    """

    index: Index
    extractor_digest: str
    own: OwnCalibration | None
    checksum: str


def content_digest(index: Index, extractor_digest: str, own: OwnCalibration | None = None) -> str:
    """Sha256 in hex of all that decides a gallery's answers.

    It covers the extractor, a calibration of the gallery's own, and each row's label, image and
    fingerprints, but neither their order nor the images' names and enrolments.
    """
    whole = hashlib.sha256(f"modelprint gallery {extractor_digest}\n".encode())
    values, degraded = _little_endian(index.fingerprints), _little_endian(index.degraded)
    for _, i in sorted((row.sha256, i) for i, row in enumerate(index.rows)):
        row, value, of_copy = index.rows[i], values[i].tobytes(), degraded[i].tobytes()
        whole.update(json.dumps([row.label, row.sha256]).encode() + b"\n" + value)
        # As before there were copies, where there is none.
        whole.update(b"" if of_copy == value else of_copy)
    if own is not None:
        whole.update(json.dumps(_described(own), sort_keys=True).encode())
    return whole.hexdigest()


def write_gallery(
    path: str | os.PathLike[str],
    index: Index,
    extractor_digest: str,
    own: OwnCalibration | None = None,
    *,
    known: str | None = None,
    overwrite: bool = False,
) -> str:
    """Write a gallery file; whatever goes wrong, an older file under that path stays whole.

    The caller holds the lock of `path`.

    Args:
        path: Where to.
        index: The enrolled images.
        extractor_digest: Of the extractor that made their fingerprints.
        own: The gallery's calibration, or None.
        known: Checksum of the older file that may be replaced, besides one of the same content.
        overwrite: Replace any.

    Returns:
        The checksum of what stands there now.

    Raises:
        InvalidOptionError: `path` is not a place for a file, or the gallery is too large for one.
        GalleryChangedError: Something else stands there.
        OSError: The file system refused.
    """
    target = place_of(path)
    header = {
        "format_version": FORMAT_VERSION,
        "extractor_digest": extractor_digest,
        "dim": index.dim,
        "rows": index.rows,
        "calibration": None if own is None else _described(own),
    }
    tensors = {FINGERPRINTS: index.fingerprints, DEGRADED: index.degraded}
    checksum = _checksum(header, tensors)
    header["checksum"] = checksum
    content = to_safetensors(tensors, {METADATA_KEY: _compact(header)})
    if int.from_bytes(content[:8], "little") > MAX_HEADER_BYTES:
        raise InvalidOptionError(
            f"{len(index.rows)} enrolled images are too many for one gallery file: "
            "enroll fewer per model, or split the models over several galleries"
        )
    if not overwrite and _stored_checksum(target) not in (None, known, checksum):
        raise GalleryChangedError(
            f"{path} does not hold what was loaded or saved here: somebody has changed it since, "
            "or it was never loaded. To add to it, use `with Gallery.update(path) as gallery`; "
            "to replace it, save with overwrite=True"
        )
    remove_leftovers(target)
    replace_files({target: content})
    return checksum


def read_gallery(path: str | os.PathLike[str]) -> GalleryContent:
    """Read a gallery file.

    Raises:
        InvalidGalleryFileError: No such file, or it is damaged, not a gallery or of a newer format.
    """
    # Opening a FIFO would wait for a writer for ever.
    if not Path(path).is_file():
        _refuse(path, "it is not a file" if Path(path).exists() else "there is no such file")
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            header = _header((file.metadata() or {}).get(METADATA_KEY))
            names = [FINGERPRINTS, DEGRADED] if header["format_version"] > 2 else [FINGERPRINTS]
            if sorted(file.keys()) != sorted(names):
                raise _UnusableError(f"it holds the tensors {sorted(file.keys())}")
            expected = [len(header["rows"]), header["dim"]]
            for name in names:
                shape = file.get_slice(name).get_shape()
                if shape != expected:
                    raise _UnusableError(
                        f"its {_WHAT[name]} have shape {shape}, its header says {expected}"
                    )
            tensors = {name: file.get_tensor(name) for name in names}
        return _content(header, tensors)
    except SafetensorError as error:
        _refuse(path, f"it is damaged or not a gallery ({error})")
    except _UnusableError as error:
        _refuse(path, str(error))


def _stored_checksum(path: Path) -> str | None:
    """Of the gallery in a file; empty if there is something else; None if there is nothing."""
    # An empty file, as those made for temporary use, holds nothing that could be lost.
    if not path.exists() or not path.stat().st_size:
        return None
    try:
        return read_gallery(path).checksum
    except InvalidGalleryFileError:
        return ""


class _UnusableError(Exception):
    """What is wrong with a file, without its name."""


def _refuse(path: str | os.PathLike[str], problem: str) -> NoReturn:
    raise InvalidGalleryFileError(
        f"{os.fspath(path)} cannot be read: {problem}; expected a file that Gallery.save wrote"
    )


def _header(text: str | None) -> dict[str, Any]:
    if text is None:
        raise _UnusableError("it is a safetensors file, but not a gallery")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _UnusableError("its header is not JSON") from error
    version = header.get("format_version") if isinstance(header, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise _UnusableError(
            f"it has format {version}, written by a newer modelprint, and this one reads up to "
            f"{FORMAT_VERSION}: upgrade with pip install -U modelprint"
        )
    if type(version) is not int or version < 1:
        raise _UnusableError(f"its format version is {version!r}")
    fields: dict[str, tuple[type, ...]] = {
        "extractor_digest": (str,),
        "dim": (int,),
        "rows": (list,),
        **({"digest": (str,)} if version == 1 else {"checksum": (str,)}),
        **({} if version == 1 else {"calibration": (dict, type(None))}),
    }
    if set(header) != {"format_version", *fields}:
        raise _UnusableError(f"its header has the fields {sorted(header)}")
    for field, expected in fields.items():
        if type(header[field]) not in expected:
            raise _UnusableError(f"its {field} is not of type {expected[0].__name__}")
    if not SHA256_HEX.fullmatch(header["extractor_digest"]) or not 1 <= header["dim"] <= MAX_DIM:
        raise _UnusableError(
            f"its extractor digest is not a sha256, or its dim not in 1 to {MAX_DIM}"
        )
    fields_of_file: dict[str, Any] = header
    return fields_of_file


def _content(header: dict[str, Any], tensors: dict[str, Tensor]) -> GalleryContent:
    extractor_digest, first_format = header["extractor_digest"], header["format_version"] == 1
    rows = [[*row, 0, 0] if isinstance(row, list) else row for row in header["rows"]]
    index = _index(tensors, rows if first_format else header["rows"])
    own = _own(header.get("calibration"))
    if first_format:
        intact = content_digest(index, extractor_digest) == header["digest"]
    else:
        saved = {key: value for key, value in header.items() if key != "checksum"}
        intact = _checksum(saved, tensors) == header["checksum"]
    if not intact:
        raise _UnusableError("its content is not what was saved (wrong digest)")
    checksum = header["digest" if first_format else "checksum"]
    return GalleryContent(index, extractor_digest, own, checksum)


def _described(own: OwnCalibration) -> dict[str, Any]:
    return {"fitted_to": own.fitted_to, "tables": own.calibration.to_dict()}


def _own(described: dict[str, Any] | None) -> OwnCalibration | None:
    if described is None:
        return None
    fitted_to = described.get("fitted_to")
    known = isinstance(fitted_to, str) and SHA256_HEX.fullmatch(fitted_to)
    if set(described) != {"fitted_to", "tables"} or not (fitted_to is None or known):
        raise _UnusableError("its calibration is not one of a gallery")
    try:
        return OwnCalibration(Calibration.from_dict(described["tables"]), fitted_to)
    except InvalidWeightsError as error:
        raise _UnusableError(f"its calibration cannot be used: {error.__cause__}") from error


def _checksum(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """Sha256 in hex of the header, without itself, and the fingerprints."""
    whole = hashlib.sha256(_compact(dict(sorted(header.items()))).encode() + b"\n")
    for values in tensors.values():
        whole.update(_little_endian(values).tobytes())
    return whole.hexdigest()


def _little_endian(fingerprints: Tensor) -> NDArray[np.float32]:
    return fingerprints.numpy().astype("<f4")


def _compact(header: dict[str, Any]) -> str:
    return json.dumps(header, separators=(",", ":"))


def _index(tensors: dict[str, Tensor], described: Iterable[Any]) -> Index:
    for name, values in tensors.items():
        if values.dtype != torch.float32 or not are_unit_rows(values):
            raise _UnusableError(f"its {_WHAT[name]} are not float32 rows of unit length")
    rows = []
    for number, parts in enumerate(described):
        kinds = [type(part) for part in parts] if isinstance(parts, list) else []
        if kinds != [str, str, str, int, int]:
            raise _UnusableError(f"row {number} is not [label, sha256, name, enrolment, side_px]")
        row = Row(*parts)
        if not SHA256_HEX.fullmatch(row.sha256):
            raise _UnusableError(f"row {number} has no sha256")
        if not (0 <= row.enrolment < _MOST and 0 <= row.side_px < _MOST):
            raise _UnusableError(f"row {number} has a number that is negative or huge")
        rows.append(row)
    try:
        for label in {row.label for row in rows}:
            check_label(label)
        # This copies: what was read is backed by the file, and would change or vanish with it.
        fingerprints = tensors[FINGERPRINTS]
        degraded = tensors.get(DEGRADED, fingerprints)
        return Index.empty(fingerprints.shape[1]).with_rows(rows, fingerprints, degraded)
    except (InvalidOptionError, DuplicateImageError) as error:
        raise _UnusableError(str(error)) from error
