"""A benchmark folder on disk: `images/<model>/*`, `real/*` and, optionally, `index.json`.

Files `sharedNN` of different models were made from the same photograph NN.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelprint.errors import InvalidOptionError
from modelprint.images import LoadedImage, iter_sources, load_image

Ints = NDArray[np.int64]

PHOTOGRAPH = -1
NOT_SHARED = -1

_SHARED = re.compile(r"shared(\d+)")


@dataclass(frozen=True)
class BenchmarkFolder:
    """Images of several models, and photographs.

    Attributes:
        name: of the folder.
        models: L names, sorted.
        files: N paths: the models' images, model by model and sorted by name, then photographs.
        model_of: (N,) index of the model that made each image, PHOTOGRAPH for a photograph.
        photo_of: (N,) number of the shared photograph each was made from, or NOT_SHARED.
    """

    name: str
    models: tuple[str, ...]
    files: tuple[Path, ...]
    model_of: Ints
    photo_of: Ints

    @classmethod
    def open(cls, path: Path, *, least_images: int) -> BenchmarkFolder:
        """List a folder; no image is read.

        Raises:
            InvalidOptionError: the layout is not that of a benchmark, a model has fewer than
                `least_images`, or index.json counts other images than there are.
        """
        if not (path / "images").is_dir():
            raise InvalidOptionError(
                f"{path}: expected a folder with images/<model>/ and, for unknowns, real/."
            )
        models = tuple(sorted(p.name for p in (path / "images").iterdir() if _is_model(p)))
        by_model = [_files(path / "images" / model) for model in models]
        if len(models) < 2:
            raise InvalidOptionError(f"{path}: expected two models or more, got {list(models)}.")
        for model, files in zip(models, by_model, strict=True):
            if len(files) < least_images:
                raise InvalidOptionError(
                    f"{path}: expected {least_images} images of {model} or more, got "
                    f"{len(files)}; enroll fewer, or leave the model out."
                )
        counts = {model: len(files) for model, files in zip(models, by_model, strict=True)}
        _check_index(path / "index.json", counts)
        photographs = _files(path / "real") if (path / "real").is_dir() else []
        everything = tuple(file for group in [*by_model, photographs] for file in group)
        model_of = np.repeat(
            [*range(len(models)), PHOTOGRAPH], [*map(len, by_model), len(photographs)]
        )
        shared = [_SHARED.fullmatch(file.stem) for file in everything]
        photo_of = np.array([int(match[1]) if match else NOT_SHARED for match in shared])
        photo_of[model_of == PHOTOGRAPH] = NOT_SHARED
        return cls(path.resolve().name, models, everything, model_of, photo_of)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """N names such as "sd14/07" that say which image is meant, whatever its file format."""
        return tuple(f"{file.parent.name}/{file.stem}" for file in self.files)

    @property
    def photographs(self) -> int:
        """Number of photographs."""
        return int((self.model_of == PHOTOGRAPH).sum())

    @property
    def shared_inputs(self) -> int:
        """Number of images made from a shared photograph."""
        return int((self.photo_of != NOT_SHARED).sum())

    def load(self) -> Iterator[LoadedImage]:
        """The images, decoded one by one."""
        return (load_image(file) for file in self.files)

    def digest(self) -> str:
        """sha256 over the names and bytes of all files: which data a figure belongs to."""
        total = hashlib.sha256()
        for key, file in zip(self.keys, self.files, strict=True):
            total.update(f"{key} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return total.hexdigest()


def facts(folder: BenchmarkFolder) -> dict[str, object]:
    """What a record says of the images that its figures were measured on."""
    return {
        "folder": folder.name,
        "digest": folder.digest(),
        "models": list(folder.models),
        "images": len(folder.files) - folder.photographs,
    }


def _is_model(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and bool(_files(path))


def _files(folder: Path) -> list[Path]:
    return [Path(name) for name, _ in iter_sources(folder)]


def _check_index(path: Path, counts: dict[str, int]) -> None:
    """Refuse an incomplete copy: figures from one would pass for figures from the whole."""
    if not path.exists():
        return
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        expected = {entry["model"]: entry["images"] for entry in entries}
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidOptionError(
            f"{path}: expected a list of objects with 'model' and 'images' ({error!r}); "
            "repair it or remove it, it is optional."
        ) from error
    wrong = [
        f"{model}: {expected.get(model, 0)} listed, {counts.get(model, 0)} found"
        for model in sorted({*expected, *counts})
        if expected.get(model, 0) != counts.get(model, 0)
    ]
    if wrong:
        raise InvalidOptionError(
            f"{path} does not describe this folder ({'; '.join(wrong)}); copy the folder again."
        )
