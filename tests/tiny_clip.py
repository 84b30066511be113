"""A CLIP of a few thousand random weights, as a checkpoint on disk."""

import tempfile
from functools import cache
from pathlib import Path

import torch
import transformers

LAYERS, WIDTH, PROJECTED, SIDE_PX = 3, 32, 24, 32


def model() -> transformers.CLIPModel:
    shape = {"num_hidden_layers": LAYERS, "hidden_size": WIDTH, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        vision_config={**shape, "intermediate_size": 64, "image_size": SIDE_PX, "patch_size": 8},
        text_config={**shape, "intermediate_size": 16, "vocab_size": 64},
        projection_dim=PROJECTED,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.CLIPModel(config).eval()


@cache
def files() -> dict[str, bytes]:
    """Every file of the checkpoint by name."""
    processor = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": SIDE_PX}, crop_size={"height": SIDE_PX, "width": SIDE_PX}
    )
    with tempfile.TemporaryDirectory() as folder:
        model().save_pretrained(folder)
        processor.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def write(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in files().items():
        (folder / name).write_bytes(content)
    return folder
