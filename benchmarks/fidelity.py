"""How near a design space is to real models: `python -m benchmarks.fidelity --data FOLDER`.

Prints the Fréchet frequency distance to the real models of a benchmark folder, and the diversity,
of the space "paper", of "paper" without each of its axes and without seeds (the ablation of Yang et
al. 2025), and of "open". `--json` writes the figures with the machine, versions and commit.
Looking at real models here judges a space; nothing is tuned to them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.fidelity_figures import Fidelity, Floats, of_real, of_sets
from benchmarks.fidelity_report import REAL, of_line, plain, tables
from benchmarks.fidelity_sets import WHOLE, Line, lines
from benchmarks.folder import BenchmarkFolder, facts
from benchmarks.record import check_place, write_record
from benchmarks.report import environment
from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.features.residual_spectrum import CROP_PX, model_spectrum
from modelprint.images import iter_sources, load_image
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import OPEN, PAPER
from modelprint.synthesis.synthesizer import ModelSpec, ModelSynthesizer

LEAST_MODELS = 4
# Not the pictures that models are fitted to, nor those that weights are trained on.
SERIES = 50_000
_TOGETHER = 32


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        check_place(options.json)
        if options.size < CROP_PX or options.images < 1 or options.resamples < 1:
            raise InvalidOptionError(
                f"expected --size of {CROP_PX} or more and --images and --resamples of 1 or more, "
                f"got {options.size}, {options.images} and {options.resamples}."
            )
        folder = BenchmarkFolder.open(options.data, least_images=1)
        table = lines(PAPER, [OPEN], options.models, seed=options.seed)
        photos = _photographs(options.photos, options.images, options.size)
        real = real_spectra(folder)
        _log(f"{len(real)} real models read", started)
        rows = synthetic_spectra(table, photos, seed=options.seed, device=options.device)
        _log(f"{len(rows)} synthetic models rendered, {len(photos)} images each", started)
        figures = measured(real, table, rows, resamples=options.resamples)
        _log("measured", started)
        print(tables(figures, table, real, rows))
        if options.json is not None:
            record = {
                "data": facts(folder),
                "protocol": {
                    "models_per_set": options.models,
                    "images_per_model": options.images,
                    "size_px": options.size,
                    "photographs": "drawn" if options.photos is None else "from a folder",
                    "resamples": options.resamples,
                    "seed": options.seed,
                },
                "environment": environment(options.device or "cpu"),
                **plain(figures, table, real, rows),
            }
            write_record(options.json, record)
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    return 0


def _log(line: str, started: float) -> None:
    print(f"{time.perf_counter() - started:4.0f} s: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with images/<model>/")
    add("--photos", type=Path, metavar="FOLDER", help="what models render (default: drawn)")
    add("--json", type=Path, metavar="PATH", help="write figures and what they belong to")
    add("--models", type=int, default=72, metavar="N", help="models in each set")
    add("--images", type=int, default=8, metavar="K", help="images of each model")
    add("--size", type=int, default=128, metavar="PX", help="side of these images")
    add("--resamples", type=int, default=1000, help="of the bootstrap")
    add("--seed", type=int, default=0, help="other models, other pictures")
    add("--device", help="where models run (default: the CPU)")
    return parser


def real_spectra(folder: BenchmarkFolder) -> Floats:
    """Spectra ``(R, F)`` in dB of a folder's models, in their order."""
    if len(folder.models) < LEAST_MODELS:
        raise InvalidOptionError(
            f"{folder.name}: expected {LEAST_MODELS} models or more, got {len(folder.models)}."
        )
    rows = []
    for number in range(len(folder.models)):
        files = (folder.files[i] for i in np.flatnonzero(folder.model_of == number))
        rows.append(model_spectrum(load_image(file).pixels for file in files))
    return np.stack(rows)


def _photographs(source: Path | None, n: int, size_px: int) -> Tensor:
    """``(n, 3, size_px, size_px)`` uint8: drawn, or the middles of images from a folder."""
    if source is None:
        return draw_pictures(n, seed=SERIES, size_px=size_px)
    files = [file for _, file in iter_sources(source)]
    if len(files) < n:
        raise InvalidOptionError(f"--photos: expected {n} images or more, got {len(files)}.")
    chosen = Draws("fidelity", "photographs", len(files)).permutation(len(files))[:n]
    photos = []
    for image in (load_image(files[i]) for i in chosen.tolist()):
        height, width = image.pixels.shape[1:]
        top, left = (height - size_px) // 2, (width - size_px) // 2
        if min(top, left) < 0:
            raise InvalidOptionError(
                f"--photos: {image.name} has {width} x {height} px, expected {size_px} or more a "
                "side; choose a smaller --size."
            )
        photos.append(image.pixels[:, top : top + size_px, left : left + size_px])
    return torch.stack(photos)


def synthetic_spectra(
    table: Iterable[Line], photos: Tensor, *, seed: int, device: str | None = None
) -> dict[ModelSpec, Floats]:
    """The spectrum ``(F,)`` in dB of every model of the table, each rendered once."""
    wanted = dict.fromkeys(model for line in table for set_ in line.sets.values() for model in set_)
    models = list(wanted)
    # Any space will do: a spec says by itself which model it is.
    synthesizer = ModelSynthesizer(PAPER, seed=seed, device=device)
    spectra: dict[ModelSpec, Floats] = {}
    for start in range(0, len(models), _TOGETHER):
        some = models[start : start + _TOGETHER]
        for model, images in zip(some, synthesizer.generate(some, photos), strict=True):
            spectra[model] = model_spectrum(images)
    return spectra


def measured(
    real: Floats, table: Sequence[Line], rows: Mapping[ModelSpec, Floats], *, resamples: int
) -> dict[str, Fidelity]:
    """Figures by line, the real models first."""
    sets = {line.name: list(of_line(line, rows).values()) for line in table}
    figures = {REAL: of_real(real, resamples=resamples)}
    for name, spectra in sets.items():
        reference = None if name == WHOLE else sets[WHOLE]
        figures[name] = of_sets(real, spectra, reference=reference, resamples=resamples)
    return figures


if __name__ == "__main__":
    sys.exit(main())
