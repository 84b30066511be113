"""Looks for input that breaks a reader, guided by which code it reaches.

    python -m fuzz               # every target for half a minute
    python -m fuzz images --seconds 3600

A find ends the program with status 1, and its input is kept in the folder run/fuzz; it becomes a
test that makes it again. Where Atheris has no wheel, nothing is searched, and that is said.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

FINDS = Path(__file__).resolve().parent.parent / "run" / "fuzz"
_TARGETS = ("images", "galleries")
# A single input that takes longer, in seconds, or needs more, in MiB, is a find.
_MOST_SECONDS, _MOST_MIB = 10, 2048


def main() -> int:
    """Fuzz; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=" or ".join(_TARGETS))
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    targets = options.targets or _TARGETS
    if not {*targets} <= {*_TARGETS}:
        parser.error(f"expected targets among {' and '.join(_TARGETS)}, got {' '.join(targets)}")
    if find_spec("atheris") is None:
        print("fuzz: skipped, for Atheris has no wheel for this Python and system")
        return 0
    if options.here:
        search(options.targets[0], options.seconds)
    for target in targets:
        # libFuzzer ends the process it runs in, so each target has its own.
        call = [sys.executable, "-m", "fuzz", target, "--seconds", str(options.seconds), "--here"]
        done = subprocess.run(call, stderr=subprocess.PIPE, text=True, errors="replace")
        said = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
        if done.returncode:
            print("\n".join(said[-60:]), file=sys.stderr)
            print(f"fuzz: {target}: a find, or no start; finds are in {FINDS}", file=sys.stderr)
            return 1
        print(f"fuzz: {target}: {said[-1] if said else 'nothing said'}", flush=True)
    return 0


def search(name: str, seconds: int) -> None:
    """Fuzz one target in this process, and end it."""
    import atheris

    # Only what is imported in here reports which code it reaches.
    with atheris.instrument_imports(include=["modelprint", "PIL"]):
        from fuzz.targets import TARGETS
    target = TARGETS[name]
    FINDS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
        scratch = Path(folder) / "input"
        limits = {"max_len": target.most_bytes, "max_total_time": seconds, "seed": 1}
        limits |= {"timeout": _MOST_SECONDS, "rss_limit_mb": _MOST_MIB}
        flags = [f"-{flag}={value}" for flag, value in limits.items()]
        flags.append(f"-artifact_prefix={FINDS}/{name}-")
        atheris.Setup([name, *flags, str(corpus)], lambda data: target.attempt(data, scratch))
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
