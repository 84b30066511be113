"""Which backend runs, and that modelprint needs no Triton."""

import subprocess
import sys

import pytest

from modelprint.errors import InvalidOptionError
from modelprint.kernels import backend as module
from modelprint.kernels import which_backend


@pytest.fixture
def machine(monkeypatch):
    """A machine with or without Triton and its interpreter."""

    def pretend(obstacle: str = "", interpret: str = "0"):
        monkeypatch.setattr(module, "_import_obstacle", lambda: obstacle)
        monkeypatch.setenv("TRITON_INTERPRET", interpret)

    return pretend


def test_auto_is_triton_on_a_cuda_device_that_has_it(machine):
    machine()
    assert which_backend("auto", "cuda")[0] == "triton"
    assert which_backend("auto", "cuda:1")[0] == "triton"
    assert which_backend("auto", "cpu") == ("torch", "the device is 'cpu', not 'cuda'")
    assert which_backend("auto", "mps") == ("torch", "the device is 'mps', not 'cuda'")


def test_auto_is_torch_where_triton_is_missing(machine):
    machine(obstacle="Triton is not installed")
    assert which_backend("auto", "cuda") == ("torch", "Triton is not installed")


def test_what_is_asked_for_runs(machine):
    machine()
    assert which_backend("torch", "cuda") == ("torch", "asked for")
    assert which_backend("triton", "cuda") == ("triton", "asked for")


def test_triton_where_it_cannot_run_is_a_clear_error(machine):
    machine()
    with pytest.raises(InvalidOptionError, match=r"'triton', but the device is 'cpu'.*'auto'"):
        which_backend("triton", "cpu")
    machine(obstacle="Triton is not installed")
    with pytest.raises(InvalidOptionError, match="but Triton is not installed"):
        which_backend("triton", "cuda")


def test_the_interpreter_runs_kernels_on_the_cpu_when_asked_for(machine):
    machine(interpret="1")
    assert which_backend("triton", "cpu")[0] == "triton"
    assert which_backend("auto", "cpu")[0] == "torch"


def test_an_unknown_backend_is_a_clear_error():
    with pytest.raises(InvalidOptionError, match=r"one of \('auto', 'triton', 'torch'\), got 'x'"):
        which_backend("x", "cpu")


def test_importing_modelprint_imports_no_triton():
    code = """
import sys, modelprint, modelprint.kernels.fused_layer, modelprint.kernels.channel_moments
assert not [name for name in sys.modules if name.split(".")[0] == "triton"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
