import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap

PYTEST = ["-m", "pytest", *bootstrap.IN_PARALLEL]


class Checkout:
    """Stands in for subprocess.run: writes down what would be run, and fails where told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[list[str]] = []
        self.failing = ""

    def run(self, call, **options):
        words = [str(word) for word in call[1:]]
        self.calls.append(words)
        if self.failing and self.failing in words:
            return subprocess.CompletedProcess(call, 1)
        if words[:2] == ["-m", "venv"]:
            for name in ("bin/python", "Scripts/python.exe"):
                python = Path(words[2]) / name
                python.parent.mkdir(exist_ok=True)
                python.touch()
        return subprocess.CompletedProcess(call, 0)

    def calls_of(self, *arguments: str) -> list[list[str]]:
        self.calls.clear()
        assert bootstrap.main(arguments) == 0
        return list(self.calls)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    made = Checkout(tmp_path)
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap.subprocess, "run", made.run)
    (tmp_path / "pyproject.toml").write_text("one")
    (tmp_path / "constraints.txt").write_text("two")
    return made


def test_the_first_run_installs_and_the_second_starts_at_once(checkout):
    venv, pip, install, run = checkout.calls_of("test", "-k", "gallery")
    assert venv == ["-m", "venv", str(checkout.root / ".venv")]
    assert pip == ["-m", "pip", "install", "--upgrade", "pip>=25.1"]
    assert install[:3] == ["-m", "pip", "install"]
    assert install[3:] == ["--constraint", "constraints.txt", "--editable", ".", "--group", "test"]
    assert run == [*PYTEST, "-k", "gallery"]
    assert checkout.calls_of("test") == [PYTEST]


def test_another_command_installs_only_what_it_needs_more(checkout):
    assert checkout.calls_of("demo")[-1] == ["examples/demo.py"]
    calls = checkout.calls_of("lint")
    assert [call[1] for call in calls] == ["pip", "pip", "ruff", "ruff", "mypy"]
    assert checkout.calls_of("demo") == [["examples/demo.py"]]


def test_an_audit_looks_at_advisories_only_after_licences(checkout):
    runs = [["-m", "checks.licences"], ["-m", "checks.advisories"]]
    assert checkout.calls_of("audit")[-2:] == runs
    checkout.failing = "checks.licences"
    assert bootstrap.main(["audit"]) == 1
    assert checkout.calls[-1] == runs[0]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_of_what_is_required_installs_again(checkout, name):
    checkout.calls_of("test")
    (checkout.root / name).write_text("changed")
    assert [call[1] for call in checkout.calls_of("test")] == ["pip", "pip", "pytest"]
    assert checkout.calls_of("test") == [PYTEST]


def test_another_python_makes_the_environment_again(checkout, monkeypatch):
    checkout.calls_of("test")
    old = checkout.root / ".venv" / "old"
    old.touch()
    monkeypatch.setattr(bootstrap.sys, "version", "3.99.0 (another)")
    assert [call[1] for call in checkout.calls_of("test")] == ["venv", "pip", "pip", "pytest"]
    assert not old.exists()


def test_an_environment_of_somebody_else_is_left_alone(checkout, capsys):
    theirs = checkout.root / ".venv" / "theirs"
    theirs.parent.mkdir()
    theirs.touch()
    assert bootstrap.main(["test"]) == 2
    assert "move it away" in capsys.readouterr().err
    assert theirs.exists()
    assert checkout.calls == []


@pytest.mark.parametrize(("failing", "words"), [("venv", "python3-venv"), ("--editable", "pip")])
def test_a_failure_says_what_to_do_and_is_tried_again(checkout, capsys, failing, words):
    checkout.failing = failing
    assert bootstrap.main(["test"]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    checkout.failing = ""
    assert checkout.calls_of("test")[-1] == PYTEST
    assert ["-m", "venv", str(checkout.root / ".venv")] in checkout.calls or failing != "venv"


def test_a_red_linter_stops_and_its_status_is_ours(checkout):
    checkout.failing = "format"
    assert bootstrap.main(["lint"]) == 1
    assert checkout.calls[-1] == ["-m", "ruff", "format", "--check"]


def test_an_old_python_is_told_so(checkout, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 1))
    assert bootstrap.main(["test"]) == 2
    assert "Python 3.10 or newer is needed" in capsys.readouterr().err


@pytest.mark.parametrize("call", [[], ["bake"], ["lint", "--fix"]])
def test_a_wrong_call_shows_the_usage(checkout, call, capsys):
    with pytest.raises(SystemExit):
        bootstrap.main(call)
    assert "usage: python3 bootstrap.py" in capsys.readouterr().err
    assert checkout.calls == []


def test_it_needs_the_standard_library_alone_and_leaves_pip_its_configuration():
    source = Path(bootstrap.__file__).read_text("utf-8")
    # Read by Pythons that are too old, too, so that they can be told.
    tree = ast.parse(source, feature_version=(3, 8))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in nodes}
    assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names}
    assert "://" not in source
    assert "index" not in source
