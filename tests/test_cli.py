import json
import os
import re
import subprocess
import sys

import pytest
import torch
from fakes import MODELS, CalibratedEmbedder, picture
from PIL import Image

from modelprint import cli, training
from modelprint.errors import MissingExtraError
from modelprint.extractor import FingerprintExtractor
from modelprint.gallery import Gallery


@pytest.fixture(autouse=True)
def fake_weights(monkeypatch):
    monkeypatch.setattr(cli, "_extractor", lambda options: CalibratedEmbedder())


def write(folder, model, numbers):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.fromarray(picture(model, number)).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with samples of three models, a gallery of them, and fresh images."""
    monkeypatch.chdir(tmp_path)
    for label, model in MODELS.items():
        write(tmp_path / "samples" / label, model, range(4))
        assert cli.main(["enroll", "g", label, f"samples/{label}"]) == 0
    write(tmp_path / "fresh", MODELS["flux"], [50, 51])
    write(tmp_path / "stranger", 77, [0])
    return tmp_path


def test_enroll_makes_a_gallery_and_adds_to_it(place, capsys):
    gallery = Gallery.load("g", CalibratedEmbedder())
    assert gallery.labels == tuple(MODELS)
    capsys.readouterr()
    assert cli.main(["enroll", "g", "flux", "fresh/050.png", "fresh/051.png"]) == 0
    assert capsys.readouterr().out == "enrolled 2 images of flux; g now knows 3 models\n"
    assert "14 images" in repr(Gallery.load("g", CalibratedEmbedder()))


def test_identify_says_who_made_it(place, capsys):
    capsys.readouterr()
    assert cli.main(["identify", "fresh/050.png", "--gallery", "g"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("fresh/050.png: match flux (")
    assert [line.split()[0] for line in lines[1:4]] == ["candidate", "---------", "flux"]


def test_identify_goes_through_folders_and_files_in_order(place, capsys):
    capsys.readouterr()
    call = ["identify", "fresh", "stranger/000.png", "--gallery", "g", "--json", "--fpr", "0.02"]
    assert cli.main(call) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [(record["image"], record["decision"], record["label"]) for record in records]
    assert found == [
        ("fresh/050.png", "match", "flux"),
        ("fresh/051.png", "match", "flux"),
        ("stranger/000.png", "unknown", None),
    ]
    assert {record["fpr"] for record in records} == {0.02}


def test_a_bad_image_among_good_ones_is_reported_and_the_others_are_answered(place, capsys):
    (place / "bad.png").write_text("no image")
    capsys.readouterr()
    assert cli.main(["identify", "bad.png", "fresh/050.png", "--gallery", "g"]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("fresh/050.png: match flux")
    assert captured.err.startswith("modelprint: bad.png:")
    assert captured.err.count("\n") == 1
    assert cli.main(["identify", "bad.png", "--gallery", "g", "--json"]) == 2
    assert "bad.png" in json.loads(capsys.readouterr().out)["error"]


def test_verify_in_words_and_as_json(place, capsys):
    capsys.readouterr()
    pair = ["verify", "fresh/050.png", "fresh/051.png"]
    assert cli.main(pair) == 0
    assert capsys.readouterr().out.startswith("fresh/050.png, fresh/051.png: match, made by one")
    assert cli.main([*pair[:2], "stranger/000.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"] == "no_match"
    assert cli.main(["verify", "fresh/050.png", "fresh/050.png"]) == 0
    assert "  warning: both are the same picture" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["identify", "fresh", "--gallery", "none"], "no such file"),
        (["identify", ".", "--gallery", "g"], "no images in ."),
        (["identify", "fresh", "--gallery", "g", "--fpr", "3"], "between 0 and 1"),
        (["enroll", "nowhere/g", "x", "fresh"], "in an existing folder"),
        (["enroll", "g", "x", "samples"], "no images came"),
        (["enroll", "g", " ", "fresh"], "expected a name"),
        (["enroll", "g", "x", "samples/flux/000.png"], "enrolled already"),
        (["verify", "fresh/050.png", "none.png"], "none.png"),
        (["train", "--out", "r", "--set", "colour=1"], "colour"),
        (["train", "--out", "r", "--set", "models=1"], "models"),
        (["train", "--out", "r", "--set", "models"], "key=value"),
        (["train", "--out", "r", "--set", "recipe=paper"], "options of their own"),
    ],
)
def test_an_error_is_one_line_and_status_2(place, capsys, call, words):
    before = (place / "g").read_bytes()
    capsys.readouterr()
    assert cli.main(call) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("modelprint: ")
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert (place / "g").read_bytes() == before


@pytest.mark.parametrize("call", [[], ["paint"], ["identify"], ["identify", "a.png"]])
def test_a_wrong_call_shows_the_usage(call, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(call)
    assert raised.value.code == 2
    assert "usage: modelprint" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["identify", "enroll", "verify", "train", "env"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main([command, "--help"])
    assert raised.value.code == 0
    text = capsys.readouterr().out
    options = [line for line in text.splitlines() if line.startswith("  -")]
    assert f"usage: modelprint {command}" in text
    assert len(options) >= 3


def test_train_hands_its_options_on(monkeypatch, capsys):
    seen = []

    def train(config, out, *, workers):
        seen.append((config, out, workers))
        return {"top1": 0.5}

    monkeypatch.setattr(training, "train", train)
    call = ["train", "--out", "run", "--recipe", "paper", "--photos", "p", "--workers", "3"]
    assert cli.main([*call, "--set", "steps=7", "--set", "margin=0.5", "--set", "space=open"]) == 0
    expected = training.TrainingConfig.preset(
        "paper", photos="p", steps=7, margin=0.5, space="open"
    )
    assert seen == [(expected, "run", 3)]
    out = capsys.readouterr().out
    assert "0.5000" in out
    assert "run/weights" in out


def test_the_recipes_on_offer_are_those_of_training():
    assert cli._RECIPES == training.RECIPES


def test_train_says_what_to_install(monkeypatch, capsys):
    def train(config, out, *, workers):
        raise MissingExtraError("pip install 'modelprint[train]'")

    monkeypatch.setattr(training, "train", train)
    assert cli.main(["train", "--out", "run"]) == 2
    assert "pip install 'modelprint[train]'" in capsys.readouterr().err


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    def train(config, out, *, workers):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    assert cli.main(["train", "--out", "run"]) == 130
    assert capsys.readouterr().err == "modelprint: interrupted\n"


def test_env_names_versions_and_weights(capsys):
    assert cli.main(["env"]) == 0
    out = capsys.readouterr().out
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["torch"] == torch.__version__
    assert rows["digest"] == FingerprintExtractor.from_pretrained().digest
    assert "synthesis on cpu  backend torch: the device is 'cpu', not 'cuda'" in out
    assert cli.main(["env", "--weights", "/none"]) == 0
    assert re.search(r"\nweights +cannot be used: ", capsys.readouterr().out)


def test_weights_and_device_are_those_asked_for(monkeypatch):
    monkeypatch.undo()
    loaded = []
    monkeypatch.setattr(
        FingerprintExtractor,
        "from_pretrained",
        lambda source=None, *, device=None: loaded.append((source, device)),
    )
    parser = cli._parser()
    verify = ["verify", "a", "b"]
    assert cli._extractor(parser.parse_args(verify)) is None
    cli._extractor(parser.parse_args([*verify, "--weights", "w", "--device", "cpu"]))
    assert loaded == [("w", "cpu")]


def test_a_reader_that_goes_away_is_no_error():
    code = (
        "import sys; from modelprint.cli import main; sys.exit(main(['env', '--weights', '/none']))"
    )
    # Buffered, as it is for users: then the trouble would come at exit.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0
