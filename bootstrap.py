#!/usr/bin/env python3
"""Runs modelprint from a fresh checkout: `python3 bootstrap.py demo`, `test`, `lint`, `docs` ...

`fuzz` searches for input that breaks a reader, `audit` looks at licences and advisories of the
dependencies, `package` builds the wheel and uses it, `oldest` tests with the oldest dependencies.

The first call makes a virtual environment in .venv and installs into it what the command needs;
later calls start at once, until pyproject.toml, constraints.txt or the Python version changes.
Needs Python 3.10 or newer and nothing else. pip is called as it is configured on your machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
# pip reads dependency groups from here on.
PIP = "pip>=25.1"
OLDEST_PYTHON = (3, 10)
MARKER = "made-by-bootstrap"

# A file's tests run in one process, and no more processes than memory is sure to be there for.
IN_PARALLEL = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")

# Command -> what it installs besides the package, and what it then runs inside the environment.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "demo": ((), (("examples/demo.py",),)),
    "test": (("--group", "test"), (("-m", "pytest", *IN_PARALLEL),)),
    "lint": (
        ("--group", "test", "--group", "lint"),
        (("-m", "ruff", "check"), ("-m", "ruff", "format", "--check"), ("-m", "mypy")),
    ),
    "fuzz": (("--group", "fuzz"), (("-m", "fuzz"),)),
    "audit": (
        ("--group", "test", "--group", "audit"),
        (("-m", "checks.licences"), ("-m", "checks.advisories")),
    ),
    "package": (("--group", "package"), (("-m", "checks.package"),)),
    "oldest": (("--group", "test"), (("-m", "checks.oldest"),)),
    "docs": (("--group", "docs"), (("-m", "mkdocs", "build", "--quiet"),)),
}


class BootstrapError(Exception):
    """Something that the user can put right; the message says what."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python3 bootstrap.py")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="handed on to what it runs")
    options = parser.parse_args(arguments)
    install, runs = COMMANDS[options.command]
    if options.rest and len(runs) > 1:
        parser.error(f"{options.command} takes no further arguments, got {options.rest}")
    try:
        python = prepare(options.command, install)
        for run in runs:
            status = subprocess.run([str(python), *run, *options.rest], cwd=ROOT).returncode
            if status:
                return status
    except BootstrapError as error:
        print(f"bootstrap.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def prepare(command: str, install: Sequence[str]) -> Path:
    """Make the environment ready for a command, if it is not; returns its Python."""
    if sys.version_info < OLDEST_PYTHON:
        raise BootstrapError(
            f"Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer is needed, this is "
            f"{sys.version.split()[0]}; call this file with a newer one, such as python3.12"
        )
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = VENV / f"ready-for-{command}", fingerprint(install)
    if python.exists() and stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return python
    make_environment(python)
    say(f"installing what `{command}` needs; the first time this downloads PyTorch, which is large")
    pip(python, "--upgrade", PIP)
    pip(python, "--constraint", "constraints.txt", "--editable", ".", *install)
    stamp.write_text(wanted, "utf-8")
    return python


def fingerprint(install: Sequence[str]) -> str:
    """Changes whenever what is installed has to be installed again."""
    state = hashlib.sha256(f"{sys.version} {list(install)}".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        state.update((ROOT / name).read_bytes())
    return state.hexdigest()


def make_environment(python: Path) -> None:
    """Make .venv, unless one of this Python is there; one that is not ours is left alone."""
    marker = VENV / MARKER
    if VENV.exists() and not marker.is_file():
        raise BootstrapError(
            f"{VENV} exists and was not made by bootstrap.py: move it away, or install by hand "
            "with `pip install -e .`"
        )
    if python.exists() and marker.read_text("utf-8") == sys.version:
        return
    say(f"making {VENV} with Python {sys.version.split()[0]}")
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    # Before anything else is in it, so that an interrupted first call is known to be ours.
    marker.write_text(sys.version, "utf-8")
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)]).returncode:
        raise BootstrapError(
            "`python3 -m venv` failed; on Debian and Ubuntu install the package python3-venv, or "
            "call this file with another Python"
        )


def pip(python: Path, *arguments: str) -> None:
    """Install; pip's report goes to stderr, so that stdout is what the command prints."""
    call = [str(python), "-m", "pip", "install", *arguments]
    if subprocess.run(call, cwd=ROOT, stdout=sys.stderr).returncode:
        raise BootstrapError(
            "pip could not install (its reason stands above); check the connection, the free disk "
            "space and `pip config list`, then run the same command again"
        )


def say(message: str) -> None:
    """Tell what takes a while."""
    print(f"bootstrap.py: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
