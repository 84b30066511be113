"""What the files around the code promise."""

import os
import re
from pathlib import Path

import modelprint

ROOT = Path(__file__).resolve().parent.parent


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_newest_change_is_this_version():
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", read("CHANGELOG.md"), re.M)
    released = [(version, date) for version, date in headings if version != "Unreleased"]
    assert released[0][0] == modelprint.__version__
    assert all(date for _, date in released)


def test_ci_runs_the_commands_of_the_readme():
    steps = read(".ci/run").splitlines()
    assert steps[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in steps
    fuzz = "fuzz --seconds 10"
    assert [step for step in steps if step.startswith("python3")] == [
        f"python3 bootstrap.py {command}"
        for command in ("test", "lint", "docs", "demo", fuzz, "audit", "package", "oldest")
    ]
    # As they stand in the README: the first two commands that a reader meets.
    shown = re.findall(r"^(python3 bootstrap\.py \w+)", read("README.md"), re.M)
    assert shown == ["python3 bootstrap.py demo", "python3 bootstrap.py test"]
    assert os.name == "nt" or os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_licence_is_apache_2():
    words = " ".join(read("LICENSE").split())
    assert words.startswith("Apache License Version 2.0, January 2004")
    assert "END OF TERMS AND CONDITIONS" in words
    assert 'license = "Apache-2.0"' in read("pyproject.toml")


def test_no_file_is_too_long_to_read():
    sources = [
        path
        for folder in ("src", "examples", "benchmarks", "fuzz", "checks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in sources}
    assert {name for name, lines in lengths.items() if lines > 350} == set()
    assert sorted(lengths.values())[len(lengths) // 2] <= 150
