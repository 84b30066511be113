"""The checks of dependencies can fail, and say so when they could not look."""

import json
import re
import subprocess
from email.message import Message
from pathlib import Path

import pytest

from checks import advisories, licences
from checks.dependencies import closure
from checks.oldest import oldest


class Package:
    """A distribution by its metadata."""

    version = "1.0+cpu"

    def __init__(self, *fields):
        self.metadata = Message()
        for field, value in fields:
            self.metadata[field] = value


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ([("License-Expression", "MIT")], False),
        ([("License-Expression", "Apache-2.0 WITH LLVM-exception OR (MIT AND PSF-2.0)")], False),
        ([("License-Expression", "MIT AND GPL-3.0-only")], True),
        ([("Classifier", "License :: OSI Approved :: BSD License"), ("License", "GPL")], False),
        ([("Classifier", "License :: OSI Approved :: GNU General Public License (GPL)")], True),
        ([("Classifier", "License :: OSI Approved"), ("License", "Apache 2.0")], True),
        ([("License", "Apache-2.0")], False),
        ([("License", "Proprietary\nMIT")], True),
        ([("Name", "silent")], True),
    ],
)
def test_licences_that_are_not_permissive_are_refused(monkeypatch, capsys, fields, refused):
    monkeypatch.setattr(licences, "closure", lambda: {"thing": Package(*fields)})
    assert licences.main() == refused
    assert f"1 packages, {int(refused)} without" in capsys.readouterr().out


def test_the_dependencies_are_all_looked_at():
    assert {"torch", "numpy", "pillow", "safetensors", "huggingface-hub", "tqdm", "matplotlib"} <= {
        *closure()
    }
    assert {"pytest", "ruff", "modelprint"}.isdisjoint(closure())


VULNERABLE = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": ""}


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ([{"name": "thing", "version": "1.0", "vulns": []}], 0, "1 packages, 0 known"),
        ([{"name": "thing", "version": "1.0", "vulns": [VULNERABLE]}], 1, "PYSEC-1, fixed in 1.1"),
        ([{"name": "thing", "skip_reason": "not found"}], 0, "NOT CHECKED"),
        (None, 0, "NOT CHECKED"),
    ],
)
def test_advisories(monkeypatch, capsys, answers, status, said):
    asked = []

    def run(call, **options):
        asked.append(call[call.index("--vulnerability-service") + 1])
        with open(call[call.index("--requirement") + 1]) as file:  # noqa: PTH123
            assert file.read() == "thing==1.0"
        out = "" if answers is None else json.dumps({"dependencies": answers})
        return subprocess.CompletedProcess(call, 1, out, "")

    monkeypatch.setattr(advisories.subprocess, "run", run)
    monkeypatch.setattr(advisories, "closure", lambda: {"thing": Package()})
    assert advisories.main() == status
    assert said in capsys.readouterr().out
    assert asked == (["pypi", "osv"] if "NOT" in said else ["pypi"])


def test_every_floor_but_that_of_torch_is_tested():
    project = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text("utf-8")
    users = project.partition("\ndependencies = ")[2].partition("[project.scripts]")[0]
    floors = dict(re.findall(r'"([a-z-]+)>=([0-9.]+)"', users))
    assert floors.pop("torch")
    # Needs newer packages than our other floors; the floor is the only version that was tried.
    assert floors.pop("transformers")
    assert len(floors) >= 7
    assert oldest() == sorted(f"{name}=={floor}" for name, floor in floors.items())
