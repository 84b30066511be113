"""What has to be so before any test module is imported."""

import os

import torch

# Triton reads this when kernels are defined. Its interpreter runs them without a GPU.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
