"""Runs the tests of what users run with the oldest dependencies that pyproject.toml allows.

    python3 bootstrap.py oldest

The floors are installed into `.venv-oldest`, except that of torch: what was current then is rarely
to be had as a build for a CPU alone, so that torch stays at `constraints.txt`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from bootstrap import IN_PARALLEL
from checks.dependencies import EXTRAS, PACKAGE, requirements

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-oldest"
_NOT_AT_ITS_FLOOR = {"torch"}
# What touches a dependency's own interface. Kernels, training and benchmarks are torch alone.
_TESTS = (
    *("image_decoding", "image_limits", "images", "weights", "weights_integrity", "hub"),
    *("gallery", "gallery_file", "gallery_formats", "extractor", "embedder", "identify"),
    *("records", "cli", "plots", "plots_evidence", "residual", "recompression", "common_scale"),
)
_NOT = (
    # Draws in a process of its own, where every warning is an error.
    "plots.py::test_matplotlib_is_imported_when_drawing_and_its_global_state_left_alone",
    # Expects Triton, which is no dependency.
    "cli.py::test_env_names_versions_and_weights",
)


def main() -> int:
    """Make the environment if it is not there, and run the tests; returns the exit status."""
    floors = oldest()
    python = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = VENV / "floors"
    wanted = "\n".join([*floors, digest(), sys.version])
    if not (stamp.is_file() and stamp.read_text("utf-8") == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        constraints = VENV / "constraints.txt"
        constraints.write_text("\n".join(floors), "utf-8")
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--upgrade", "pip>=25.1"], cwd=ROOT, check=True)
        call = [*pip, "--constraint", str(constraints), "--constraint", "constraints.txt"]
        call += ["--editable", f".[{','.join(EXTRAS)}]", "--group", "pytest"]
        subprocess.run(call, cwd=ROOT, check=True)
        stamp.write_text(wanted, "utf-8")
    print(f"oldest: {', '.join(floors)}", flush=True)
    tests = [f"tests/test_{name}.py" for name in _TESTS]
    # That old packages use what is deprecated in their own dependencies is not for us to mend.
    call = [str(python), "-m", "pytest", *IN_PARALLEL, "-W", "ignore::DeprecationWarning", *tests]
    call += [f"--deselect=tests/test_{name}" for name in _NOT]
    return subprocess.run(call, cwd=ROOT).returncode


def oldest() -> list[str]:
    """The floors of the dependencies and extras, as pins."""
    return sorted(
        f"{requirement.name}=={specifier.version}"
        for requirement in requirements(PACKAGE, EXTRAS)
        for specifier in requirement.specifier
        if specifier.operator == ">=" and requirement.name not in _NOT_AT_ITS_FLOOR
    )


def digest() -> str:
    """Of what else is installed."""
    files = (ROOT / name for name in ("pyproject.toml", "constraints.txt"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
