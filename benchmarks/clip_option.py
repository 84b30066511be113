"""`--clip SOURCE` and `--clip-layer N`: CLIP features beside ours, given a checkpoint."""

from __future__ import annotations

import argparse

from modelprint.backends.clip import ClipEmbedder
from modelprint.errors import InvalidOptionError


def add_clip(parser: argparse.ArgumentParser) -> None:
    """Add the two options to a command."""
    parser.add_argument(
        "--clip", metavar="SOURCE", help="a CLIP checkpoint as well: a folder or 'owner/name'"
    )
    parser.add_argument(
        "--clip-layer",
        type=int,
        metavar="N",
        help="its class token after N layers, instead of what it compares with texts",
    )


def clip_embedders(options: argparse.Namespace) -> dict[str, ClipEmbedder]:
    """The embedder that the options ask for, by its name in tables; none without `--clip`.

    Raises:
        InvalidOptionError: A layer without a checkpoint.
    """
    layer: int | None = options.clip_layer
    if options.clip is None:
        if layer is not None:
            raise InvalidOptionError("--clip-layer: expected --clip beside it.")
        return {}
    embedder = ClipEmbedder.from_pretrained(
        options.clip,
        output="projected" if layer is None else "class",
        layer=layer,
        device=options.device,
    )
    return {"clip" if layer is None else f"clip-layer-{layer}": embedder}
