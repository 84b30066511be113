"""A gallery of models: enroll each with a few of its images, then ask who made another one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from modelprint.answers.answering import (
    allowed_fpr,
    identify_batch,
    verify_label,
)
from modelprint.answers.calibrating import calibrated
from modelprint.answers.evidence import Evidence, explain
from modelprint.batches import Images, OneImage, readable_batches
from modelprint.calibration import Calibration
from modelprint.decision import Identification, Verification
from modelprint.embedder import Embedder, check_embedder
from modelprint.enrolling import rows_of
from modelprint.errors import EmptyGalleryError
from modelprint.extractor import bundled_extractor
from modelprint.gallery_file import read_gallery, write_gallery
from modelprint.health.examining import gallery_health
from modelprint.health.health import GalleryHealth
from modelprint.images import load_image
from modelprint.index import Index
from modelprint.locking import LOCK_TIMEOUT_S, locked, place_of
from modelprint.reference import Reference, check_same_extractor


class Gallery:
    """Models known by their images.

    A change is made as a whole or not at all, and questions may be asked from other threads
    meanwhile: each is answered by the gallery as it was when the question was asked.

    Args:
        extractor: Makes the fingerprints; any embedder.

    Raises:
        InvalidOptionError: `extractor` is not an embedder.

    Example:
        >>> gallery = Gallery(FingerprintExtractor.from_pretrained())  # doctest: +SKIP
        >>> gallery.enroll("sdxl", "samples/sdxl/")  # doctest: +SKIP
        >>> print(gallery.identify("suspect.png"))  # doctest: +SKIP
    """

    def __init__(self, extractor: Embedder) -> None:
        check_embedder(extractor)
        self._reference = Reference(extractor, Index.empty(extractor.dim))
        self._changing = threading.Lock()
        # Of the files that hold, or held, this gallery, by place.
        self._checksums: dict[Path, str] = {}

    @property
    def extractor(self) -> Embedder:
        """What makes the fingerprints."""
        return self._reference.embedder

    @property
    def labels(self) -> tuple[str, ...]:
        """The enrolled models, in order of first enrolment."""
        return self._index.templates.labels

    @property
    def digest(self) -> str:
        """Sha256 in hex of the extractor and all enrolled labels, images and fingerprints."""
        return self._reference.digest

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean: set by `calibrate`, or else the extractor's, if it has one."""
        return self._reference.calibration

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, label: object) -> bool:
        return label in self.labels

    def __repr__(self) -> str:
        index = self._index
        return f"Gallery({len(index.templates.labels)} models, {len(index.rows)} images)"

    def enroll(
        self,
        label: str,
        images: Images,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Add images that a model made; more enrolments under one label add up.

        Args:
            label: The model's name, or its path: "sdxl/lora-x" is a descendant of "sdxl".
            images: One image, a folder, a stacked array or tensor, or any iterable of images.
            progress: Called with the number of images done since its last call, such as the
                `update` of a tqdm bar.

        Returns:
            The number of images enrolled. After an error, nothing is.

        Raises:
            InvalidOptionError: `label` is no usable name, or contradicts the lineage of others.
            InvalidImageError: One of the images cannot be read.
            DuplicateImageError: One is enrolled already, under any label, or comes twice.
            NothingToEnrollError: There are no images.
        """
        rows, *fingerprints = rows_of(self.extractor, self._index, label, images, progress)
        with self._changing:
            number = self._index.next_enrolment
            added = [row._replace(enrolment=number) for row in rows]
            self._replace(self._index.with_rows(added, *fingerprints))
        return len(rows)

    def remove(self, label: str) -> int:
        """Forget a model.

        Returns:
            The number of images that were enrolled for it.

        Raises:
            UnknownLabelError: No such model is enrolled.
        """
        with self._changing:
            before = len(self._index.rows)
            self._replace(self._index.without_label(label))
            return before - len(self._index.rows)

    def merge(self, other: Gallery) -> int:
        """Add all that another gallery holds; images under the same label add up.

        Returns:
            The number of images added. After an error, none are.

        Raises:
            ExtractorMismatchError: The other's fingerprints were made by another extractor.
            DuplicateImageError: An image is enrolled in both.
            InvalidOptionError: Their labels contradict each other about lineage.
        """
        added = other._index
        check_same_extractor("the other gallery", added, other.extractor.digest, self.extractor)
        with self._changing:
            self._replace(self._index.merged(added))
        return len(added.rows)

    def identify(self, image: OneImage, *, fpr: float | None = None) -> Identification:
        """Say which of the enrolled models made an image, if any.

        Args:
            image: One image.
            fpr: Allowed rate in (0, 1) at which images of strangers get a match, of a model or of
                a family, whatever the number of enrolled models; None for the calibration's
                default. Strangers are models unrelated to the enrolled ones.

        Raises:
            EmptyGalleryError: No model is enrolled.
            InvalidImageError: The image cannot be read.
            InvalidOptionError: `fpr` is not in (0, 1).
        """
        reference = self._asked()
        allowed = allowed_fpr(reference.calibration, fpr)
        return identify_batch(reference, allowed, [load_image(image)])[0]

    def identify_many(
        self, images: Images, *, fpr: float | None = None
    ) -> Iterator[Identification]:
        """Identify many images, one after the other, in order and in constant memory.

        Like `identify`, but an image that cannot be read yields an answer with `error` set.

        Args:
            images: A folder, a stacked array or tensor, or any iterable of images.
            fpr: As in `identify`, per image.

        Raises:
            EmptyGalleryError: No model is enrolled.
            InvalidImageError: `images` is nothing of the kind.
            InvalidOptionError: `fpr` is not in (0, 1).
        """
        reference = self._asked()
        allowed = allowed_fpr(reference.calibration, fpr)
        answer = partial(identify_batch, reference, allowed)
        # Not a for loop: its variable would keep a batch in memory while the next is decoded.
        return chain.from_iterable(map(answer, readable_batches(images)))

    def verify(self, image: OneImage, label: str, *, fpr: float | None = None) -> Verification:
        """Check the claim that an enrolled model made an image.

        Args:
            image: One image.
            label: The claimed model, or a path above several: one of them made the image.
            fpr: Allowed rate in (0, 1) at which images of others pass; None for the default.

        Raises:
            EmptyGalleryError: No model is enrolled.
            UnknownLabelError: This one is not, nor any below it.
            InvalidImageError: The image cannot be read.
            InvalidOptionError: `fpr` is not in (0, 1).
        """
        reference = self._asked()
        allowed = allowed_fpr(reference.calibration, fpr)
        return verify_label(reference, allowed, load_image(image), label)

    def explain(self, image: OneImage, label: str | None = None) -> Evidence:
        """Take a score apart: where in the image it comes from, in which frequencies, next to what.

        Args:
            image: One image.
            label: An enrolled model or family; None for the nearest model.

        Raises:
            EmptyGalleryError: No model is enrolled.
            UnknownLabelError: This one is not, nor any below it.
            InvalidImageError: The image cannot be read.
        """
        return explain(self._asked(), load_image(image), label)

    def health(self, *, fpr: float | None = None) -> GalleryHealth:
        """What is drifting, alike, or enrolled with too few images, by the enrolled images alone.

        Args:
            fpr: Of a match, in (0, 1); None for the calibration's default.

        Raises:
            EmptyGalleryError: No model is enrolled.
            InvalidOptionError: `fpr` is not in (0, 1).
        """
        return gallery_health(self._asked(), fpr)

    def calibrate(
        self, negatives: Mapping[str, Images] | None = None, *, fpr: float | None = None
    ) -> None:
        """Fit what scores mean to this gallery, or change the default false-positive rate.

        Images of known strangers, in the formats that questions come in, take the place of the
        extractor's calibration. Rates then hold for strangers like these: two models are the
        least, twenty are good. Enroll first: answers warn where the enrolment has changed since.

        Args:
            negatives: By model, images of models that are not enrolled, at least 1 / `fpr` in all;
                None keeps the scores' meaning. Images too small, flat or compressed to be judged
                do not count.
            fpr: Default rate in (0, 1) from now on; None for the one so far.

        Raises:
            EmptyGalleryError: No model is enrolled to compare negatives with.
            InvalidOptionError: Neither was given; fewer than two models, or too few images for
                `fpr`; a model is enrolled; `fpr` is finer than the images support; or there is no
                calibration to change. The gallery stays as it was, after any error.
            InvalidImageError: A negative cannot be read.
            DuplicateImageError: A negative is enrolled, or comes twice.
        """
        reference = self._reference if negatives is None else self._asked()
        own = calibrated(reference, negatives, fpr)
        with self._changing:
            self._reference = Reference(self.extractor, self._index, own)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the gallery to one file; a crash leaves an older file under that path whole.

        Args:
            path: Where to.
            overwrite: Replace whatever is there, also what others have saved in the meantime.

        Raises:
            GalleryChangedError: Something else is there, or others changed it: see `update`.
            FileBusyError: Others were changing it for a minute.
            InvalidOptionError: `path` is not a place for a file, or the gallery is too large.
            OSError: The file system refused.
        """
        with locked(path):
            reference, place = self._reference, place_of(path)
            self._checksums[place] = write_gallery(
                path,
                reference.index,
                self.extractor.digest,
                reference.own,
                known=self._checksums.get(place),
                overwrite=overwrite,
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str], extractor: Embedder | None = None) -> Gallery:
        """Read a gallery that `save` wrote.

        Args:
            path: The file.
            extractor: The extractor it was made with; None for the bundled one.

        Raises:
            InvalidGalleryFileError: The file is missing, damaged, foreign or too new.
            ExtractorMismatchError: It was made with another extractor.
        """
        content = read_gallery(path)
        gallery = cls(extractor or bundled_extractor())
        name = f"the gallery {os.fspath(path)}"
        check_same_extractor(name, content.index, content.extractor_digest, gallery.extractor)
        gallery._reference = Reference(gallery.extractor, content.index, content.own)
        gallery._checksums[place_of(path)] = content.checksum
        return gallery

    @classmethod
    @contextmanager
    def update(
        cls,
        path: str | os.PathLike[str],
        extractor: Embedder | None = None,
        *,
        timeout_s: float = LOCK_TIMEOUT_S,
    ) -> Iterator[Gallery]:
        """`with Gallery.update(path) as gallery:` loads it, or makes it, and saves it at the end.

        Others wait meanwhile, so that no change is lost. After an error nothing is saved.

        Args:
            path: The file.
            extractor: As in `load`.
            timeout_s: How long to wait for others, in seconds.

        Raises:
            FileBusyError: They were still changing the file then.
        """
        with locked(path, timeout_s):
            exists = Path(path).exists()
            gallery = cls.load(path, extractor) if exists else cls(extractor or bundled_extractor())
            yield gallery
            gallery.save(path)

    @property
    def _index(self) -> Index:
        return self._reference.index

    def _replace(self, index: Index) -> None:
        self._reference = Reference(self.extractor, index, self._reference.own)

    def _asked(self) -> Reference:
        reference = self._reference
        if not reference.index.rows:
            raise EmptyGalleryError(
                "no model is enrolled, so there is nothing to compare with: "
                "call gallery.enroll(label, images) first"
            )
        return reference
