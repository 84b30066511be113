"""Files that are damaged, hostile, or no images: an image or `InvalidImageError`, nothing else."""

import io
import json
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageFile

import fuzz
from fuzz.image_files import (
    encoded,
    intact_files,
    picture,
    png_chunk,
)
from modelprint.decoding.image_decoding import _open_without_blocking
from modelprint.decoding.pillow_guard import _without_pillow_warnings
from modelprint.errors import ImageNotFoundError, InvalidImageError
from modelprint.images import iter_sources, load_image

INTACT = intact_files()


@pytest.mark.parametrize("kind", INTACT)
def test_every_file_is_readable_before_it_is_damaged(load, kind):
    assert sorted(load(INTACT[kind]).pixels.shape) == [3, 40, 48]


@pytest.mark.parametrize("kind", INTACT)
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_truncated_files_are_refused(load, kind, share):
    with pytest.raises(InvalidImageError, match=r"^x\.png: expected .*\. (Get an|Convert it)"):
        load(INTACT[kind][: max(4, int(len(INTACT[kind]) * share))])


@pytest.mark.skipif(os.name != "posix", reason="only there a process knows its largest memory")
def test_six_thousand_damaged_files_give_an_image_or_our_error():
    # A process of its own: a decoder that crashes or hangs must not take the other tests with it.
    root = Path(fuzz.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.mutations", "--files", "6000"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        capture_output=True,
        timeout=300,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["read"] > 1000
    assert found["refused"] > 1000
    assert found["read"] + found["refused"] == found["files"] == 6000
    assert found["all messages say what was expected"]
    assert found["warnings that reached the caller"] == 0
    assert found["fingerprinted"] > 10
    assert found["fingerprints that are not finite"] == 0
    # 25 bytes a pixel, and as much again for the allocator.
    assert found["memory_growth_mib"] < 96
    assert found["slowest_s"] < 20


def test_too_small_files_are_refused(load):
    assert load(encoded(Image.new("RGB", (32, 32)), "PNG")).pixels.shape == (3, 32, 32)
    with pytest.raises(InvalidImageError, match="at least 32 pixels a side, got 31 x 900"):
        load(encoded(Image.new("RGB", (31, 900)), "PNG"))


def test_pillow_limits_neither_warn_nor_change(load, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 48 - 1)
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        for data in INTACT.values():
            load(data)
    assert leaked == []
    assert Image.MAX_IMAGE_PIXELS == 40 * 48 - 1
    assert truncated is ImageFile.LOAD_TRUNCATED_IMAGES


def png_that_pillow_warns_about():
    chunk = png_chunk(b"acTL", bytes(8))  # an animation without frames
    return INTACT["png"][:33] + chunk + INTACT["png"][33:]


def test_pillow_warnings_are_kept_from_the_caller(load):
    data = png_that_pillow_warns_about()
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(io.BytesIO(data)).load()
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        assert load(data).sha256 == load(INTACT["png"]).sha256
    assert leaked == []


def test_overlapping_threads_leave_no_filter_behind():
    filters = list(warnings.filters)
    first, second = _without_pillow_warnings(), _without_pillow_warnings()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(first.__enter__).result()
        other.submit(second.__enter__).result()
        one.submit(first.__exit__, None, None, None).result()
        other.submit(second.__exit__, None, None, None).result()
    assert warnings.filters == filters


def test_only_pillow_is_silenced():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with _without_pillow_warnings():
            warnings.warn("from somewhere else", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in heard] == ["from somewhere else"]


def test_many_threads_at_once(tmp_path):
    paths = []
    for i in range(24):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(png_that_pillow_warns_about() if i % 2 else INTACT["png"])
    filters = list(warnings.filters)
    with ThreadPoolExecutor(6) as pool:
        assert len({image.sha256 for image in pool.map(load_image, paths)}) == 1
    assert warnings.filters == filters


FOREIGN = {
    "one byte": b"x",
    "zeros": bytes(99),
    "sound": b"RIFF\4\0\0\0WAVE",
    "pdf": b"%PDF-1.7\n",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "photoshop": b"8BPS\0\1" + bytes(60),
    "ppm, which Pillow alone would open": encoded(picture(), "PPM"),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_image_is_refused(load, data):
    with pytest.raises(InvalidImageError, match=r"^x\.png: expected a PNG, .* that begins with b"):
        load(data)


@pytest.mark.parametrize(
    "data", [b"BM", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF\4\0\0\0WEBP"]
)
def test_mere_beginnings_are_refused(load, data):
    with pytest.raises(InvalidImageError, match=r"^x\.png: expected an image that can be decoded"):
        load(data)


def test_paths_that_cannot_be_images(tmp_path):
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(InvalidImageError, match=r"empty\.png: expected .* got an empty file"):
        load_image(empty)
    with pytest.raises(InvalidImageError, match="expected one image file, got a folder"):
        load_image(tmp_path)
    for path in (tmp_path / "none.png", empty / "below.png", ""):
        with pytest.raises(ImageNotFoundError, match=r"there is no such file\. Expected"):
            load_image(path)
    with pytest.raises(FileNotFoundError):
        load_image("nowhere.png")
    for path in ("a\0b.png", "x" * 5000):
        with pytest.raises(InvalidImageError, match="the file cannot be opened"):
            load_image(path)


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    path.write_bytes(INTACT["png"])

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # file modes do not stop an administrator
    with pytest.raises(InvalidImageError, match=r"cannot be opened .*Permission denied"):
        load_image(path)


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege elsewhere")
def test_links_that_lead_round_in_circles_or_nowhere(tmp_path):
    for name, target in (("a.png", "b.png"), ("b.png", "a.png"), ("lost.png", "gone.png")):
        (tmp_path / name).symlink_to(tmp_path / target)
    (tmp_path / "x.png").write_bytes(INTACT["png"])
    (tmp_path / "good.png").symlink_to(tmp_path / "x.png")
    said = {}
    for name, source in iter_sources(tmp_path):
        try:
            said[Path(name).name] = load_image(source).format
        except InvalidImageError as error:
            said[Path(name).name] = str(error).partition(": ")[2][:26]
    assert said == {
        "a.png": "the file cannot be opened ",
        "b.png": "the file cannot be opened ",
        "lost.png": "there is no such file. Exp",
        "good.png": "PNG",
        "x.png": "PNG",
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_pipes_and_devices_do_not_block(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    found = []

    def attempt():
        for path in (pipe, Path("/dev/zero"), Path("/dev/null")):
            try:
                load_image(path)
            except InvalidImageError as error:
                found.append(str(error))
        os.close(_open_without_blocking(str(pipe), os.O_RDONLY))
        found.append("opened")

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert len(found) == 4
    assert all("expected a regular file, got a pipe, socket or device" in e for e in found[:3])


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux counts open files")
def test_files_are_closed(load):
    folder = Path("/proc/self/fd")
    before = len(list(folder.iterdir()))
    for data in INTACT.values():
        load(data)
        with pytest.raises(InvalidImageError):
            load(data[: len(data) // 3])
    assert len(list(folder.iterdir())) == before


def test_closed_and_damaged_pillow_images_are_refused():
    closed = picture()
    closed.close()
    damaged = Image.open(io.BytesIO(INTACT["jpeg"][:700]))
    strange = picture()
    strange.info["transparency"] = "nonsense"
    for image in (closed, damaged, strange):
        with pytest.raises(InvalidImageError, match=r"^<PIL image>: expected an image that can be"):
            load_image(image)


def test_empty_pillow_image_is_refused():
    with pytest.raises(InvalidImageError, match="at least 32 pixels a side, got 0 x 0"):
        load_image(Image.new("RGB", (0, 0)))


def test_the_cause_is_kept(load):
    with pytest.raises(InvalidImageError) as caught:
        load(INTACT["jpeg"][:700])
    assert isinstance(caught.value.__cause__, OSError)
    assert "truncated" in str(caught.value)
