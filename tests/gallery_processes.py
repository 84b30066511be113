"""Processes that save galleries and come to harm: `python gallery_processes.py SCENARIO FOLDER`.

A process of its own, because it forks, which a process with threads must not do. Prints what
happened as JSON.
"""

import errno
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import torch
from fakes import DIM, CosineEmbedder, picture

from modelprint.errors import GalleryChangedError
from modelprint.gallery import Gallery
from modelprint.index import Index, Row

NOBODY = 65534
ROWS = 500


def gallery_of(seed: int, rows: int = ROWS) -> Gallery:
    """A gallery of many rows, without the time it would take to enroll them."""
    gallery = Gallery(CosineEmbedder())
    fingerprints = torch.randn(rows, DIM, generator=torch.Generator().manual_seed(seed))
    described = [Row(f"model {i % 7}", f"{seed * ROWS + i:064x}", "x") for i in range(rows)]
    unit = torch.nn.functional.normalize(fingerprints)
    index = Index.empty(DIM).with_rows(described, unit, unit)
    gallery._replace(index)
    return gallery


def forked(run) -> int:
    """Start a process; it ends without clean-up, like one that was killed."""
    child = os.fork()
    if child == 0:
        try:
            run()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


def killed(folder: Path, times: int = 200) -> dict:
    """A writer is killed at random moments."""
    path, dice = folder / "models.gallery", random.Random(0)
    galleries = [gallery_of(seed) for seed in (0, 1)]

    def save_both():
        for gallery in galleries:
            gallery.save(path, overwrite=True)

    def save_for_ever():
        while True:
            save_both()

    digests = [gallery.digest for gallery in galleries]
    found, leftovers = [], 0
    for number in range(times):
        if number % 20 == 0:  # again and again, for a disk is not always as fast
            started = time.perf_counter()
            os.waitpid(forked(save_both), 0)
            both_s = time.perf_counter() - started
        child = forked(save_for_ever)
        time.sleep(dice.uniform(0, 2 * both_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found.append(digests.index(Gallery.load(path, CosineEmbedder()).digest))
        leftovers += any(folder.glob(".*.tmp"))
    galleries[0].save(path, overwrite=True)
    return {
        "whole": len(found),
        "of the second": sum(found),
        "leftovers": leftovers,
        "files": sorted(file.name for file in folder.iterdir()),
    }


def at_once(folder: Path, processes: int = 4, enrolments: int = 6) -> dict:
    """Processes enroll and save at once: one half by `update`, one half by trying again."""
    path, embedder = folder / "models.gallery", CosineEmbedder()
    Gallery(embedder).save(path)

    def enroll(process):
        refused = 0
        for i in range(enrolments):
            image = picture(process, i)
            if process % 2:
                with Gallery.update(path, embedder) as gallery:
                    gallery.enroll(f"model {process}", [image])
                continue
            while True:
                gallery = Gallery.load(path, embedder)
                gallery.enroll(f"model {process}", [image])
                time.sleep(0.005)  # so that others do come in between
                try:
                    gallery.save(path)
                    break
                except GalleryChangedError:
                    refused += 1
        (folder / f"refused {process}").write_text(str(refused))

    children = [forked(lambda process=process: enroll(process)) for process in range(processes)]
    failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
    return {
        "failed": failed,
        "images": len(Gallery.load(path, embedder)._index.rows),
        "refused": sum(int(file.read_text()) for file in folder.glob("refused *")),
    }


def full(folder: Path) -> dict:
    """The disk has no room for a larger gallery."""
    return _fails(folder, lambda: None)


def limited(folder: Path) -> dict:
    """The system allows no larger file."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    return _fails(folder, limit)


def read_only(folder: Path) -> dict:
    """The folder may be read, and nothing else."""

    def lose_rights():
        folder.chmod(0o555)
        if os.geteuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    return _fails(folder, lose_rights)


def _fails(folder: Path, harm) -> dict:
    path = folder / "models.gallery"
    gallery_of(0, rows=20).save(path)
    before = path.read_bytes()
    harm()
    gallery = Gallery.load(path, CosineEmbedder())
    gallery.merge(gallery_of(1))
    try:
        gallery.save(path)
        failed = None
    except OSError as error:
        failed = errno.errorcode[error.errno]
    return {
        "error": failed,
        "intact": path.read_bytes() == before and len(Gallery.load(path, CosineEmbedder())) == 7,
        "files": sorted(file.name for file in folder.iterdir()),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    scenarios = {run.__name__: run for run in (killed, at_once, full, limited, read_only)}
    print(json.dumps(scenarios[sys.argv[1]](Path(sys.argv[2]))))
