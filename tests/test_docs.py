"""Every python and shell block of the documentation runs, in order, in a folder with images."""

import re
import shlex
from pathlib import Path

import pytest
import tiny_clip
from fakes import picture
from PIL import Image

import bootstrap
from modelprint import cli, training

ROOT = Path(__file__).resolve().parent.parent
AT_THE_TOP = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")]
PAGES = [*AT_THE_TOP, *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)")
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the pages talk of: samples of two models, suspects, an inbox, photographs, a CLIP."""
    monkeypatch.chdir(tmp_path)
    images = {
        **{f"samples/sdxl/{i:02d}.png": (1, i) for i in range(4)},
        **{f"samples/flux/{i:02d}.png": (2, i) for i in range(4)},
        **{f"samples/pixart/{i:02d}.png": (5, i) for i in range(4)},
        **{f"samples/pixart-lora-x/{i:02d}.png": (6, i) for i in range(4)},
        **{f"strangers/dalle/{i:02d}.png": (7, i) for i in range(10)},
        **{f"strangers/glide/{i:02d}.png": (8, i) for i in range(10)},
        **{"suspect.png": (1, 50), "other.png": (2, 50)},
        **{f"inbox/{i}.png": (3, i) for i in range(2)},
        **{f"photos/{i}.png": (4, i) for i in range(2)},
    }
    for name, (model, number) in images.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(model, number, 96)).save(name)

    tiny_clip.write(Path("clip-vit-large-patch14-336"))

    def train(config, out, *, workers=2):
        """Real training takes hours; that the configuration is accepted is what pages promise."""
        cli.FingerprintExtractor.from_pretrained().save_pretrained(Path(out) / "weights")
        return {"top1": 1.0, "roc_auc": 1.0, "eer": 0.0}

    monkeypatch.setattr(training, "train", train)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page, folder, capsys):
    names = {"__name__": page.stem}
    blocks = BLOCK.findall(page.read_text("utf-8"))
    assert "" not in {language for language, _ in blocks}, "every block names its language"
    for language, block in blocks:
        if language == "python":
            exec(compile(block, f"{page.name}, {block.splitlines()[0]!r}", "exec"), names)
        elif language in ("bash", "console"):
            for line in block.splitlines():
                if language == "bash" or line.startswith("$ "):
                    run_line(line.removeprefix("$ "))
        else:
            assert language == "text"


def run_line(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[:1] == ["modelprint"]:
        assert cli.main(words[1:]) == 0, line
    elif words[:2] == ["python3", "bootstrap.py"]:
        assert words[2] in bootstrap.COMMANDS, line
    elif words[:2] == ["pip", "install"]:
        extras = re.fullmatch(r"\.(?:\[(\w+)\])?", words[2])
        assert extras, line
        assert extras[1] is None or extras[1] in optional_dependencies(), line
    elif words:
        pytest.fail(f"the test does not know how to check {line!r}")


def optional_dependencies() -> set[str]:
    return set(
        re.findall(r"^(\w+) = \[", PROJECT.split("[project.optional-dependencies]")[1], re.M)
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
