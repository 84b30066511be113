"""Galleries whose writers are killed, interrupted by each other, or refused by the system."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from fakes import CosineEmbedder, picture, pictures

from modelprint.errors import FileBusyError, GalleryChangedError, InvalidOptionError
from modelprint.files import replace_files
from modelprint.gallery import Gallery
from modelprint.locking import locked

posix = pytest.mark.skipif(os.name != "posix", reason="forks")
FILES = [".models.gallery.lock", "models.gallery"]


def scenario(name, folder):
    script = Path(__file__).with_name("gallery_processes.py")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, script, name, folder],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    print(done.stderr)  # of the processes that it started: pytest shows it when a test fails
    return json.loads(done.stdout)


@pytest.fixture
def path(tmp_path):
    gallery = Gallery(CosineEmbedder())
    gallery.enroll("sdxl", pictures(1, range(2)))
    gallery.save(tmp_path / "models.gallery")
    return tmp_path / "models.gallery"


def load(path):
    return Gallery.load(path, CosineEmbedder())


# Processes


@posix
def test_a_writer_killed_at_any_moment_leaves_a_whole_gallery(tmp_path):
    result = scenario("killed", tmp_path)
    assert result["whole"] == 200
    # The moments were such that both galleries were met, and some were in the middle of a save.
    assert 0 < result["of the second"] < 200
    assert result["leftovers"] > 0
    assert result["files"] == FILES


@posix
def test_processes_that_enroll_at_once_lose_nothing(tmp_path):
    result = scenario("at_once", tmp_path)
    assert (result["failed"], result["images"]) == (0, 24)
    assert result["refused"] > 0, "they did not get into each other's way, so nothing was tested"


@posix
def test_where_nothing_larger_can_be_written_the_old_gallery_stays(tmp_path):
    assert scenario("limited", tmp_path) == {"error": "EFBIG", "intact": True, "files": FILES}


@posix
def test_on_a_full_disk_the_old_gallery_stays(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        assert scenario("full", tmp_path) == {"error": "ENOSPC", "intact": True, "files": FILES}
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@posix
def test_in_a_folder_that_cannot_be_written_the_old_gallery_stays():
    # Not below tmp_path, where nobody but its owner may look.
    folder = Path(tempfile.mkdtemp(prefix="modelprint-"))
    folder.chmod(0o755)
    try:
        result = scenario("read_only", folder)
        assert (result["error"], result["intact"]) == ("EACCES", True)
        assert result["files"] == FILES
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_file_and_folder_are_synced_around_the_exchange(path, monkeypatch):
    """What a power cut would show; it cannot be tried here."""
    order = []
    sync, exchange = os.fsync, Path.replace

    def synced(descriptor):
        order.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        sync(descriptor)

    def exchanged(self, target):
        order.append("exchange")
        return exchange(self, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell what was synced")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", exchanged)
    replace_files({path: b"new"})
    assert order == ["file", "exchange", "folder"]


# Others' changes


def test_saving_over_what_others_changed_is_refused(path):
    mine, theirs = load(path), load(path)
    theirs.enroll("flux", pictures(2, range(2)))
    theirs.save(path)
    mine.enroll("pixart", pictures(3, range(2)))
    for _ in range(2):
        with pytest.raises(GalleryChangedError, match=r"Gallery\.update\(path\)"):
            mine.save(path)
    assert load(path).labels == ("sdxl", "flux")
    theirs.enroll("dalle", pictures(4, range(2)))
    theirs.save(path)
    mine.save(path, overwrite=True)
    assert load(path).labels == ("sdxl", "pixart")
    mine.remove("sdxl")
    mine.save(path)
    assert load(path).labels == ("pixart",)


def test_saving_over_a_gallery_that_was_never_loaded_is_refused(path):
    fresh = Gallery(CosineEmbedder())
    with pytest.raises(GalleryChangedError, match="never loaded"):
        fresh.save(path)
    # The same content loses nothing: a script may be run again.
    fresh.enroll("sdxl", pictures(1, range(2)))
    fresh.save(path)
    # Nor does an empty file, or one that is gone.
    fresh.enroll("flux", pictures(2, range(2)))
    path.write_bytes(b"")
    fresh.save(path)
    path.unlink()
    fresh.save(path)
    assert load(path).labels == ("sdxl", "flux")


def test_what_is_no_gallery_is_not_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(GalleryChangedError):
        Gallery(CosineEmbedder()).save(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "notes"


def test_an_update_that_fails_saves_nothing(path):
    before = path.read_bytes()

    def fails():
        with Gallery.update(path, CosineEmbedder()) as gallery:
            gallery.enroll("flux", pictures(2, range(2)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert path.read_bytes() == before
    with Gallery.update(path, CosineEmbedder()) as gallery:  # and it has let go of the file
        gallery.enroll("flux", pictures(2, range(2)))
        gallery.save(path)
        gallery.enroll("pixart", pictures(3, range(2)))
    assert load(path).labels == ("sdxl", "flux", "pixart")


def test_an_update_makes_a_gallery_that_is_not_there(tmp_path):
    with Gallery.update(tmp_path / "new", CosineEmbedder()) as gallery:
        gallery.enroll("sdxl", picture(1, 0))
    assert load(tmp_path / "new").labels == ("sdxl",)
    with (
        pytest.raises(InvalidOptionError, match="existing folder"),
        Gallery.update(tmp_path / "no" / "such", CosineEmbedder()),
    ):
        pytest.fail("nothing could be saved there")
    assert not (tmp_path / "no").exists()


def test_who_waits_too_long_is_told(path):
    held, done = threading.Event(), threading.Event()

    def hold():
        with locked(path):
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(30)
        started = time.monotonic()
        with (
            pytest.raises(FileBusyError, match=r"for 0\.2 s.*larger timeout"),
            Gallery.update(path, CosineEmbedder(), timeout_s=0.2),
        ):
            pytest.fail("somebody else has it")
        assert 0.2 <= time.monotonic() - started < 5
        assert load(path).labels == ("sdxl",)  # who only reads does not wait
    finally:
        done.set()
        holder.join()
    with Gallery.update(path, CosineEmbedder(), timeout_s=0.2):
        pass
