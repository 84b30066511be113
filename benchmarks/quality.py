"""How well fingerprints tell real generators apart: `python -m benchmarks.quality --data FOLDER`.

Prints tables of the figures that `benchmarks.protocol` defines, for the shipped weights and for
baselines without training; `--baseline NAME=FOLDER` adds any other weights folder, `--clip SOURCE`
a CLIP checkpoint. `--json` writes the same figures with the machine, versions, commit and digests
that they belong to.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.baselines import LogSpectrum
from benchmarks.clip_option import add_clip, clip_embedders
from benchmarks.conditions import CLEAN
from benchmarks.folder import BenchmarkFolder, facts
from benchmarks.protocol import Figures, Plan, evaluate
from benchmarks.record import check_place, write_record
from benchmarks.report import environment, plain_figures, tables
from modelprint.embedder import Embedder, calibration_of
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.extractor import FingerprintExtractor

SHIPPED = "modelprint"
QUICK_CONDITIONS = (CLEAN, "jpeg-75")
QUICK_RESAMPLES = 200
ALIKE_CONDITIONS = (CLEAN, "jpeg-90", "jpeg-75", "webp-80", "resize-0.75")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    plan = Plan(enrolled=options.enrolled)
    if options.alike:
        plan = dataclasses.replace(plan, conditions=ALIKE_CONDITIONS, alike=True)
    if options.quick:
        plan = dataclasses.replace(plan, conditions=QUICK_CONDITIONS, resamples=QUICK_RESAMPLES)
    try:
        if options.enrolled < 1:
            raise InvalidOptionError(f"--enrolled: expected 1 or more, got {options.enrolled}.")
        check_place(options.json)
        # The folder is read first: a wrong path shows before weights are loaded or fetched.
        folder = BenchmarkFolder.open(options.data, least_images=options.enrolled + 1)
        embedders = _embedders(options.weights, options.baseline, options.device)
        embedders |= clip_embedders(options)
        results: dict[str, dict[str, Figures]] = {}
        for name, embedder in embedders.items():
            results[name] = evaluate(embedder, folder, plan, log=partial(_log, name))
        print("\n\n".join(tables(results, plan)))
        if options.json is not None:
            record = _record(folder, plan, embedders, results)
            write_record(options.json, record)
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    return 0


def _log(name: str, line: str) -> None:
    print(f"{name}, {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with images/<model>/ and real/")
    add("--weights", metavar="FOLDER", help="instead of the weights in the package")
    add("--baseline", action="append", default=[], metavar="NAME=FOLDER", help="more weights")
    add_clip(parser)
    add("--json", type=Path, metavar="PATH", help="write figures and what they belong to")
    add("--enrolled", type=int, default=10, metavar="N", help="images enrolled for each model")
    add("--device", help="where weights run (default: the GPU if there is one)")
    add(
        "--quick",
        action="store_true",
        help=f"only {' and '.join(QUICK_CONDITIONS)}, {QUICK_RESAMPLES} resamples",
    )
    add("--alike", action="store_true", help="enrolled images are processed as the tested ones are")
    return parser


def _embedders(
    weights: str | None, baselines: Sequence[str], device: str | None
) -> dict[str, Embedder]:
    """Embedders by name, in the order of the table."""
    embedders: dict[str, Embedder] = {
        SHIPPED: FingerprintExtractor.from_pretrained(weights, device=device),
        "log-spectrum": LogSpectrum("power"),
        "log-spectrum-strong": LogSpectrum("log"),
    }
    for baseline in baselines:
        name, _, source = baseline.partition("=")
        if not name or not source or name in embedders:
            raise InvalidOptionError(
                f"--baseline {baseline}: expected NAME=FOLDER with a name of its own, not "
                f"{', '.join(embedders)}."
            )
        embedders[name] = FingerprintExtractor.from_pretrained(source, device=device)
    return embedders


def _record(
    folder: BenchmarkFolder,
    plan: Plan,
    embedders: dict[str, Embedder],
    results: dict[str, dict[str, Figures]],
) -> dict[str, object]:
    return {
        "data": {
            **facts(folder),
            "photographs": folder.photographs,
            "images_of_shared_photographs": folder.shared_inputs,
        },
        "protocol": dataclasses.asdict(plan),
        "environment": environment(str(getattr(embedders[SHIPPED], "device", "cpu"))),
        "embedders": {
            name: {
                "digest": embedder.digest,
                "dim": embedder.dim,
                "calibrated": calibration_of(embedder) is not None,
                "figures": plain_figures(results[name]),
            }
            for name, embedder in embedders.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
