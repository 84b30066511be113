"""Answers to a file: a run may be stopped at any moment, and is continued."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import MODELS, CalibratedEmbedder, filled_gallery, picture, pictures
from PIL import Image

from modelprint import cli, identify_to_file
from modelprint.errors import (
    EmptyGalleryError,
    FileBusyError,
    InvalidOptionError,
    InvalidRecordError,
    RecordMismatchError,
)
from modelprint.gallery import Gallery
from modelprint.locking import locked


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A gallery and an inbox of 40 images, of which the last cannot be read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_extractor", lambda options: CalibratedEmbedder())
    filled_gallery().save("g")
    fill(tmp_path / "inbox", 40, [39])
    return tmp_path


def fill(folder, images, bad):
    """Links to a few pictures, so that many images cost little."""
    folder.mkdir()
    for i in range(20):
        Image.fromarray(picture(1 + i % 3, 100 + i)).save(folder / f".{i}.png")
    for i in range(images):
        if i in bad:
            (folder / f"{i:05d}.png").write_text("no image")
        else:
            os.link(folder / f".{i % 20}.png", folder / f"{i:05d}.png")


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_image_has_one_line_in_order_that_is_its_audit_record(place):
    gallery, out = filled_gallery(), place / "out.jsonl"
    done = identify_to_file(out, "inbox", gallery, fpr=0.02)
    assert (done.before, done.added, done.unreadable) == (0, 40, 1)
    expected = [answer.to_dict() for answer in gallery.identify_many("inbox", fpr=0.02)]
    written = records(out)
    for record in (*expected, *written):
        del record["provenance"]["time"]
    assert written == expected
    assert written[39]["error"].startswith("inbox/00039.png")
    assert {record["label"] for record in written[:39]} == set(MODELS)


@pytest.mark.parametrize("kept", [0, 1, 7, 7.5, 39.999, 40])
def test_a_file_cut_anywhere_is_completed(place, kept):
    gallery, out = filled_gallery(), place / "out.jsonl"
    identify_to_file(out, "inbox", gallery)
    lines = out.read_bytes().splitlines(keepends=True)
    whole, part = int(kept), kept % 1
    left = b"".join(lines[:whole])
    if part:
        left += lines[whole][: int(part * len(lines[whole]))]
    out.write_bytes(left)
    steps = []
    done = identify_to_file(out, "inbox", gallery, progress=steps.append)
    assert (done.before, done.added) == (whole, 40 - whole)
    assert steps == [whole] + [1] * (40 - whole)
    assert out.read_bytes().startswith(b"".join(lines[:whole]))
    assert [r["image"] for r in records(out)] == [f"inbox/{i:05d}.png" for i in range(40)]


def test_images_that_came_since_are_added(place):
    gallery, out = filled_gallery(), place / "out.jsonl"
    identify_to_file(out, ["inbox/00003.png", "inbox/00004.png", "inbox/00003.png"], gallery)
    done = identify_to_file(out, "inbox", gallery)
    assert (done.before, done.added) == (3, 38)
    names = [record["image"] for record in records(out)]
    assert names[:3] == [f"inbox/0000{i}.png" for i in (3, 4, 3)]
    assert names[3:] == [f"inbox/{i:05d}.png" for i in range(40) if i not in (3, 4)]


def test_answers_of_another_question_are_not_mixed_in(place):
    gallery, out = filled_gallery(), place / "out.jsonl"
    identify_to_file(out, "inbox/00000.png", gallery)
    before = out.read_bytes()
    with pytest.raises(RecordMismatchError, match="another file"):
        identify_to_file(out, "inbox", gallery, fpr=0.05)
    gallery.enroll("new", pictures(9, range(2)))
    with pytest.raises(RecordMismatchError, match="another gallery"):
        identify_to_file(out, "inbox", gallery)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "content", ["notes", "notes\n", "{}\n", "[]\n", "1\n", '{"schema_version": 1}\n', "\n", "\0"]
)
def test_a_file_of_something_else_is_refused_and_kept(place, content):
    out = place / "notes"
    out.write_text(content)
    with pytest.raises(InvalidRecordError, match="notes, line 1"):
        identify_to_file(out, "inbox", filled_gallery())
    assert out.read_text() == content


def test_what_cannot_be_answered_is_refused(place):
    with pytest.raises(EmptyGalleryError):
        identify_to_file("out", "inbox", Gallery(CalibratedEmbedder()))
    with pytest.raises(InvalidOptionError, match="existing folder"):
        identify_to_file("no/out", "inbox", filled_gallery())
    with locked("out"), ThreadPoolExecutor(1) as other:
        asked = other.submit(identify_to_file, "out", "inbox", filled_gallery())
        with pytest.raises(FileBusyError, match="another process"):
            asked.result(30)


def test_the_command_goes_on_where_it_stopped(place, capsys):
    call = ["identify", "inbox", "--gallery", "g", "--out", "out.jsonl"]
    assert cli.main([*call[:1], "inbox/00001.png", *call[2:]]) == 0
    assert capsys.readouterr().out == "answered 1 images; see out.jsonl\n"
    assert cli.main(call) == 2
    said = capsys.readouterr()
    assert said.out == (
        "answered 39 images (1 could not be read), 1 were answered before; see out.jsonl\n"
    )
    assert said.err == ""  # no bar where there is no terminal
    assert len(records(place / "out.jsonl")) == 40


RUN = """
import signal, sys, time; sys.path[:0] = {path!r}
# Whoever is started in the background ignores interruptions, and so would this.
signal.signal(signal.SIGINT, signal.default_int_handler)
from fakes import CalibratedEmbedder
from modelprint import cli

class Slow(CalibratedEmbedder):
    def embed(self, images, **options):
        time.sleep(0.02)
        return super().embed(images, **options)

cli._extractor = lambda options: Slow()
sys.exit(cli.main(["identify", "many", "--gallery", "g", "--out", "out.jsonl"]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_run_that_is_killed_and_interrupted_loses_and_doubles_nothing(place):
    count = 600
    fill(place / "many", count, range(200, count, 200))
    out = place / "out.jsonl"
    lines = 0
    for stop in (signal.SIGKILL, signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN.format(path=sys.path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not out.exists() or out.read_bytes().count(b"\n") < lines + 50:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(stop)
        started = time.monotonic()
        error = process.communicate(timeout=60)[1]
        took_s = time.monotonic() - started
        before, lines = lines, out.read_bytes().count(b"\n")
        assert before < lines < count, "it was not stopped in the middle"
    assert (process.returncode, error) == (130, "modelprint: interrupted\n")
    assert took_s < 3  # a fraction of a second where nothing else runs
    done = identify_to_file(out, "many", Gallery.load("g", CalibratedEmbedder()))
    assert (done.before, done.before + done.added) == (lines, count)
    found = records(out)
    assert [record["image"] for record in found] == [f"many/{i:05d}.png" for i in range(count)]
    bad = [record["image"] for record in found if record["error"]]
    assert bad == ["many/00200.png", "many/00400.png"]
