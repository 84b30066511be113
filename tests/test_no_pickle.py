"""Nothing is unpickled or executed, by whichever door it comes; and nothing else could do it."""

import ast
import json
import pickle
from pathlib import Path

import pytest
import tiny
import torch
from fake_hub import FakeHub, Repository
from fakes import CalibratedEmbedder, filled_gallery
from PIL import Image
from test_hub import NAME, hub  # noqa: F401  # a fixture

import modelprint
from modelprint.calibration import Calibration
from modelprint.errors import (
    InvalidGalleryFileError,
    InvalidImageError,
    InvalidOptionError,
    InvalidRecordError,
    InvalidWeightsError,
)
from modelprint.extractor import FingerprintExtractor
from modelprint.gallery import Gallery
from modelprint.hub import CALIBRATION, CONFIG, MODEL
from modelprint.images import load_image

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for folder in ("src", "benchmarks", "examples", "fuzz", "checks")
    for path in (ROOT / folder).rglob("*.py")
)
# What turns data into code, by the name that it is called or imported by.
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
MODULES |= {"jsonpickle", "yaml", "runpy", "code", "ctypes"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
METHODS = {("torch", "load"), ("torch", "hub"), ("torch.jit", "load"), ("np", "load")}
METHODS |= {("numpy", "load"), ("os", "system"), ("os", "popen"), ("pd", "read_pickle")}
ARGUMENTS = {"trust_remote_code", "allow_pickle", "shell"}


def dangers(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module] * (node.module.split(".")[0] in MODULES)
            found += [a.name for a in node.names if (node.module, a.name) in METHODS]
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
                found.append(node.func.id)
            found += [k.arg for k in node.keywords if k.arg in ARGUMENTS]
        elif isinstance(node, ast.Attribute) and (ast.unparse(node.value), node.attr) in METHODS:
            found.append(ast.unparse(node))
    return found


def test_no_source_can_turn_data_into_code():
    assert len(SOURCES) > 100
    assert {str(p): d for p in SOURCES if (d := dangers(p.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "def late():\n    import dill as d",
        "torch.load('x')",
        "from torch import load",
        "np.load('x')",
        "eval('1')",
        "subprocess.run('ls', shell=True)",
        "snapshot_download('x', trust_remote_code=True)",
    ],
)
def test_what_could_is_found(source):
    assert dangers(source)


# Doors

EXECUTED = []


def go_off():
    EXECUTED.append("ran")


class Bomb:
    def __reduce__(self):
        return go_off, ()


@pytest.fixture(params=["pickle", "torch", "torch, legacy"])
def bomb(request, tmp_path):
    """A file that executes something if it is unpickled, in three wrappings."""
    path = tmp_path / "bomb"
    if request.param == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save(Bomb(), path, _use_new_zipfile_serialization=request.param == "torch")
    yield path
    assert EXECUTED == []


def test_the_bomb_would_go_off():
    pickle.loads(pickle.dumps(Bomb()))
    assert EXECUTED.pop() == "ran"


def test_a_pickle_is_no_image(bomb):
    with pytest.raises(InvalidImageError, match="got one that begins with"):
        load_image(bomb)


def test_a_pickle_is_no_gallery(bomb):
    with pytest.raises(InvalidGalleryFileError, match="damaged or not a gallery"):
        Gallery.load(bomb, CalibratedEmbedder())


@pytest.mark.parametrize("name", [MODEL, CONFIG, CALIBRATION])
@pytest.mark.parametrize("schema", [1, 2])
def test_a_pickle_is_no_part_of_weights(bomb, tmp_path, name, schema):
    folder = tmp_path / "weights"
    tiny.extractor().save_pretrained(folder)
    config = json.loads((folder / CONFIG).read_text())
    if schema == 1:  # without digests, so that the file itself is read
        del config["sha256"]
        (folder / CONFIG).write_text(json.dumps({**config, "schema_version": 1}))
    (folder / name).write_bytes(bomb.read_bytes())
    with pytest.raises(InvalidWeightsError, match=name):
        FingerprintExtractor.from_pretrained(folder)


def test_a_pickle_is_no_record(bomb):
    with pytest.raises(InvalidRecordError, match="cannot be read"):
        modelprint.replay(bomb, Image.new("RGB", (64, 64)), filled_gallery())


def test_a_pickle_is_no_calibration(bomb):
    with pytest.raises(InvalidWeightsError, match="expected the keys"):
        Calibration.from_dict(bomb.read_bytes())


def test_code_and_templates_of_a_repository_are_neither_fetched_nor_run(hub: FakeHub, tmp_path):  # noqa: F811
    folder = tmp_path / "theirs"
    extractor = tiny.extractor(seed=4)
    extractor.card = "---\nlicense: x\n---\n{{ ''.__class__ }} {% include '/etc/passwd' %}"
    extractor.save_pretrained(folder)
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()".encode()
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("modeling.py", "__init__.py", "setup.py", "configuration.py", "handler.py"):
        files[name] = code
    files["pytorch_model.bin"] = files["deeper/model.safetensors"] = pickle.dumps(Bomb())
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit(files)
    loaded = FingerprintExtractor.from_pretrained(NAME, device="cpu")
    assert loaded.card == extractor.card
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "README.md").read_text() == extractor.card
    assert hub.downloads() == {MODEL, CONFIG, CALIBRATION, "README.md"}
    config = json.loads(files[CONFIG]) | {"auto_map": {"AutoModel": "modeling.Model"}}
    hub.repositories[NAME].commit({**files, CONFIG: json.dumps(config).encode()})
    with pytest.raises(InvalidWeightsError, match=r"unknown \['auto_map'\]"):
        FingerprintExtractor.from_pretrained(NAME, device="cpu")
    assert not ran.exists()
    assert EXECUTED == []


# Names that look like paths


@pytest.mark.parametrize("label", ["../../escape", "/etc/passwd", "../escape", "..", "C:\\x", "~"])
def test_a_label_is_never_a_path(tmp_path, monkeypatch, label):
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    gallery = filled_gallery()
    pixels = torch.zeros(3, 64, 64, dtype=torch.uint8)
    if label in ("/etc/passwd", "../../escape"):
        with pytest.raises(InvalidOptionError, match=r"empty part|'\.\.' above '\.\.'"):
            gallery.enroll(label, [pixels])
    else:
        gallery.enroll(label, [pixels])
        gallery.save("g")
        loaded = Gallery.load("g", CalibratedEmbedder())
        assert label in loaded
        assert loaded.verify(pixels, label).to_dict()["label"] == label
        (inside / "g").unlink()
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left <= {inside / ".g.lock"}
