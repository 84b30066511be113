"""Images become rows of a gallery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

import torch
from torch import Tensor

from modelprint.batches import Images, decoded_batches
from modelprint.embedder import Embedder, degraded_of, fingerprints_of
from modelprint.errors import NothingToEnrollError
from modelprint.index import Index, Row, add_new, check_label
from modelprint.lineage import check_lineage, check_path


def rows_of(
    embedder: Embedder,
    index: Index,
    label: str,
    images: Images,
    progress: Callable[[int], None] | None,
) -> tuple[list[Row], Tensor, Tensor]:
    """Rows for images of a model, fingerprints `(n, D)` of these, and of degraded copies.

    The arguments, and what is raised, are those of `Gallery.enroll`.
    """
    # All checked again when the rows are added; here, so that hours of work do not come first.
    check_label(label)
    check_path(label)
    check_lineage((*index.templates.labels, label))
    known = dict(index.by_sha256)
    rows: list[Row] = []
    fingerprints: list[Tensor] = []
    degraded: list[Tensor] = []
    for batch in decoded_batches(images):
        for image in batch:
            # The bare name: a gallery can be mailed, and should not tell of the folders here.
            name = PurePath(image.name).name
            rows.append(Row(label, image.sha256, name, side_px=image.side_px))
            add_new(known, rows[-1])
        fingerprints.append(fingerprints_of(embedder, batch))
        degraded.append(degraded_of(embedder, batch, fingerprints[-1]))
        if progress is not None:
            progress(len(batch))
        del batch  # or it would stay in memory while the next one is decoded
    if not rows:
        raise NothingToEnrollError(
            f"no images came for {label!r}: expected at least one, better ten; "
            "a folder is read without its subfolders"
        )
    return rows, torch.cat(fingerprints), torch.cat(degraded)
