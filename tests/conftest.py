"""What has to be so before any test module is imported, and what several of them use."""

import os

import pytest

# Test processes that run side by side share the cores, instead of waiting for each other's threads.
# PyTorch reads this when it is imported, as do the processes that tests start.
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _PROCESSES > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _PROCESSES)))

import torch  # noqa: E402  # not before the environment is set

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
