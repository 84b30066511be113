"""Random splits of a benchmark folder: who is enrolled, who is tested, who is left out.

A draw is made by hashing names, not by a random generator, so that any program in any language can
make the same one, and a model's draw does not depend on which other models lie beside it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.folder import PHOTOGRAPH, BenchmarkFolder
from modelprint.embedder import Embedder
from modelprint.index import Index, Row
from modelprint.reference import Reference

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Draw:
    """One random split of a folder.

    Attributes:
        enrolled: (L, E) image numbers enrolled for each model, in order of the draw.
        tested: (N,) bool, the images of models that are not enrolled.
        left_out: (L,) bool, the half of the models that the open-set question leaves out.
    """

    enrolled: Ints
    tested: Bools
    left_out: Bools

    @classmethod
    def of(cls, folder: BenchmarkFolder, *, enrolled: int, seed: int) -> Draw:
        """Enroll each model's first `enrolled` images by hash; leave out the first half of models.

        An image's hash is sha256("{seed}/{model}/{file name without suffix}"), a model's is
        sha256("{seed}/left-out/{model}").
        """
        chosen = []
        for model in range(len(folder.models)):
            images = np.flatnonzero(folder.model_of == model).tolist()
            chosen.append(
                sorted(images, key=lambda i: _hash(f"{seed}/{folder.keys[i]}"))[:enrolled]
            )
        tested = folder.model_of != PHOTOGRAPH
        tested[np.array(chosen).ravel()] = False
        order = sorted(folder.models, key=lambda model: _hash(f"{seed}/left-out/{model}"))
        out = set(order[: len(order) // 2])
        return cls(np.array(chosen), tested, np.array([model in out for model in folder.models]))

    def gallery(
        self,
        folder: BenchmarkFolder,
        embedder: Embedder,
        fingerprints: Tensor,
        degraded: Tensor,
        enrolled: int,
        models: Bools | None = None,
    ) -> Reference:
        """A gallery of each model's first `enrolled` images.

        Args:
            folder: The folder.
            embedder: Made the fingerprints.
            fingerprints: (N, D) of the folder's images.
            degraded: (N, D) of degraded copies of them.
            enrolled: How many images per model.
            models: (L,) which models are enrolled; None for all.
        """
        chosen = self.enrolled if models is None else self.enrolled[models]
        images = torch.from_numpy(chosen[:, :enrolled].ravel())
        rows = tuple(
            Row(folder.models[folder.model_of[i]], folder.keys[i], folder.keys[i])
            for i in images.tolist()
        )
        return Reference(embedder, Index(fingerprints[images], rows, degraded[images]))


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
