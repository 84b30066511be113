"""What a fingerprint costs: `python -m benchmarks.extract`.

In one run, in float32, on the same images, decoded already: the shipped extractor on one image and
on a batch, the pipeline of Yang et al. 2025 (`benchmarks.paper_pipeline`), the log-spectrum, and
CLIP features where a checkpoint is given.
Before anything is timed, images of a batch are compared with the same images alone; if a
fingerprint differs by more than 1e-4, no speed is printed. GFLOP counts products and convolutions,
GB what every operation reads and writes; both as run, for one image.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.baselines import LogSpectrum
from benchmarks.clip_option import add_clip, clip_embedders
from benchmarks.paper_pipeline import CROP_PX, PaperPipeline
from benchmarks.record import check_place, write_record
from benchmarks.report import environment, markdown_table
from benchmarks.timing import ceilings, race
from modelprint.embedder import Embedder
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.extractor import FingerprintExtractor
from modelprint.images import LoadedImage, load_image
from modelprint.synthesis.pictures import draw_pictures

OURS, PAPER = "modelprint", "paper"
SIZES_PX = (256, 512, 1024)
MOST_DIFFERENCE = 1e-4


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        check_place(options.json)
        if options.batch < 2 or options.rounds < 1 or min(options.sizes) < CROP_PX:
            raise InvalidOptionError(
                f"expected --batch of 2 or more, --rounds of 1 or more and --sizes of {CROP_PX} "
                f"or more, got {options.batch}, {options.rounds} and {options.sizes}"
            )
        with torch.no_grad():
            record = measure(options)
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    print(table(record))
    if options.json is not None:
        write_record(options.json, record)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.extract",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=list(SIZES_PX), metavar="PX")
    add("--batch", type=int, default=8, metavar="N", help="default: %(default)s")
    add("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    add("--device", default="cpu", help="default: %(default)s")
    add("--quick", action="store_true", help="smaller ceilings")
    add_clip(parser)
    add("--json", type=Path, metavar="PATH", help="write the figures and what they belong to")
    return parser


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as they are written to JSON."""
    device = torch.device(options.device)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    extractor = FingerprintExtractor.from_pretrained(device=device)
    embedders: dict[str, Embedder] = {OURS: extractor, "log-spectrum": LogSpectrum("log")}
    embedders |= clip_embedders(options)
    paper = PaperPipeline().to(device)
    ceiling = ceilings(device, quick=options.quick)
    sizes = {}
    for size_px in options.sizes:
        pictures = draw_pictures(options.batch, seed=1, size_px=size_px)
        images = [load_image(picture) for picture in pictures]
        ways = {name: partial(_alone_and_batched, embedder) for name, embedder in embedders.items()}
        equality = {name: _equality(name, way(images)) for name, way in ways.items()}
        first = pictures[:1].float().to(device) / 255
        runs: dict[str, Callable[[], object]] = {
            "paper, alone": partial(paper, first),
            **{f"{name}, alone": partial(e.embed, images[:1]) for name, e in embedders.items()},
            f"{OURS}, batched": partial(extractor.embed, images),
        }
        work = {name: _work(run) for name, run in runs.items() if "alone" in name}
        timed = race(runs, options.rounds, device)
        sizes[str(size_px)] = {
            name: _row(name, timed[name].median_s, options.batch, work, timed, ceiling)
            | {"quartiles_s": list(timed[name].quartiles_s)}
            for name in runs
        } | {"largest_difference": equality}
        print(f"{size_px} px done", file=sys.stderr)
    return {
        "batch": options.batch,
        "rounds": options.rounds,
        "load_when_it_began": load,
        "ceilings": ceiling,
        "digest": extractor.digest,
        "environment": environment(options.device),
        "sizes_px": sizes,
    }


def _alone_and_batched(embedder: Embedder, images: list[LoadedImage]) -> tuple[Tensor, Tensor]:
    alone = torch.cat([embedder.embed([image]) for image in images])
    return alone, embedder.embed(images)


def _equality(name: str, rows: tuple[Tensor, Tensor]) -> float:
    """The largest difference of any number of any fingerprint."""
    difference = float((rows[0] - rows[1]).abs().max())
    if not difference <= MOST_DIFFERENCE:
        raise SystemExit(
            f"{name}: fingerprints of a batch differ from those of its images alone by up to "
            f"{difference:.2g}: no speed is worth printing"
        )
    return difference


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts bytes that operations read and write; those that only make views move none."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            moved = tree_leaves((args, kwargs, result))
            self.total_bytes += sum(x.nbytes for x in moved if isinstance(x, Tensor))
        return result


def _work(run: Callable[[], object]) -> dict[str, float]:
    """GFLOP of products and convolutions, and GB of traffic, of one run."""
    with FlopCounterMode(display=False) as flops:
        run()
    with _Traffic() as traffic:
        run()
    return {"gflop": flops.get_total_flops() / 1e9, "gb": traffic.total_bytes / 1e9}


def _row(
    name: str,
    median_s: float,
    batch: int,
    work: dict[str, dict[str, float]],
    timed: dict[str, Any],
    ceiling: dict[str, float],
) -> dict[str, Any]:
    count = batch if name.endswith("batched") else 1
    each_s = median_s / count
    mine = work[name.replace("batched", "alone")]
    return {
        "ms_per_image": 1000 * each_s,
        "images_per_s": 1 / each_s,
        "paper_times": timed["paper, alone"].median_s / each_s,
        "peak_bytes": timed[name].peak_bytes,
        **mine,
        "share_of_arithmetic": mine["gflop"] / each_s / ceiling["gflop_s"],
        "share_of_copying": mine["gb"] / each_s / ceiling["copy_gb_s"],
    }


def table(record: Mapping[str, Any]) -> str:
    """The figures as a Markdown table."""
    head = ["px", "way", "ms per image", "images/s", "times the paper's", "GFLOP", "GB"]
    rows = []
    for size_px, ways in record["sizes_px"].items():
        for name, row in ways.items():
            if name == "largest_difference":
                continue
            rows.append(
                [
                    size_px,
                    name,
                    f"{row['ms_per_image']:.1f}",
                    f"{row['images_per_s']:.2f}",
                    f"{row['paper_times']:.1f}",
                    f"{row['gflop']:.2f}",
                    f"{row['gb']:.2f}",
                    f"{row['share_of_arithmetic']:.0%}",
                    f"{row['share_of_copying']:.0%}",
                ]
            )
    return markdown_table([*head, "of arithmetic", "of copying"], rows)


if __name__ == "__main__":
    sys.exit(main())
