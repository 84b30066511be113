"""Answers about many images as a file that grows: one audit record a line, in order.

A run that was stopped, however it was, is continued by the same call: every image is answered once.
Each line is written by one call to the system, so that a process that is killed leaves at most its
last line unfinished, which the next run cuts off and writes again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from modelprint.answers.answering import allowed_fpr
from modelprint.errors import InvalidRecordError, RecordMismatchError
from modelprint.gallery import Gallery
from modelprint.images import iter_sources
from modelprint.locking import locked, place_of

OnePath: TypeAlias = str | os.PathLike[str]

_WAIT_S = 1.0
_BEGINNING = b'{"schema_version": '


@dataclass(frozen=True)
class AnswerFile:
    """What `identify_to_file` has done.

    Attributes:
        before: Answers that stood in the file already.
        added: Answers written now, one per image.
        unreadable: How many of `added` are of images that could not be read: their `error` says
            why.
    """

    before: int
    added: int
    unreadable: int

    def __str__(self) -> str:
        bad = f" ({self.unreadable} could not be read)" if self.unreadable else ""
        earlier = f", {self.before} were answered before" if self.before else ""
        return f"answered {self.added} images{bad}{earlier}"


def identify_to_file(
    path: OnePath,
    images: OnePath | Sequence[OnePath],
    gallery: Gallery,
    *,
    fpr: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> AnswerFile:
    """Identify images and write the answers to a file; called again, go on where it stopped.

    Args:
        path: The file, JSON Lines: the record of an answer on every line, in the order of the
            images. What is in it is kept, and images that it names are not asked about again.
        images: A folder or file, or a sequence of these; folders without their subfolders. An image
            is known by its path, so give the same paths again.
        gallery: What is asked.
        fpr: As in `Gallery.identify`.
        progress: Called with the number of images done since its last call, those that were
            answered before at first.

    Raises:
        RecordMismatchError: The file holds answers of another gallery, or at another `fpr`.
        InvalidRecordError: The file holds something else than answers.
        FileBusyError: Another process is writing to it.
        EmptyGalleryError: No model is enrolled.
        InvalidImageError: A folder cannot be read.
        InvalidOptionError: `path` is not a place for a file, or `fpr` not in (0, 1).
        OSError: The file system refused.
    """
    paths = image_paths(images)
    with locked(path, _WAIT_S):
        answered, end = _answered(path, gallery, fpr)
        before = answered.total()
        todo = [name for name in paths if not _take(answered, name)]
        if progress is not None:
            progress(len(paths) - len(todo))
        answers = gallery.identify_many(todo, fpr=fpr)
        unreadable = 0
        # Unbuffered: one write is one line.
        with place_of(path).open("ab", buffering=0) as file:
            file.truncate(end)
            for answer in answers:
                unreadable += answer.error is not None
                _write(file.fileno(), json.dumps(answer.to_dict()).encode() + b"\n")
                if progress is not None:
                    progress(1)
            os.fsync(file.fileno())
    return AnswerFile(before, len(todo), unreadable)


def image_paths(images: OnePath | Sequence[OnePath]) -> list[str]:
    """The files that are meant by paths of files and folders, in order.

    Raises:
        InvalidImageError: A folder cannot be read.
    """
    several = [images] if isinstance(images, str | os.PathLike) else images
    return [name for each in several for name, _ in iter_sources(each)]


def _take(answered: Counter[str], name: str) -> bool:
    """Whether there is an answer about an image, which is then used up."""
    found = answered[name] > 0
    if found:
        answered[name] -= 1
    return found


def _write(descriptor: int, line: bytes) -> None:
    while line:  # a disk that becomes full takes a part, and then refuses the rest
        line = line[os.write(descriptor, line) :]


def _answered(path: OnePath, gallery: Gallery, fpr: float | None) -> tuple[Counter[str], int]:
    """How often each image is answered in a file, and where its whole lines end, in bytes."""
    found: Counter[str] = Counter()
    end = 0
    place = place_of(path)
    if not place.exists():
        return found, end
    asked = (gallery.digest, allowed_fpr(gallery.calibration, fpr))
    with place.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n") and line[: len(_BEGINNING)] == _BEGINNING[: len(line)]:
                break
            image, of = _image_and_question(line, f"{path}, line {number}")
            if of != asked:
                raise RecordMismatchError(
                    f"{path} holds answers of another gallery, or at another false-positive rate "
                    f"(line {number}: gallery {str(of[0])[:12]}, rate {of[1]}; now "
                    f"{asked[0][:12]}, rate {asked[1]}): write the new answers to another file"
                )
            found[image] += 1
            end += len(line)
    return found, end


def _image_and_question(line: bytes, where: str) -> tuple[str, tuple[object, object]]:
    try:
        record = json.loads(line)
        image = record["image"]
        question = (record["provenance"]["gallery_digest"], record["fpr"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidRecordError(
            f"{where}: expected a record of an identification, as identify_to_file writes it; "
            "give the path of such a file, or of a new one"
        ) from error
    return str(image), question
