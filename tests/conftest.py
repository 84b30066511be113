"""What has to be so before any test module is imported, and what several of them use."""

import os

import pytest
import torch

# Triton reads this when kernels are defined. Its interpreter runs them without a GPU.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture
def load(tmp_path):
    """Reads bytes as an image file that errors call x.png."""
    from modelprint.images import load_image  # not before the environment is set

    def load_bytes(data, **options):
        path = tmp_path / "image"
        path.write_bytes(data)
        return load_image(path, name="x.png", **options)

    return load_bytes
