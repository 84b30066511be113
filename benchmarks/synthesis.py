"""How fast synthetic models are drawn, fitted and run: `python -m benchmarks.synthesis`.

In one run, on the same models of the space "paper" and the same photographs:

(a) the reference way: one model and one photograph at a time, plain PyTorch modules, NCHW
(b) one model at a time, all its photographs at once
(c) the best that stock PyTorch has for many models: `torch.func.vmap` over those of one
    architecture, which makes grouped convolutions of theirs
(d) `modelprint`
(e) `modelprint` with `precision="bfloat16"`

All start from fitted models and end with bytes in the memory of the CPU. Before anything is timed
their images are compared; if any pixel is more than a grey level from (a), four for (e), no speed
is printed.
Four seeds of each architecture are run, so that (c) has something to put together.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.plain_models import PlainModel, Stacked, model_by_model, one_by_one
from benchmarks.record import check_place, write_record
from benchmarks.report import environment
from benchmarks.synthesis_report import tables
from benchmarks.timing import ceilings, once, peak_bytes, race, reset_peak
from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.kernels import which_backend
from modelprint.synthesis.batched import Runner
from modelprint.synthesis.fitting import FITS, fitted
from modelprint.synthesis.parameters import Parameters
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.rendering import models_at_once, rendered_by
from modelprint.synthesis.space import PAPER
from modelprint.synthesis.spec import ModelSpec
from modelprint.synthesis.synthesizer import ModelSynthesizer

SEEDS = 4
MODELS_OF_PAPER = 5760
PAPER_SECONDS_PER_MODEL = 83.0  # Yang et al. 2025, on an RTX 3090
MOST_GREY_LEVELS = {"a": 0, "b": 1, "c": 1, "d": 1, "e": 4}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        check_place(options.json)
        most = SEEDS * PAPER.size
        if options.photos < 1 or not 1 <= options.models <= most or options.models % SEEDS:
            raise InvalidOptionError(
                f"expected --photos of 1 or more and --models a multiple of {SEEDS} up to {most}, "
                f"got {options.photos} and {options.models}"
            )
        if options.size_px < 32 or options.size_px % 4:
            raise InvalidOptionError(
                f"expected --size-px of 32 or more that 4 divides, got {options.size_px}"
            )
        with torch.no_grad():
            record = measure(options)
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    print(tables(record))
    if options.json is not None:
        write_record(options.json, record)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.synthesis",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--models", type=int, default=64, metavar="M", help="default: %(default)s")
    add("--photos", type=int, default=4, metavar="K", help="default: %(default)s")
    add("--size-px", type=int, default=128, metavar="PX", help="default: %(default)s")
    add("--device", default="cpu", help="default: %(default)s")
    add("--backend", default="auto", help="auto, triton or torch; default: %(default)s")
    add("--seconds", type=float, default=240.0, help="for each growth; default: %(default)s")
    add("--quick", action="store_true", help="few rounds, few points, 8 models, 64 pixels")
    add("--json", type=Path, metavar="PATH", help="write the figures and what they belong to")
    return parser


def measure(options: argparse.Namespace) -> dict[str, object]:
    """All figures, as they are written to JSON.

    Raises:
        SystemExit: Images that should be equal are not.
    """
    if options.quick:
        options.models, options.photos, options.size_px = 8, 2, 64
        options.seconds = min(options.seconds, 10.0)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    device = torch.device(options.device)
    if device.type == "cuda":
        # Float32 is float32 for every contestant.
        torch.backends.cudnn.allow_tf32 = False
    backend, why = which_backend(options.backend, device)
    photos = draw_pictures(options.photos, seed=1, size_px=options.size_px).float().to(device) / 255
    models = _models(options.models)
    _log(f"backend {backend}: {why}; {len(models)} models, photographs {tuple(photos.shape)}")
    runner = Runner(backend, device, models_at_once(device, photos))
    with runner:
        started = time.perf_counter()
        parameters = fitted(models, "ridge", runner)
        _log(f"fitted in {time.perf_counter() - started:.1f} s")
        plain = [
            PlainModel(model.architecture, numbers).eval().to(device)
            for model, numbers in zip(models, parameters, strict=True)
        ]
        stacked = Stacked(plain, [model.architecture for model in models])
        contestants: dict[str, Callable[[], Tensor]] = {
            "a": lambda: one_by_one(plain, photos),
            "b": lambda: model_by_model(plain, photos),
            "c": lambda: stacked(photos),
            "d": lambda: torch.stack(rendered_by(models, parameters, photos, runner)),
            "e": lambda: torch.stack(rendered_by(models, parameters, photos, runner, "bfloat16")),
        }
        equality = _compared(contestants)
        top = ceilings(device, quick=options.quick)
        _log(f"ceilings {top}")
        timed = race(contestants, 2 if options.quick else 7, device)
        work = _work(plain, photos[:1])
        growth_K = _growth_with_photos(models[:16], parameters[:16], options, runner, device)
    images = len(models) * len(photos)
    ways = {
        name: {
            **asdict(result),
            "ms_per_image": 1000 * result.median_s / images,
            "images_per_s": images / result.median_s,
            "times_faster_than_a": timed["a"].median_s / result.median_s,
            "share_of_arithmetic_ceiling": work["gflop"]
            * len(photos)
            / result.median_s
            / top["gflop_s"],
            "share_of_copy_ceiling": work["gb"] * len(photos) / result.median_s / top["copy_gb_s"],
        }
        for name, result in timed.items()
    }
    return {
        "models": len(models),
        "photos": len(photos),
        "size_px": options.size_px,
        "space": "paper",
        "device": str(device),
        "backend": {"name": backend, "why": why},
        "equality": equality,
        "ceilings": top,
        "work_of_all_models_on_one_photograph": work,
        "ways": ways,
        "growth_with_photos": growth_K,
        "growth_with_models": _growth_with_models(options, device),
        "fits": _fits(options, backend, device),
        "sample": _sample(),
        "load_average_before": load,
        "environment": environment(str(device)),
    }


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _models(count: int) -> list[ModelSpec]:
    """Four seeds of architectures in random order."""
    order = Draws("benchmark", "architectures").permutation(PAPER.size)
    all_models = ModelSynthesizer("paper", seed=0).sample(SEEDS * PAPER.size)
    return [
        all_models[int(order[number]) + PAPER.size * seed]
        for number in range(count // SEEDS)
        for seed in range(SEEDS)
    ]


def _compared(contestants: dict[str, Callable[[], Tensor]]) -> dict[str, dict[str, float]]:
    expected = contestants["a"]().int()
    equality = {}
    for name, run in contestants.items():
        difference = (run().int() - expected).abs()
        equality[name] = {
            "largest_difference_grey_levels": int(difference.max()),
            "mean_difference_grey_levels": float(difference.float().mean()),
            "share_of_values_that_differ": float((difference > 0).float().mean()),
        }
        if difference.max() > MOST_GREY_LEVELS[name]:
            raise SystemExit(
                f"the images of ({name}) differ from those of (a) by up to {int(difference.max())} "
                "grey levels: no speed is worth printing"
            )
    _log(f"equal: {equality}")
    return equality


def _work(plain: Sequence[PlainModel], photo: Tensor) -> dict[str, float]:
    """What the models compute on one photograph, as they are defined: GFLOP and GB.

    Traffic counts what every convolution reads and writes, once, in float32.
    """
    moved = 0

    def count(module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            moved += 4 * (inputs[0].numel() + output.numel() + module.weight.numel())

    hook = torch.nn.modules.module.register_module_forward_hook(count)
    try:
        with FlopCounterMode(display=False) as counter:
            for model in plain:
                model(photo)
    finally:
        hook.remove()
    return {"gflop": counter.get_total_flops() / 1e9, "gb": moved / 1e9}


def _growth_with_photos(
    models: Sequence[ModelSpec],
    parameters: Sequence[Parameters],
    options: argparse.Namespace,
    runner: Runner,
    device: torch.device,
) -> list[dict[str, float]]:
    """Rendering alone, of fitted models."""
    points = []
    for count in (1, 4, 16) if options.quick else (1, 4, 16, 64):
        photos = draw_pictures(count, seed=2, size_px=options.size_px).float().to(device) / 255
        render = partial(rendered_by, models, parameters, photos, runner)
        timed = race({"d": render}, 3, device)["d"]
        images = len(models) * count
        points.append(
            {
                "models": len(models),
                "photos": count,
                "ms_per_image": 1000 * timed.median_s / images,
                "peak_bytes": timed.peak_bytes,
            }
        )
        _log(f"growth with photographs: {points[-1]}")
    return points


def _growth_with_models(
    options: argparse.Namespace, device: torch.device
) -> list[dict[str, float]]:
    """`generate` as users call it: drawn, fitted and rendered, with K photographs."""
    photos = draw_pictures(options.photos, seed=1, size_px=options.size_px)
    synthesizer = ModelSynthesizer(
        "paper", seed=0, device=device, backend=options.backend, fit="ridge"
    )
    points: list[dict[str, float]] = []
    spent = 0.0
    for count in (16, 64, 256, 1024, 4096):
        if points and spent + points[-1]["seconds"] * count / points[-1]["models"] > (
            options.seconds
        ):
            _log(f"growth with models: {count} would go over --seconds {options.seconds:g}")
            break
        models = synthesizer.sample(count)
        reset_peak(device)
        seconds = once(partial(synthesizer.generate, models, photos), device)
        spent += seconds
        points.append(
            {
                "models": count,
                "photos": len(photos),
                "seconds": seconds,
                "ms_per_model": 1000 * seconds / count,
                "peak_bytes": peak_bytes(device),
            }
        )
        _log(f"growth with models: {points[-1]}")
    return points


def _fits(
    options: argparse.Namespace, backend: str, device: torch.device
) -> dict[str, dict[str, float]]:
    """Cost of each fit per model, on models spread over all architectures."""
    fits = {}
    for fit in FITS:
        count = 2 if options.quick else 4 if fit == "descent" else 96
        if device.type == "cuda":
            count *= 8
        order = Draws("benchmark", "fits").permutation(PAPER.size)
        sample = ModelSynthesizer("paper", seed=1).sample(PAPER.size)
        models = [sample[int(order[number % PAPER.size])] for number in range(count)]
        with Runner(backend, device, 64) as runner:
            fitted(models[:1], "none", runner)  # draws the bank of pictures
            seconds = once(partial(fitted, models, fit, runner), device) / count
        fits[fit] = {
            "models_measured": count,
            "seconds_per_model": seconds,
            "times_faster_than_the_paper": PAPER_SECONDS_PER_MODEL / seconds,
            "minutes_for_5760": seconds * MODELS_OF_PAPER / 60,
        }
        _log(f"fit {fit}: {fits[fit]}")
    return fits


def _sample() -> dict[str, float]:
    synthesizers = {space: ModelSynthesizer(space, seed=0) for space in ("paper", "open")}
    device = torch.device("cpu")
    return {
        f"seconds_for_5760_of_{space}": min(
            once(partial(synthesizer.sample, MODELS_OF_PAPER), device) for _ in range(3)
        )
        for space, synthesizer in synthesizers.items()
    }


if __name__ == "__main__":
    sys.exit(main())
