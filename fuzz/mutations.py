"""Damages image files at random, reads them all, and says what came of it, as JSON.

    python -m fuzz.mutations --files 6000

Every file has to give an image or `InvalidImageError`; anything else ends this program, and so does
a crash of a decoder, which is why the tests run it in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import modelprint
from fuzz.image_files import intact_files, mutated
from modelprint.errors import InvalidImageError
from modelprint.images import load_image

# Small, so that many files are read in a short time; sizes beyond it are refused all the same.
MAX_PIXELS = 2_000_000
FINGERPRINT_EVERY = 40


def run(files: int, seed: int) -> dict[str, object]:
    """Read damaged files.

    Args:
        files: how many.
        seed: of the damage.

    Returns:
        Counts of what came of them, the slowest file in seconds, and by how many MiB the largest
        memory of this process grew over what reading and fingerprinting the whole files took.
    """
    whole = intact_files()
    kinds, found = list(whole), Counter[str]()
    extractor = modelprint.FingerprintExtractor.from_pretrained(device="cpu")
    slowest_s, broken, messages = 0.0, 0, []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        path = Path(folder) / "image"
        for data in whole.values():
            path.write_bytes(data)
            extractor.embed(path)
        before = _peak_mib()
        for number in range(files):
            kind = kinds[number % len(kinds)]
            path.write_bytes(mutated(whole[kind], random.Random(f"{seed} {number}")))
            start = time.perf_counter()
            try:
                image = load_image(path, name=kind, max_pixels=MAX_PIXELS)
            except InvalidImageError as error:
                found["refused"] += 1
                messages.append(str(error).startswith(f"{kind}: expected "))
            else:
                found["read"] += 1
                if number % FINGERPRINT_EVERY == 0:
                    found["fingerprinted"] += 1
                    broken += not extractor.embed(image).isfinite().all()
            slowest_s = max(slowest_s, time.perf_counter() - start)
    return {
        "files": files,
        "seed": seed,
        **found,
        "fingerprints that are not finite": broken,
        "all messages say what was expected": all(messages),
        "warnings that reached the caller": len(leaked),
        "slowest_s": round(slowest_s, 3),
        "memory_growth_mib": _peak_mib() - before,
    }


def _peak_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def main() -> int:
    """Print what came of it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(run(options.files, options.seed), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
