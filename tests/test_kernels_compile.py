"""That the kernels are more than what Triton's interpreter accepts: the compiler takes them too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed (there is none for this platform)")


def test_every_kernel_compiles_and_multiplies_on_tensor_cores(tmp_path):
    script = Path(__file__).with_name("compile_kernels.py")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert json.loads(run.stdout) == {
        "plain": True,
        "phases": True,
        "general": True,
        "parts": False,
        "merge": False,
    }
