"""Where attribution fails: `python -m benchmarks.failures --data FOLDER --out DIR`.

By the draws and galleries of `benchmarks.protocol`, on images as they came: which models are taken
By the draws and galleries of `benchmarks.protocol`, on clean images: which models are taken for
which, and how each one fares. Writes failures.json, confusion.png and worst_cases.png into DIR; the
second picture shows spectra of residuals, no image. `--page PATH` also rewrites a page's tables.
A page in the documentation would come from

    python -m benchmarks.failures --data FOLDER --out docs/failures --page docs/failures.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.confusion import confusion
from benchmarks.failures_report import record_of, tables
from benchmarks.folder import BenchmarkFolder, facts
from benchmarks.pages import with_tables
from benchmarks.protocol import Plan
from benchmarks.record import write_record
from benchmarks.report import environment
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.extractor import FingerprintExtractor


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    plan = Plan(enrolled=options.enrolled)
    try:
        if options.enrolled < 1:
            raise InvalidOptionError(f"--enrolled: expected 1 or more, got {options.enrolled}.")
        if options.page is not None and not options.page.is_file():
            raise InvalidOptionError(f"--page: there is no file {options.page}.")
        options.out.mkdir(parents=True, exist_ok=True)
        folder = BenchmarkFolder.open(options.data, least_images=options.enrolled + 1)
        extractor = FingerprintExtractor.from_pretrained(options.weights, device=options.device)
        from benchmarks.failures_plots import confusion_plot, worst_cases_plot

        found = confusion(extractor, folder, plan)
        record = {
            "data": facts(folder),
            "protocol": {"enrolled": plan.enrolled, "seeds": list(plan.seeds)},
            "environment": environment(str(extractor.device)),
            "digest": extractor.digest,
            **record_of(found, folder),
        }
        confusion_plot(found, folder.models).savefig(options.out / "confusion.png", dpi=110)
        worst_cases_plot(found, folder).savefig(options.out / "worst_cases.png", dpi=110)
        write_record(options.out / "failures.json", record)
        written = tables(record)
        if options.page is not None:
            page = options.page.read_text(encoding="utf-8")
            options.page.write_text(with_tables(page, written), encoding="utf-8")
        print("\n\n".join(written.values()))
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.failures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with images/<model>/ and real/")
    add("--out", type=Path, required=True, metavar="DIR", help="where figures and pictures go")
    add("--page", type=Path, metavar="PATH", help="a page whose tables are written anew")
    add("--weights", metavar="FOLDER", help="instead of the weights in the package")
    add("--enrolled", type=int, default=Plan.enrolled, metavar="N", help="default: %(default)s")
    add("--device", help="where weights run (default: the GPU if there is one)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
