"""Where recognition fails, and why: `python -m benchmarks.failures --data FOLDER --out DIR`.

Per model: identification, verification, matches, and false matches, by the draws and galleries of
`benchmarks.protocol` on clean images; who is taken for whom; and what the failures go with. Writes
failures.json, a confusion matrix and the residual spectra behind the worst cases into DIR, and
prints the tables. `--docs` instead of `--out` writes the record into benchmarks/results and the
pictures and tables into docs/failures.md.

Images of a model are tested in up to five draws, and each test is counted as one answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import failure_report, pages
from benchmarks.conditions import CLEAN, CONDITIONS
from benchmarks.draws import Draw
from benchmarks.failure_plots import confusion_plot, spectra_plot
from benchmarks.folder import BenchmarkFolder, facts
from benchmarks.outcomes import Ints, outcomes, verification
from benchmarks.protocol import Plan, embed, embed_degraded
from benchmarks.record import write_record
from benchmarks.report import REPOSITORY, environment
from benchmarks.residual_spread import Spectra, rank_correlation
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.extractor import FingerprintExtractor

DOCS = REPOSITORY / "docs"
PAGE = DOCS / "failures.md"
PHOTOGRAPHS = "photographs"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.enrolled < 1:
            raise InvalidOptionError(f"--enrolled: expected 1 or more, got {options.enrolled}.")
        plan = Plan(enrolled=options.enrolled, conditions=(CLEAN,))
        folder = BenchmarkFolder.open(options.data, least_images=options.enrolled + 1)
        results, pictures = (pages.RESULTS, DOCS) if options.docs else (options.out, options.out)
        pictures.mkdir(parents=True, exist_ok=True)
        extractor = FingerprintExtractor.from_pretrained(options.weights, device=options.device)
        spectra = Spectra.of(folder)
        record = measure(extractor, folder, plan, spectra)
        write_record(results / failure_report.RECORD, record)
        confusion_plot(record).savefig(pictures / "failures-confusion.png", dpi=110)
        spectra_plot(record, spectra).savefig(pictures / "failures-spectra.png", dpi=110)
        if options.docs:
            pages.refresh(PAGE, failure_report.TABLES)
        print(failure_report.report(record))
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.failures", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with images/<model>/ and real/")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", type=Path, metavar="DIR", help="for the record and the pictures")
    place.add_argument("--docs", action="store_true", help="write this repository's own page")
    add("--weights", metavar="FOLDER", help="instead of the weights in the package")
    add("--enrolled", type=int, default=10, metavar="N", help="images enrolled for each model")
    add("--device", help="where weights run (default: the GPU if there is one)")
    return parser


def measure(
    extractor: FingerprintExtractor, folder: BenchmarkFolder, plan: Plan, spectra: Spectra
) -> dict[str, Any]:
    """All figures, and what they belong to."""
    draws = [Draw.of(folder, enrolled=plan.enrolled, seed=seed) for seed in plan.seeds]
    embedded = embed(extractor, folder, CONDITIONS[CLEAN])
    degraded = embed_degraded(extractor, folder, CONDITIONS[CLEAN], embedded.fingerprints)
    found = outcomes(extractor, folder, embedded, degraded, draws)
    pairs = verification(extractor, folder, embedded)
    origins = [*folder.models, PHOTOGRAPHS]
    L = len(folder.models)
    rows: dict[str, dict[str, Any]] = {}
    for m, name in enumerate(folder.models):
        auc, eer = pairs[m]
        rows[name] = {
            "images": int((folder.model_of == m).sum()),
            "side_px": float(np.median(embedded.side_px[folder.model_of == m])),
            "top1": _share(found.best[m, m], found.best[m].sum()),
            "auc": auc,
            "eer": eer,
            "matched": _share(found.given[m, m], found.known[m]),
            "mismatched": _share(found.given[m].sum() - found.given[m, m], found.known[m]),
            "false_matches": _share(found.strangers_given[m].sum(), found.strangers[m]),
            "not_matched": dict(found.reasons[m].most_common()),
            "spread_db": _number(spectra.spread_db(m)),
            "nearest_db": _number(spectra.nearest_db(m, L)),
        }
    own = np.eye(L + 1, L, dtype=bool)
    return {
        "data": {**facts(folder), "photographs": folder.photographs},
        "protocol": {"enrolled": plan.enrolled, "seeds": plan.seeds, "condition": CLEAN},
        "environment": environment(str(extractor.device)),
        "embedder": {
            "digest": extractor.digest,
            "dim": extractor.dim,
            "default_fpr": extractor.calibration.default_fpr,
        },
        "models": rows,
        "photographs_matched": _share(found.strangers_given[L].sum(), found.strangers[L]),
        "confusion": {
            "origins": origins,
            "candidates": list(folder.models),
            "answers": found.best.tolist(),
        },
        "confused": _worst(np.where(own, 0, found.best)[:L], found.best.sum(1), origins),
        "false_matches": _worst(found.strangers_given, found.strangers, origins),
        "correlations": {
            explanation: {
                figure: rank_correlation(_column(rows, explanation), _column(rows, figure))
                for figure in failure_report.EXPLAINED
            }
            for explanation in failure_report.EXPLANATIONS
        },
    }


def _worst(answers: Ints, of: Ints, origins: Sequence[str]) -> list[dict[str, Any]]:
    """Who is given to whom, the largest share first."""
    found = [
        {
            "model": origins[m],
            "given_to": origins[other],
            "answers": int(answers[m, other]),
            "of": int(of[m]),
        }
        for m, other in np.argwhere(answers)
    ]
    return sorted(found, key=lambda row: -int(row["answers"]) / int(row["of"]))


def _column(rows: dict[str, dict[str, Any]], key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if row[key] is None else row[key] for row in rows.values()])


def _share(count: np.int64, of: np.int64) -> float | None:
    return int(count) / int(of) if of else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


if __name__ == "__main__":
    sys.exit(main())
