"""Gallery files made here, and files around any header, for fuzzing to get past the framing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from modelprint.gallery_file import DEGRADED, FINGERPRINTS, METADATA_KEY, write_gallery
from modelprint.images import LoadedImage
from modelprint.index import Index, Row

EXTRACTOR_DIGEST = "0" * 64
DIM = 4


class FixedEmbedder:
    """An embedder for galleries that are opened and asked for their content, but never enrolled."""

    dim = DIM
    digest = EXTRACTOR_DIGEST

    def embed(
        self,
        images: Iterable[LoadedImage],
        *,
        batch_size: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> torch.Tensor:
        """Not called: no image is embedded."""
        raise NotImplementedError


def intact_gallery() -> bytes:
    """A gallery file of three models, two of which are one family."""
    labels = ("sdxl", "sdxl/lora-x", "flux")
    rows = [Row(label, f"{i:064x}", f"{i}.png", i, 64) for i, label in enumerate(labels)]
    unit = torch.eye(DIM)
    index = Index.empty(DIM).with_rows(rows, unit[: len(rows)], unit[-len(rows) :])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g"
        write_gallery(path, index, EXTRACTOR_DIGEST)
        return path.read_bytes()


def around(header: bytes) -> bytes:
    """A safetensors file of three fingerprints, twice, around what a gallery has for its header."""
    text, size = header.decode("utf-8", "replace"), 3 * DIM * 4
    whole = {
        "__metadata__": {METADATA_KEY: text},
        **{
            name: {"dtype": "F32", "shape": [3, DIM], "data_offsets": [n * size, (n + 1) * size]}
            for n, name in enumerate((FINGERPRINTS, DEGRADED))
        },
    }
    described = json.dumps(whole).encode()
    body = 2 * torch.eye(DIM)[:3].numpy().tobytes()
    return len(described).to_bytes(8, "little") + described + body


def header_in(gallery: bytes) -> bytes:
    """What a gallery file has for its header."""
    described = json.loads(gallery[8 : 8 + int.from_bytes(gallery[:8], "little")])
    text: str = described["__metadata__"][METADATA_KEY]
    return text.encode()
