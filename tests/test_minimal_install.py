"""What a plain `pip install modelprint` can do: everything but training and plots."""

import subprocess
import sys

import pytest

# Of the extras, and of what is often there by chance. tqdm is not among them: the hub's client
# needs it, so that it always comes along.
BLOCKED = ("matplotlib", "triton", "transformers", "sklearn", "scipy", "pandas", "torchvision")

SCRIPT = f"""
import sys
sys.path[:0] = {sys.path!r}

for name in {BLOCKED!r}:
    sys.modules[name] = None  # as if it were not installed
"""
USE = """
import numpy as np
import torch
import modelprint
from modelprint import cli

def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)

gallery = modelprint.Gallery(modelprint.FingerprintExtractor.from_pretrained(device="cpu"))
gallery.enroll("noise", [picture(0), picture(1)])
assert gallery.identify(picture(2)).to_dict()["candidates"][0]["label"] == "noise"
synthesizer = modelprint.ModelSynthesizer(space="paper", seed=0, device="cpu")
photos = torch.from_numpy(picture(3)).permute(2, 0, 1)[None]
images = synthesizer.generate(synthesizer.sample(1), photos)
assert images.shape[:2] == (1, 1)
assert cli.main(["env"]) == 0
"""
PLOT = """
from modelprint.errors import MissingExtraError
from modelprint.metrics import det_curve
from modelprint.plots import det_plot
try:
    det_plot({"a": det_curve([0.0, 1.0], [0.5, 2.0])})
except MissingExtraError as error:
    print(error)
"""


def run(script):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT + script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_it_works_without_the_extras():
    done = run(USE)
    assert done.returncode == 0, done.stderr
    assert "triton" in done.stdout


@pytest.mark.parametrize("name", BLOCKED[:2])
def test_the_block_blocks(name):
    assert f"import of {name} halted" in run(f"import {name}").stderr


def test_what_needs_an_extra_says_which():
    assert "pip install 'modelprint[plots]'" in run(PLOT).stdout
