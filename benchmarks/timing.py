"""Clocks, ceilings and memory for benchmarks of speed."""

from __future__ import annotations

import gc
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Timed:
    """What running something took.

    Attributes:
        median_s: Median over the rounds, in seconds.
        quartiles_s: First and third quartile.
        rounds: How many times it ran.
        peak_bytes: Most memory in use meanwhile: of the device if it is a GPU, else of this
            process, all that it had before included.
    """

    median_s: float
    quartiles_s: tuple[float, float]
    rounds: int
    peak_bytes: int


def race(
    contestants: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, Timed]:
    """Time contestants in turn, round by round, so that all see the same machine; one warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    peaks = dict.fromkeys(contestants, 0)
    for number in range(rounds + 1):
        for name, run in contestants.items():
            reset_peak(device)
            elapsed = once(run, device)
            peaks[name] = max(peaks[name], peak_bytes(device))
            if number:
                seconds[name].append(elapsed)
    return {name: _timed(times, peaks[name]) for name, times in seconds.items()}


def once(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one run, until the device is done."""
    synchronise(device)
    started = time.perf_counter()
    run()
    synchronise(device)
    return time.perf_counter() - started


def _timed(seconds: list[float], peak: int) -> Timed:
    low, middle, high = (
        statistics.quantiles(seconds, n=4, method="inclusive")
        if len(seconds) > 1
        else [seconds[0]] * 3
    )
    return Timed(middle, (low, high), len(seconds), peak)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Start to measure the most memory in use anew, as far as the machine can."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        # 5 resets the high-water mark of this process (man 5 proc).
        _CLEAR.write_text("5", encoding="ascii")


def peak_bytes(device: torch.device) -> int:
    """Most memory in use since `reset_peak`; where that cannot be reset, since the start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
        if found:
            return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def ceilings(device: torch.device, *, quick: bool) -> dict[str, float]:
    """The best that this machine does in float32: arithmetic in GFLOP/s, copies in GB/s.

    The arithmetic is measured by a large matrix product and by a large convolution, since on some
    CPUs PyTorch's matrix product is far from what its convolutions reach; the ceiling is the
    larger one.
    """
    scale = 1 if device.type == "cpu" else 4
    side = (1024 if quick else 2048) * scale
    a, b = torch.rand(side, side, device=device), torch.rand(side, side, device=device)
    x = torch.rand(8 * scale, 128, 64, 64, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.rand(128, 128, 3, 3, device=device)
    source = torch.rand((16 if quick else 64) * scale << 20, device=device)
    target = torch.empty_like(source)
    best = _best(
        {
            "matmul": lambda: a @ b,
            "convolution": lambda: F.conv2d(x, weight, padding=1),
            "copy": lambda: target.copy_(source),
        },
        device,
    )
    result = {
        "matmul_gflop_s": 2 * side**3 / best["matmul"] / 1e9,
        "convolution_gflop_s": 2 * x.numel() * 128 * 9 / best["convolution"] / 1e9,
        "copy_gb_s": 2 * 4 * source.numel() / best["copy"] / 1e9,
    }
    result["gflop_s"] = max(result["matmul_gflop_s"], result["convolution_gflop_s"])
    return result


def _best(runs: Mapping[str, Callable[[], Tensor]], device: torch.device) -> dict[str, float]:
    """The shortest of several runs of each: a ceiling is what is possible."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(6):
        for name, run in runs.items():
            times[name].append(once(run, device))
    return {name: min(seconds[1:]) for name, seconds in times.items()}
