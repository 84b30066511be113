"""Put measured figures onto the cards of the weights in the package: `python -m benchmarks.card`.

The tables come from the files in benchmarks/results that `benchmarks.quality` and
`benchmarks.failures` make, the latter for the default weights alone; `--weights NAME` is for others
in the package, measured with `--baseline NAME=NAME`. Figures of other weights than the card's are
refused, by their digest. New weights get a new card first: `--figures RUN/figures.json` writes it,
with the figures on held-out synthetic models that the training run ended with. `--photographs
INDEX` notes the sources of the photographs: a JSON list with "source" and "licence" for each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import failure_report, pages
from benchmarks.conditions import CLEAN
from benchmarks.figures import Figure
from benchmarks.quality import SHIPPED
from benchmarks.record import write_record
from benchmarks.report import DASH, REPOSITORY, TITLES, markdown_table
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.extractor import FingerprintExtractor
from modelprint.hub import BUNDLED, CARD
from modelprint.training.card import model_card

PRETRAINED = REPOSITORY / "src" / "modelprint" / "pretrained"
QUALITY, PHOTOGRAPHS = "quality.json", "photographs.json"
# Of the conditions, those that people meet most.
_PROCESSED = ("jpeg-90", "jpeg-75", "resize-0.75")
_LEAST_CONFUSED, _FEW = 0.05, 5


def measured_as(weights: str) -> str:
    """The name under which weights in the package stand in the record of `benchmarks.quality`."""
    return SHIPPED if weights == BUNDLED[0] else weights


def real(embedder: str, record: Mapping[str, Any]) -> str:
    """Figures on real generators with intervals, clean and processed."""
    data, plan = record["data"], record["protocol"]
    figures = record["embedders"][embedder]["figures"]
    conditions = [CLEAN, *(name for name in _PROCESSED if name in figures)]
    titles = {f"top1_{plan['enrolled']}": f"top-1, {plan['enrolled']} enrolled", **TITLES}
    rows = markdown_table(
        ["", *conditions],
        ([title, *(_cell(figures[c][key]) for c in conditions)] for key, title in titles.items()),
    )
    return (
        f"On {len(data['models'])} real generators ({data['images']} images) and "
        f"{data['photographs']} photographs that took no part in training, test images clean or "
        f"processed, commit {str(record['environment']['git_commit'])[:12]}; 95 % intervals by "
        f"bootstrap over models:\n\n{rows}"
    )


def failing(record: Mapping[str, Any]) -> str:
    """The models that are matched least, and who is taken for whom, in sentences."""
    models: Mapping[str, Any] = record["models"]
    known = {name: row["matched"] for name, row in models.items() if row["matched"] is not None}
    least = sorted(known, key=lambda name: float(known[name]))[:_FEW]
    lines = [
        "- Missed most: " + ", ".join(f"{name} ({known[name]:.0%} matched)" for name in least) + "."
    ]
    confused = [r for r in record["confused"] if r["answers"] / r["of"] >= _LEAST_CONFUSED][:_FEW]
    if confused:
        each = (
            f"{r['model']} for {r['given_to']} ({r['answers'] / r['of']:.0%})" for r in confused
        )
        lines.append("- Taken for another as best candidate: " + ", ".join(each) + ".")
    worst = record["false_matches"][:_FEW]
    if worst:
        each = (f"{r['model']} with {r['given_to']} ({r['answers']} of {r['of']})" for r in worst)
        lines.append("- Strangers that were matched: " + ", ".join(each) + ".")
    where = failure_report.source(record)
    return "\n".join(["Clean images of real generators. " + where, "", *lines])


def unshown(_: Mapping[str, Any]) -> str:
    """In place of failures that nobody looked at one by one."""
    return "Shown for the default weights alone, on their card."


def photographs(record: Mapping[str, Any]) -> str:
    """Where the photographs came from, under which licences."""
    return markdown_table(
        ["photographs", "source", "licence"],
        ([str(row["photographs"]), row["source"], row["licence"]] for row in record["sources"]),
    )


def tables(weights: str) -> dict[str, tuple[str, pages.Table]]:
    """The tables on the card of weights in the package."""
    failures = (failure_report.RECORD, failing)
    return {
        "real": (QUALITY, partial(real, measured_as(weights))),
        "failing": failures if weights == BUNDLED[0] else (QUALITY, unshown),
        "photographs": (PHOTOGRAPHS, photographs),
    }


def sources(index: Path) -> dict[str, Any]:
    """Photographs counted by source and licence.

    Raises:
        InvalidOptionError: not a list of objects with "source" and "licence".
    """
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))
        counts = Counter((entry["source"], entry["licence"]) for entry in entries)
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidOptionError(
            f"{index}: expected a list of objects with 'source' and 'licence' ({error!r})."
        ) from error
    return {
        "sources": [
            {"source": source, "licence": licence, "photographs": count}
            for (source, licence), count in counts.most_common()
        ]
    }


def check_digests(weights: str, digest: str) -> None:
    """Refuse figures of other weights.

    Args:
        weights: name of weights in the package.
        digest: of these weights.

    Raises:
        InvalidOptionError: A record belongs to other weights.
    """
    name = measured_as(weights)
    quality = pages.read_record(pages.RESULTS / QUALITY)["embedders"]
    baseline = "" if name == SHIPPED else f" --baseline {name}={name}"
    command = f"quality --data FOLDER{baseline} --json benchmarks/results/quality.json"
    measured = [(quality.get(name, {"digest": "none"})["digest"], QUALITY, command)]
    if weights == BUNDLED[0]:
        failures = pages.read_record(pages.RESULTS / failure_report.RECORD)["embedder"]["digest"]
        measured.append((failures, failure_report.RECORD, "failures --data FOLDER --docs"))
    for found, file, command in measured:
        if found != digest:
            raise InvalidOptionError(
                f"{file}: expected figures of the weights {digest[:12]}, got those of "
                f"{found[:12]}; run python -m benchmarks.{command} first."
            )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.card", description=__doc__)
    add = parser.add_argument
    add("--weights", choices=BUNDLED, default=BUNDLED[0], help="default: %(default)s")
    add("--figures", type=Path, metavar="FILE", help="figures.json of the run: a new card")
    add("--photographs", type=Path, metavar="INDEX", help="JSON list with source and licence")
    options = parser.parse_args(arguments)
    try:
        page = PRETRAINED / options.weights / CARD
        extractor = FingerprintExtractor.from_pretrained(options.weights, device="cpu")
        check_digests(options.weights, extractor.digest)
        if options.photographs is not None:
            write_record(pages.RESULTS / PHOTOGRAPHS, sources(options.photographs))
        card = extractor.card
        if options.figures is not None:
            card = model_card(extractor, pages.read_record(options.figures))
        if extractor.digest not in card or "<!-- table: real -->" not in card:
            raise InvalidOptionError(
                f"{page}: expected the card of the weights {extractor.digest[:12]} with "
                "places for tables; pass --figures with figures.json of the training run to write "
                "it anew."
            )
        page.write_text(pages.refreshed(card, tables(options.weights)), encoding="utf-8")
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    return 0


def _cell(figure: Mapping[str, Any] | None) -> str:
    return DASH if figure is None else str(Figure(**figure))


if __name__ == "__main__":
    sys.exit(main())
