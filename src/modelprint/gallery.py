"""A gallery of models: enroll each with a few of its images, then ask who made another one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain
from pathlib import PurePath

import torch

from modelprint.answering import (
    allowed_fpr,
    identify_batch,
    verify_label,
    verify_pair,
)
from modelprint.batches import Images, OneImage, decoded_batches, readable_batches
from modelprint.decision import Identification, Verification
from modelprint.embedder import Embedder, check_embedder, fingerprints_of
from modelprint.errors import (
    EmptyGalleryError,
    ExtractorMismatchError,
    NothingToEnrollError,
)
from modelprint.extractor import FingerprintExtractor
from modelprint.gallery_file import content_digest, read_gallery, write_gallery
from modelprint.images import load_image
from modelprint.index import Index, Row, add_new, check_label


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
        self._extractor = extractor
        self._index = Index.empty(extractor.dim)
        self._changing = threading.Lock()

    @property
    def extractor(self) -> Embedder:
        """What makes the fingerprints."""
        return self._extractor

    @property
    def labels(self) -> tuple[str, ...]:
        """The enrolled models, in order of first enrolment."""
        return self._index.templates.labels

    @property
    def digest(self) -> str:
        """Sha256 in hex of the extractor and all enrolled labels, images and fingerprints."""
        return content_digest(self._index, self._extractor.digest)

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
            label: The model's name.
            images: One image, a folder, a stacked array or tensor, or any iterable of images.
            progress: Called with the number of images done since its last call, such as the
                `update` of a tqdm bar.

        Returns:
            The number of images enrolled. After an error, nothing is.

        Raises:
            InvalidOptionError: `label` is no usable name.
            InvalidImageError: One of the images cannot be read.
            DuplicateImageError: One is enrolled already, under any label, or comes twice.
            NothingToEnrollError: There are no images.
        """
        check_label(label)
        rows: list[Row] = []
        fingerprints = []
        # Checked again when the rows are added; here, so that hours of work do not come first.
        known = dict(self._index.by_sha256)
        for batch in decoded_batches(images):
            for image in batch:
                # The bare name: a gallery can be mailed, and should not tell of the folders here.
                rows.append(Row(label, image.sha256, PurePath(image.name).name))
                add_new(known, rows[-1])
            fingerprints.append(fingerprints_of(self._extractor, batch))
            if progress is not None:
                progress(len(batch))
            del batch  # or it would stay in memory while the next one is decoded
        if not rows:
            raise NothingToEnrollError(
                f"no images came for {label!r}: expected at least one, better ten; "
                "a folder is read without its subfolders"
            )
        with self._changing:
            self._index = self._index.with_rows(rows, torch.cat(fingerprints))
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
            self._index = self._index.without_label(label)
            return before - len(self._index.rows)

    def merge(self, other: Gallery) -> int:
        """Add all that another gallery holds; images under the same label add up.

        Returns:
            The number of images added. After an error, none are.

        Raises:
            ExtractorMismatchError: The other's fingerprints were made by another extractor.
            DuplicateImageError: An image is enrolled in both.
        """
        added = other._index
        _check_same_extractor("the other gallery", added, other.extractor.digest, self._extractor)
        with self._changing:
            self._index = self._index.merged(added)
        return len(added.rows)

    def identify(self, image: OneImage, *, fpr: float | None = None) -> Identification:
        """Say which of the enrolled models made an image, if any.

        Args:
            image: One image.
            fpr: Allowed rate in (0, 1) at which images of strangers get a match, whatever the
                number of enrolled models; None for the calibration's default.

        Raises:
            EmptyGalleryError: No model is enrolled.
            InvalidImageError: The image cannot be read.
            InvalidOptionError: `fpr` is not in (0, 1).
        """
        index, allowed = self._asked(), allowed_fpr(self._extractor, fpr)
        return identify_batch(self._extractor, index, allowed, [load_image(image)])[0]

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
        index, allowed = self._asked(), allowed_fpr(self._extractor, fpr)
        answer = partial(identify_batch, self._extractor, index, allowed)
        # Not a for loop: its variable would keep a batch in memory while the next is decoded.
        return chain.from_iterable(map(answer, readable_batches(images)))

    def verify(self, image: OneImage, label: str, *, fpr: float | None = None) -> Verification:
        """Check the claim that an enrolled model made an image.

        Args:
            image: One image.
            label: The claimed model.
            fpr: Allowed rate in (0, 1) at which images of others pass; None for the default.

        Raises:
            EmptyGalleryError: No model is enrolled.
            UnknownLabelError: This one is not.
            InvalidImageError: The image cannot be read.
            InvalidOptionError: `fpr` is not in (0, 1).
        """
        index, allowed = self._asked(), allowed_fpr(self._extractor, fpr)
        return verify_label(self._extractor, index, allowed, load_image(image), label)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the gallery to one file; a crash leaves an older file under that path whole.

        Raises:
            InvalidOptionError: `path` is not a place for a file, or the gallery is too large.
            OSError: The file system refused.
        """
        write_gallery(path, self._index, self._extractor.digest)

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
        index, digest = read_gallery(path)
        gallery = cls(_bundled_extractor() if extractor is None else extractor)
        _check_same_extractor(f"the gallery {os.fspath(path)}", index, digest, gallery.extractor)
        gallery._index = index
        return gallery

    def _asked(self) -> Index:
        index = self._index
        if not index.rows:
            raise EmptyGalleryError(
                "no model is enrolled, so there is nothing to compare with: "
                "call gallery.enroll(label, images) first"
            )
        return index


def identify(image: OneImage, gallery: Gallery, *, fpr: float | None = None) -> Identification:
    """Say which model of a gallery made an image, if any: `gallery.identify(image, fpr=fpr)`."""
    return gallery.identify(image, fpr=fpr)


def verify(
    a: OneImage,
    b: OneImage,
    *,
    extractor: Embedder | None = None,
    fpr: float | None = None,
) -> Verification:
    """Say whether one model made two images; nothing needs to be enrolled.

    Args:
        a: One image.
        b: Another.
        extractor: Makes the fingerprints; None for the bundled one.
        fpr: Allowed rate in (0, 1) at which images of two models pass; None for the default.

    Raises:
        InvalidImageError: One of the images cannot be read.
        InvalidOptionError: `fpr` is not in (0, 1), or `extractor` is not an embedder.
    """
    embedder = _bundled_extractor() if extractor is None else extractor
    check_embedder(embedder)
    return verify_pair(embedder, allowed_fpr(embedder, fpr), load_image(a), load_image(b))


@cache
def _bundled_extractor() -> FingerprintExtractor:
    return FingerprintExtractor.from_pretrained()


def _check_same_extractor(what: str, index: Index, digest: str, extractor: Embedder) -> None:
    if (digest, index.dim) != (extractor.digest, extractor.dim):
        raise ExtractorMismatchError(
            f"{what} was made with the extractor {digest[:12]} (dim {index.dim}), this one is "
            f"{extractor.digest[:12]} (dim {extractor.dim}): their fingerprints cannot be "
            "compared; use that extractor, or enroll the images again with this one"
        )
