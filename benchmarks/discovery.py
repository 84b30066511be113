"""How well unknown generators are discovered: `python -m benchmarks.discovery --data FOLDER`.

Half of the models are enrolled, with ten images each. All other images, of these models, of the
hidden ones and photographs, are given to `modelprint.discover` at the shipped settings, with no
number of groups. How the groups of the hidden models' images agree with the models is measured in
five draws; nothing is chosen on them. An image without a group counts as a group of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.draws import Draw
from benchmarks.folder import PHOTOGRAPH, BenchmarkFolder, facts
from benchmarks.record import check_place, write_record
from benchmarks.report import DASH, environment, markdown_table
from modelprint.discovery.discovering import discover
from modelprint.discovery.linkage import average_linkage
from modelprint.embedder import Embedder, calibration_of, fingerprints_of, scorer_of
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.extractor import FingerprintExtractor
from modelprint.gallery import Gallery
from modelprint.images import LoadedImage
from modelprint.metrics import adjusted_rand_index, purity
from modelprint.scoring.comparison import Comparison

Floats = NDArray[np.float32]

SEEDS = (0, 1, 2, 3, 4)
CUTS = 60
TITLES = {
    "ari": "adjusted Rand index",
    "purity": "purity",
    "inverse_purity": "inverse purity",
    "grouped": "hidden images in a group",
    "groups": "groups found",
    "hidden_models": "models hidden",
    "group_purity": "purity of all that is grouped",
    "photographs_grouped": "photographs in a group",
    "hidden_matched": "hidden images matched with an enrolled model",
    "known_matched": "enrolled models' images matched with theirs",
    "best_cut_ari": "ARI of plain average linkage at the best cut in hindsight",
}


class Remembering:
    """An embedder that embeds each picture once, however often it is asked."""

    def __init__(self, embedder: Embedder) -> None:
        self.dim, self.digest = embedder.dim, embedder.digest
        self.calibration = calibration_of(embedder)
        self.comparison: Comparison | None = getattr(embedder, "comparison", None)
        self.compare = scorer_of(embedder)
        self._embedder = embedder
        self._by_sha256: dict[str, Tensor] = {}
        self._sha256_of: dict[str, str] = {}

    def embed(
        self,
        images: Iterable[LoadedImage],
        *,
        batch_size: int = 32,  # noqa: ARG002  the embedder contract; the other one has its own
        progress: Callable[[int], None] | None = None,
    ) -> Tensor:
        """What the other embedder gives."""
        images = list(images)
        new = {image.sha256: image for image in images if image.sha256 not in self._by_sha256}
        rows = fingerprints_of(self._embedder, list(new.values()))
        self._by_sha256.update(zip(new, rows, strict=True))
        self._sha256_of.update((image.name, image.sha256) for image in images)
        if progress is not None:
            progress(len(images))
        return torch.stack([self._by_sha256[image.sha256] for image in images])

    def remembered(self, names: Iterable[str]) -> Tensor:
        """Fingerprints `(n, D)` of images that were embedded, by name."""
        return torch.stack([self._by_sha256[self._sha256_of[name]] for name in names])


@dataclass(frozen=True)
class Outcome:
    """What became of the images of one draw.

    Attributes:
        origin: The model of each image by name; of a photograph its own name, as every camera is
            an origin.
        answer: The group or enrolled model that each was given, by name; else its own name.
        grouped: Names of images that are in a group.
        matched: The enrolled model that others were matched with, by name.
        hidden: Names of the images of hidden models.
        known: Names of those of enrolled models.
        photographs: Names of photographs.
        groups: How many groups were found.
        scores: (H, H) scores of the hidden images against each other.
    """

    origin: dict[str, str]
    answer: dict[str, str]
    grouped: list[str]
    matched: dict[str, str | None]
    hidden: list[str]
    known: list[str]
    photographs: list[str]
    groups: int
    scores: Floats


def run(embedder: Remembering, folder: BenchmarkFolder, enrolled: int, seed: int) -> Outcome:
    """Hide half of the models, enroll the others, and discover all images that are left."""
    draw = Draw.of(folder, enrolled=enrolled, seed=seed)
    gallery = Gallery(embedder)
    asked = np.ones(len(folder.files), dtype=bool)
    for model in np.flatnonzero(~draw.left_out):
        chosen = draw.enrolled[model]
        gallery.enroll(folder.models[model], [folder.files[i] for i in chosen])
        asked[chosen] = False
    model_of = {str(folder.files[i]): int(folder.model_of[i]) for i in np.flatnonzero(asked)}
    found = discover(list(model_of), gallery)
    matched = {answer.image: answer.label for answer in found.matched}
    group_of = {image.name: group.name for group in found.groups for image in group.images}
    hidden = [name for name, m in model_of.items() if m != PHOTOGRAPH and draw.left_out[m]]
    rows = embedder.remembered(hidden)
    return Outcome(
        origin={n: n if m == PHOTOGRAPH else folder.models[m] for n, m in model_of.items()},
        answer={n: group_of.get(n) or f"enrolled {matched.get(n, n)}" for n in model_of},
        grouped=list(group_of),
        matched=matched,
        hidden=hidden,
        known=[n for n, m in model_of.items() if m != PHOTOGRAPH and not draw.left_out[m]],
        photographs=[name for name, m in model_of.items() if m == PHOTOGRAPH],
        groups=len(found.groups),
        scores=gallery._reference.score(rows, rows).numpy(),
    )


def figures(outcome: Outcome) -> dict[str, float | None]:
    """Figures by name; None where there are no images that one could be measured on."""
    truth = [outcome.origin[name] for name in outcome.hidden]
    groups = [outcome.answer[name] for name in outcome.hidden]
    all_truth = [outcome.origin[name] for name in outcome.grouped]
    all_groups = [outcome.answer[name] for name in outcome.grouped]
    grouped, matched = set(outcome.grouped), outcome.matched
    return {
        "ari": adjusted_rand_index(truth, groups),
        "purity": purity(truth, groups),
        "inverse_purity": purity(groups, truth),
        "grouped": _share(name in grouped for name in outcome.hidden),
        "groups": float(outcome.groups),
        "hidden_models": float(len(set(truth))),
        "group_purity": purity(all_truth, all_groups) if grouped else None,
        "photographs_grouped": _share(name in grouped for name in outcome.photographs),
        "hidden_matched": _share(name in matched for name in outcome.hidden),
        "known_matched": _share(matched.get(n) == outcome.origin[n] for n in outcome.known),
        "best_cut_ari": _best_cut_ari(outcome.scores, truth),
    }


def _share(outcomes: Iterable[bool]) -> float | None:
    each = list(outcomes)
    return sum(each) / len(each) if each else None


def _best_cut_ari(scores: Floats, truth: Sequence[str]) -> float:
    """What a threshold could reach at best that knew the models; the calibration does not."""
    scores = np.asarray((scores + scores.T) / 2, dtype=np.float32)
    cuts = np.quantile(scores[np.triu_indices(len(scores), 1)], np.linspace(0.5, 1, CUTS))
    return max(adjusted_rand_index(truth, average_linkage(scores.copy(), cut)) for cut in cuts)


def summary(draws: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, float] | None]:
    """Mean, least and most over the draws, for each figure."""
    result: dict[str, dict[str, float] | None] = {}
    for key in draws[0]:
        values = [value for draw in draws if (value := draw[key]) is not None]
        result[key] = (
            {"mean": sum(values) / len(values), "least": min(values), "most": max(values)}
            if values
            else None
        )
    return result


def table(result: Mapping[str, Mapping[str, float] | None]) -> str:
    """Markdown: figure, mean over the draws, range."""
    rows = []
    for key, title in TITLES.items():
        figure = result[key]
        if figure is None:
            rows.append([title, DASH, DASH])
        else:
            span = f"{figure['least']:.3f} to {figure['most']:.3f}"
            rows.append([title, f"{figure['mean']:.3f}", span])
    return markdown_table(["discovery", f"mean of {len(SEEDS)} draws", "range"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.discovery", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with images/<model>/ and real/")
    add("--weights", metavar="FOLDER", help="instead of the weights in the package")
    add("--json", type=Path, metavar="PATH", help="write figures and what they belong to")
    add("--enrolled", type=int, default=10, metavar="N", help="images enrolled for each model")
    add("--device", help="where weights run (default: the GPU if there is one)")
    options = parser.parse_args(arguments)
    try:
        if options.enrolled < 1:
            raise InvalidOptionError(f"--enrolled: expected 1 or more, got {options.enrolled}.")
        check_place(options.json)
        folder = BenchmarkFolder.open(options.data, least_images=options.enrolled + 1)
        extractor = FingerprintExtractor.from_pretrained(options.weights, device=options.device)
        embedder = Remembering(extractor)
        draws = []
        for seed in SEEDS:
            draws.append(figures(run(embedder, folder, options.enrolled, seed)))
            print(f"draw {seed}: {draws[-1]['ari']:.3f}", file=sys.stderr)
        result = summary(draws)
        print(table(result))
        if options.json is not None:
            record = {
                "data": {
                    **facts(folder),
                    "photographs": folder.photographs,
                },
                "protocol": {"enrolled": options.enrolled, "seeds": SEEDS},
                "environment": environment(str(extractor.device)),
                "embedder": {
                    "digest": embedder.digest,
                    "dim": embedder.dim,
                    "calibration": extractor.calibration.description,
                },
                "figures": result,
                "draws": draws,
            }
            write_record(options.json, record)
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
