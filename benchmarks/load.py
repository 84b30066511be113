"""How modelprint behaves under load: `python -m benchmarks.load`.

Three questions, of images that are drawn here:

1. Does the network wait for images? The bundled weights, on files that threads decode ahead (a
   list) and on the same files one at a time (a generator), in turn in one run.
2. Does a run over many images keep its memory, its order and its answers? A cheap embedder takes
   the network's place; the run is interrupted ten times and continued; one file in a thousand is
   damaged.
3. How long does a run with the bundled weights take to stop when it is interrupted?
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import modelprint
from benchmarks.record import check_place, write_record
from benchmarks.timing import peak_bytes, reset_peak
from modelprint.answers.answering import identify_embedded
from modelprint.batches import readable_batches
from modelprint.embedder import fingerprints_of
from modelprint.images import LoadedImage
from modelprint.reference import Reference
from modelprint.synthesis.pictures import draw_pictures

_CPU = torch.device("cpu")
_DAMAGED_EVERY = 1000
_STOPS = 10
# Whoever is started in the background ignores interruptions, and so would what it starts.
_COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from modelprint.cli import main
sys.exit(main({call!r}))
"""


class CheapEmbedder:
    """Colours of 8 x 8 pixels: enough to tell images apart, at no cost to speak of."""

    dim = 3 * 64
    digest = "0" * 64

    def embed(
        self,
        images: Iterable[LoadedImage],
        *,
        batch_size: int = 32,  # noqa: ARG002 - part of what an embedder is
        progress: Callable[[int], None] | None = None,  # noqa: ARG002
    ) -> Tensor:
        """See `modelprint.embedder.Embedder`."""
        rows = [image.pixels[:, ::8, ::8][:, :8, :8].flatten() for image in images]
        return F.normalize(torch.stack(rows).float() - 127.5, dim=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=192, help="for the first question")
    parser.add_argument("--many", type=int, default=100_000, help="for the second")
    parser.add_argument("--size-px", type=int, default=256, help="side of the first's images")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    options = parser.parse_args(arguments)
    try:
        check_place(options.json)
    except modelprint.errors.InvalidOptionError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory(prefix="modelprint-load-") as folder:
        place = Path(folder)
        record = {
            "machine": {
                "cores": os.cpu_count(),
                "torch_threads": torch.get_num_threads(),
                "torch": torch.__version__,
            },
            "waiting": waiting(place / "files", options.images, options.size_px),
            "interrupted": interrupted(place, place / "files"),
            "many": many(place / "many", options.many),
        }
    if options.json is not None:
        write_record(options.json, record)
    return 0


def waiting(folder: Path, count: int, size_px: int) -> dict[str, object]:
    """What share of the time the network waits for images."""
    files = _draw(folder, count, size_px)
    gallery = modelprint.Gallery(modelprint.FingerprintExtractor.from_pretrained())
    gallery.enroll("drawn", files[:4])
    gallery.save(folder / "gallery")
    reference = Reference(gallery.extractor, gallery._index)
    ways: dict[str, Callable[[list[str]], Iterable[str]]] = {"ahead": list, "one at a time": iter}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    parts = 4
    gallery.identify(files[0])  # warms up
    for part in range(parts):
        chosen = files[part::parts]
        for name, way in ways.items():
            found[name].append(_timed(reference, way(chosen), len(chosen)))
    figures: dict[str, object] = {"images": count, "size_px": size_px}
    for name, rounds in found.items():
        figures[name] = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    figures["times_faster"] = statistics.median(
        ahead["images_per_s"] / alone["images_per_s"]
        for ahead, alone in zip(found["ahead"], found["one at a time"], strict=True)
    )
    _log("waiting", figures)
    return figures


def _timed(reference: Reference, images: Iterable[str], count: int) -> dict[str, float]:
    """One way through images, and where its time went."""
    spent = {"decoding": 0.0, "network": 0.0, "answers": 0.0}
    batches = readable_batches(images)
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        decoded = time.perf_counter()
        spent["decoding"] += decoded - start
        if batch is None:
            break
        loaded = [image for image in batch if isinstance(image, LoadedImage)]
        fingerprints = fingerprints_of(reference.embedder, loaded)
        embedded = time.perf_counter()
        identify_embedded(reference, None, batch, fingerprints)
        spent["network"] += embedded - decoded
        spent["answers"] += time.perf_counter() - embedded
    total = sum(spent.values())
    shares = {f"share_{name}": seconds / total for name, seconds in spent.items()}
    return {"images_per_s": count / total, **shares}


def interrupted(place: Path, folder: Path) -> dict[str, object]:
    """Seconds from an interruption to the end of the process, with the bundled weights."""
    seconds = []
    for number in range(3):
        out = place / f"{number}.jsonl"
        call = ["identify", str(folder), "--gallery", str(folder / "gallery"), "--out", str(out)]
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND.format(call=call)], stderr=subprocess.DEVNULL
        )
        while not out.exists() or not out.stat().st_size:
            time.sleep(0.01)
        time.sleep(0.37 * (number + 1))
        process.send_signal(signal.SIGINT)
        start = time.perf_counter()
        status = process.wait()
        seconds.append(time.perf_counter() - start)
        if status != 130:
            raise RuntimeError(f"expected the status 130 of an interruption, got {status}")
    figures: dict[str, object] = {"seconds": seconds, "most_seconds": max(seconds)}
    _log("interrupted", figures)
    return figures


def many(folder: Path, count: int) -> dict[str, object]:
    """A run over many files that is interrupted and continued: what it costs, and what is lost."""
    sources = _draw(folder / "drawn", 50, 64)
    names = []
    for number in range(count):
        names.append(str(folder / f"{number:07d}.png"))
        if number % _DAMAGED_EVERY == _DAMAGED_EVERY // 2:
            Path(names[-1]).write_bytes(b"damaged")
        else:
            os.link(sources[number // 100 % len(sources)], names[-1])
    gallery = modelprint.Gallery(CheapEmbedder())
    gallery.enroll("drawn", sources[:4])
    out = folder.with_suffix(".jsonl")
    stops = [count * (stop + 1) // (_STOPS + 1) for stop in range(_STOPS)]
    done = 0

    def progress(images: int) -> None:
        nonlocal done
        done += images
        if stops and done >= stops[0]:
            stops.pop(0)
            raise KeyboardInterrupt

    modelprint.identify_to_file(out, names[: count // 50], gallery)  # warms up
    reset_peak(_CPU)
    before, start = peak_bytes(_CPU), time.perf_counter()
    interruptions = 0
    while True:
        done = 0
        try:
            modelprint.identify_to_file(out, names, gallery, progress=progress)
            break
        except KeyboardInterrupt:
            interruptions += 1
    seconds = time.perf_counter() - start
    growth = peak_bytes(_CPU) - before
    with out.open(encoding="utf-8") as file:
        answers = [(record["image"], record["error"]) for record in map(json.loads, file)]
    figures: dict[str, object] = {
        "images": count,
        "images_per_s": (count - count // 50) / seconds,
        "peak_growth_bytes": growth,
        "interruptions": interruptions,
        "answers": len(answers),
        "in_order": [image for image, _ in answers] == names,
        "damaged_files": sum(error is not None for _, error in answers),
        "damaged_files_expected": len(range(_DAMAGED_EVERY // 2, count, _DAMAGED_EVERY)),
    }
    _log("many", figures)
    return figures


def _draw(folder: Path, count: int, size_px: int) -> list[str]:
    """Files of pictures, all different."""
    folder.mkdir(parents=True)
    files = []
    for number in range(count):
        picture = draw_pictures(1, seed=11, size_px=size_px, first=number)[0]
        files.append(str(folder / f"{number:05d}.png"))
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(files[-1])
    return files


def _log(what: str, figures: dict[str, object]) -> None:
    print(f"{what}: {json.dumps(figures)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
