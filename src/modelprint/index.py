"""The rows of a gallery: one fingerprint per enrolled image, as an immutable value.

Every change makes a new `Index`. So an enrolment happens as a whole or not at all, and a reader in
another thread sees the gallery before or after it, never between.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from modelprint.errors import DuplicateImageError, InvalidOptionError, UnknownLabelError
from modelprint.lineage import check_lineage, families, is_within

# The families of a label are all of its beginnings: their length is its square.
MAX_LABEL = 500


class Row(NamedTuple):
    """One enrolled image.

    Attributes:
        label: Its model's.
        sha256: Of its pixels, in hex.
        name: Of its file, for people.
        enrolment: Which enrolment of the gallery it came with, from 0.
        side_px: The smaller of its height and width; 0 if that was not kept.
    """

    label: str
    sha256: str
    name: str
    enrolment: int = 0
    side_px: int = 0


class Templates(NamedTuple):
    """What an image is compared with: one mean fingerprint per model, or per family.

    Attributes:
        labels: L labels or families, in order of first enrolment.
        fingerprints: `(L, D)` float32, means of the rows of each, of unit length.
        counts: Enrolled images behind each.
    """

    labels: tuple[str, ...]
    fingerprints: Tensor
    counts: tuple[int, ...]

    def only(self, labels: Collection[str]) -> Templates:
        """Some of them, in the same order."""
        kept = [i for i, label in enumerate(self.labels) if label in labels]
        return Templates(
            tuple(self.labels[i] for i in kept),
            self.fingerprints[kept],
            tuple(self.counts[i] for i in kept),
        )


@dataclass(frozen=True, eq=False)
class Index:
    """Enrolled fingerprints.

    Attributes:
        fingerprints: `(N, D)` float32, rows of unit length; never written to.
        rows: N descriptions, no sha256 twice.
        degraded: `(N, D)` fingerprints of a degraded copy of each image, which show what processing
            does to images of these models; those of the images themselves where there is none.
    """

    fingerprints: Tensor
    rows: tuple[Row, ...]
    degraded: Tensor

    @classmethod
    def empty(cls, dim: int) -> Index:
        """An index without rows, for fingerprints of length `dim`."""
        return cls(torch.empty(0, dim), (), torch.empty(0, dim))

    @property
    def dim(self) -> int:
        """Length D of a fingerprint."""
        return self.fingerprints.shape[1]

    def with_rows(self, rows: Iterable[Row], fingerprints: Tensor, degraded: Tensor) -> Index:
        """This index and more rows, with fingerprints `(n, D)` of images and of degraded copies.

        Raises:
            DuplicateImageError: An image is enrolled already, or comes twice.
        """
        rows = tuple(rows)
        known = dict(self.by_sha256)
        for row in rows:
            add_new(known, row)
        return Index(
            torch.cat([self.fingerprints, fingerprints]),
            self.rows + rows,
            torch.cat([self.degraded, degraded]),
        )

    def without_label(self, label: str) -> Index:
        """This index without a model's rows.

        Raises:
            UnknownLabelError: No such model is enrolled.
        """
        self.position(label)
        keep = [i for i, row in enumerate(self.rows) if row.label != label]
        return self.only(keep)

    def only(self, numbers: Sequence[int]) -> Index:
        """Some of the rows, by number."""
        chosen = list(numbers)
        rows = tuple(self.rows[i] for i in chosen)
        return Index(self.fingerprints[chosen], rows, self.degraded[chosen])

    def merged(self, other: Index) -> Index:
        """This index and then the rows of another of the same extractor.

        Raises:
            DuplicateImageError: An image is enrolled in both.
            InvalidOptionError: Their labels contradict each other about lineage.
        """
        check_lineage({row.label for row in self.rows + other.rows})
        first = self.next_enrolment
        rows = (row._replace(enrolment=first + row.enrolment) for row in other.rows)
        return self.with_rows(rows, other.fingerprints, other.degraded)

    def position(self, label: str) -> int:
        """Where a model stands in the templates.

        Raises:
            UnknownLabelError: No such model is enrolled.
        """
        labels = self.templates.labels
        if label not in labels:
            shown = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
            raise UnknownLabelError(
                f"no model is enrolled as {label!r}; enrolled: {shown or 'none, enroll one first'}"
            )
        return labels.index(label)

    @cached_property
    def next_enrolment(self) -> int:
        """The number of the next enrolment: one above the highest so far."""
        return max((row.enrolment for row in self.rows), default=-1) + 1

    @cached_property
    def numbers(self) -> dict[str, list[int]]:
        """Numbers of each model's rows, in order of first enrolment."""
        found: dict[str, list[int]] = {}
        for number, row in enumerate(self.rows):
            found.setdefault(row.label, []).append(number)
        return found

    @cached_property
    def by_sha256(self) -> dict[str, Row]:
        """Rows by the sha256 of their image."""
        return {row.sha256: row for row in self.rows}

    @cached_property
    def templates(self) -> Templates:
        """One mean fingerprint per model."""
        return self._means({label: (label,) for label in self.numbers})

    @cached_property
    def families(self) -> Templates:
        """One mean fingerprint per family of models, of all images at or below its path."""
        labels = self.templates.labels
        return self._means(
            {path: [x for x in labels if is_within(x, path)] for path in families(labels)}
        )

    def count(self, label: str) -> int:
        """Enrolled images of a model."""
        return self.templates.counts[self.position(label)]

    def members(self, path: str) -> tuple[str, ...]:
        """The labels at or below a path.

        Raises:
            UnknownLabelError: There are none.
        """
        found = tuple(label for label in self.templates.labels if is_within(label, path))
        if not found:
            self.position(path)  # which raises
        return found

    def _means(self, labels: Mapping[str, Collection[str]]) -> Templates:
        """Means of all rows that have one of the labels, by name."""
        codes = {label: code for code, label in enumerate(self.numbers)}
        # In float64, so that the order of enrolment does not show in the mean.
        sums = torch.zeros(len(codes), self.dim, dtype=torch.float64)
        model_of_row = torch.tensor([codes[row.label] for row in self.rows], dtype=torch.int64)
        sums.index_add_(0, model_of_row, self.fingerprints.double())
        counts = torch.bincount(model_of_row, minlength=len(codes))
        chosen = [[codes[label] for label in members] for members in labels.values()]
        totals = [sums[members].sum(0) for members in chosen]
        means = torch.stack(totals) if totals else torch.zeros(0, self.dim, dtype=torch.float64)
        return Templates(
            tuple(labels),
            torch.nn.functional.normalize(means, dim=1).float(),
            tuple(int(counts[members].sum()) for members in chosen),
        )


def add_new(known: dict[str, Row], row: Row) -> None:
    """Add a row to rows by sha256.

    Raises:
        DuplicateImageError: Its image is there already; says as what.
    """
    if row.sha256 in known:
        first = known[row.sha256]
        raise DuplicateImageError(
            f"{row.name} cannot be enrolled as {row.label!r}: the same picture is enrolled already "
            f"as {first.label!r}, from {first.name}; leave it out or remove {first.label!r} first"
        )
    known[row.sha256] = row


def check_label(label: str) -> None:
    """Refuse a label that could not be told apart, printed or stored.

    Raises:
        InvalidOptionError: Not a str, empty, spaces at an end, control characters in it, or longer
            than 500 characters.
    """
    if not isinstance(label, str):
        problem = f"got {type(label).__name__}"
    elif len(label) > MAX_LABEL:
        label, problem = label[:20] + "...", f"got {len(label)} characters, above {MAX_LABEL}"
    elif not label or label != label.strip():
        problem = "got an empty one" if not label.strip() else "got spaces around it"
    elif any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in label):
        problem = "got control characters in it"
    else:
        return
    raise InvalidOptionError(f"label {label!r}: expected a name such as 'sdxl', {problem}")
