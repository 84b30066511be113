"""Whether everything that comes with modelprint may be used freely; needs no network.

    python3 bootstrap.py audit

Each dependency has to state licences that are all in the list of permissive ones, by its licence
expression, its classifiers or its licence field. MPL-2.0 is among them: it asks to share changes of
its own files alone.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution

from checks.dependencies import closure

_PERMISSIVE = (
    *("MIT", "MIT-0", "MIT-CMU", "HPND", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC"),
    *("0BSD", "Zlib", "CC0-1.0", "Unlicense", "BSL-1.0", "PSF-2.0", "Python-2.0", "MPL-2.0"),
    *("BSD", "Apache", "PSF", "MIT License", "BSD License", "Apache Software License"),
    *("The Unlicense (Unlicense)", "Python Software Foundation License"),
    *("Mozilla Public License 2.0 (MPL 2.0)", "Apache 2.0 License", "Apache License 2.0"),
    *("Apache License, Version 2.0", "Historical Permission Notice and Disclaimer (HPND)"),
    *(
        "ISC License (ISCL)",
        "Dual License",
        "OSI Approved",
        "LLVM-exception",
        "3-Clause BSD License",
    ),
)
# Part of PyTorch's CUDA builds, under NVIDIA's terms, which allow to use and redistribute them.
_CUDA = re.compile(r"nvidia-[a-z0-9-]+|cuda-[a-z-]+")


def main() -> int:
    """Print what was found; returns the exit status."""
    packages = closure()
    refused = 0
    for name, package in packages.items():
        stated = licences(package)
        free = bool(stated) and all(licence.lower() in _known() for licence in stated)
        if not free and not _CUDA.fullmatch(name):
            refused += 1
            print(f"licences: {name}: expected permissive licences, got {stated or 'none stated'}")
    print(f"licences: {len(packages)} packages, {refused} without a permissive licence")
    return int(refused > 0)


def licences(package: Distribution) -> list[str]:
    """The licences that a package states: all that may apply, also where one can be chosen."""
    for expression in _stated(package, "License-Expression"):
        return [part for part in re.split(r"[()\s]+|\b(?:AND|OR|WITH)\b", expression) if part]
    lines = _stated(package, "Classifier")
    named = [line.split(" :: ")[-1] for line in lines if line.startswith("License ::")]
    if any(name != "OSI Approved" for name in named):
        return named
    # The first line: some put the whole text here.
    text = "".join(_stated(package, "License")).strip().split("\n")[0]
    return [part for part in re.split(r"\s+(?:AND|OR|and|or)\s+|[;/]", text) if part]


def _stated(package: Distribution, field: str) -> list[str]:
    return [str(value) for value in package.metadata.get_all(field) or []]


def _known() -> set[str]:
    return {licence.lower() for licence in _PERMISSIVE}


if __name__ == "__main__":
    sys.exit(main())
