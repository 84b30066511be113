"""What questions are answered from: an embedder, what is enrolled, and what scores mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelprint.answers.ranking import ranked
from modelprint.answers.rivals import Rivalry, shares
from modelprint.calibration import Calibration, OwnCalibration
from modelprint.decision import Candidate
from modelprint.embedder import Embedder, Scorer, adapted_scorer, calibration_of
from modelprint.errors import ExtractorMismatchError
from modelprint.gallery_file import content_digest
from modelprint.images import LoadedImage
from modelprint.index import Index, Templates
from modelprint.records import Provenance, image_facts, record_digest
from modelprint.scoring.comparison import Comparison


@dataclass(frozen=True, eq=False)
class Reference:
    """A gallery at one moment; what follows from it is computed once, when first asked for.

    Attributes:
        embedder: Makes and compares fingerprints.
        index: The enrolled images.
        own: The gallery's calibration; None for the embedder's.
    """

    embedder: Embedder
    index: Index
    own: OwnCalibration | None = None
    # Not a cached property: two threads that ask at once would make two, and one would be lost.
    _rivalries: dict[int, Rivalry] = field(default_factory=dict, init=False, repr=False)

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean: the gallery's own calibration, or else the embedder's, if any."""
        return calibration_of(self.embedder) if self.own is None else self.own.calibration

    @cached_property
    def score(self) -> Scorer:
        """The scorer, adapted to the enrolled images."""
        return _adapted(self.embedder, self.index)

    @cached_property
    def score_models(self) -> Callable[[Tensor], Tensor]:
        """Scores `(n, D)` fingerprints against every enrolled model, `(n, L)`."""
        return self.against(self.index.templates)

    @cached_property
    def score_families(self) -> Callable[[Tensor], Tensor]:
        """Scores `(n, D)` fingerprints against every family of models, `(n, F)`."""
        return self.against(self.index.families)

    def against(self, templates: Templates) -> Callable[[Tensor], Tensor]:
        """What scores `(n, D)` fingerprints against templates, `(n, T)`.

        Adapting many templates takes far longer than comparing with them: it is done once.
        """
        score = self.score
        if isinstance(score, Comparison):
            return partial(score.against, models=score.take_apart(templates.fingerprints))

        def scores(fingerprints: Tensor) -> Tensor:
            # A scorer of somebody else's is not asked about nothing.
            empty = torch.empty(len(fingerprints), len(templates.labels))
            return score(fingerprints, templates.fingerprints) if empty.numel() else empty

        return scores

    def as_if_new(self, numbers: Sequence[int], templates: Tensor) -> Tensor:
        """Scores `(n, M)` of enrolled images by a scorer that is not adapted to them.

        Adaptation divides out what the enrolled images vary in, so that they look more like their
        model than any new image does. Every second image is scored as adapted to the others.
        """
        chosen = list(numbers)
        fingerprints = self.index.fingerprints[chosen]
        scores = torch.empty(len(chosen), len(templates))
        for half, score in enumerate(self._half_adapted):
            of_half = self._halves[chosen] == half
            scores[of_half] = score(fingerprints[of_half], templates)
        return scores

    def left_out_scores(self, model: int) -> Tensor:
        """Scores `(n, L)` of a model's images against each model, their own without the image.

        NaN where there is no other image of it.
        """
        templates = self.index.templates
        numbers = self.index.numbers[templates.labels[model]]
        scores = self.as_if_new(numbers, templates.fingerprints)
        scores[:, model] = self._left_out(numbers)
        return scores

    def rivalry(self, model: int) -> Rivalry:
        """How far a model's images can be told from those of each other one."""
        if model not in self._rivalries:
            index = self.index
            everyone = range(len(index.rows))
            against = self.as_if_new(everyone, index.templates.fingerprints[model, None])
            own = self.left_out_scores(model).double().numpy()
            all_of_model = against[:, 0].double().numpy()
            left_out, models = self._all_left_out
            self._rivalries[model] = Rivalry.of(model, own, all_of_model, left_out, models)
        return self._rivalries[model]

    def rank_models(
        self, scores: Sequence[float], side_px: int, enrolled: Sequence[int] | None = None
    ) -> tuple[Candidate, ...]:
        """Every enrolled model as a candidate for an image, best first.

        Args:
            scores: L, against each model.
            side_px: The image's smaller side.
            enrolled: L, images behind each; None for all of them.
        """
        labels, counts = self.index.templates.labels, enrolled or self.index.templates.counts
        calibration, values = self.calibration, np.array(scores)
        ratios = None
        if calibration is not None:
            each = [
                calibration.log_odds(*pair, side_px) for pair in zip(scores, counts, strict=True)
            ]
            known = [ratio for ratio in each if ratio is not None]
            ratios = np.array(known) if len(known) == len(each) else None
        best = int((values if ratios is None else ratios).argmax())
        found = shares(best, ratios, self.rivalry(best).evidence(values))
        weights = None if found is None else found.tolist()
        return ranked(labels, scores, counts, side_px, calibration, weights)

    @cached_property
    def _all_left_out(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Scores `(N,)` of all images against their model without them, and the models' numbers."""
        scores = torch.empty(len(self.index.rows))
        models = torch.empty(len(self.index.rows), dtype=torch.int64)
        for model, label in enumerate(self.index.templates.labels):
            numbers = self.index.numbers[label]
            scores[numbers] = self._left_out(numbers)
            models[numbers] = model
        return scores.double().numpy(), models.numpy()

    def _left_out(self, numbers: Sequence[int]) -> Tensor:
        """Scores `(n,)` of a model's images against the mean of the others; NaN for one alone."""
        if len(numbers) < 2:
            return torch.full((len(numbers),), torch.nan)
        rows = self.index.fingerprints[list(numbers)].double()
        others = torch.nn.functional.normalize(rows.sum(0) - rows, dim=1).float()
        return self.as_if_new(numbers, others).diagonal()

    @cached_property
    def _halves(self) -> Tensor:
        """Whether each image is the first, third ... of its model, 0, or not, 1: `(N,)`."""
        halves = torch.empty(len(self.index.rows), dtype=torch.int64)
        for numbers in self.index.numbers.values():
            halves[numbers] = torch.arange(len(numbers)) % 2
        return halves

    @cached_property
    def _half_adapted(self) -> tuple[Scorer, Scorer]:
        """The scorer for each half of the images, adapted to the other half."""

        def adapted_without(half: int) -> Scorer:
            others = torch.nonzero(self._halves != half)[:, 0]
            return _adapted(self.embedder, self.index.only(others.tolist()))

        return adapted_without(0), adapted_without(1)

    @cached_property
    def digest(self) -> str:
        """Sha256 in hex of all that decides answers."""
        return content_digest(self.index, self.embedder.digest, self.own)

    @cached_property
    def enrolled_digest(self) -> str:
        """The same without a calibration of the gallery's own."""
        return content_digest(self.index, self.embedder.digest)

    @cached_property
    def calibration_digest(self) -> str | None:
        """Sha256 in hex of what scores mean."""
        return None if self.calibration is None else record_digest(self.calibration.to_dict())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may make any answer less reliable."""
        if self.own is None or self.own.fitted_to in (None, self.enrolled_digest):
            return ()
        return ("calibrated for another enrolment: the gallery has changed since, calibrate again",)

    def provenance(self, images: Sequence[LoadedImage]) -> Provenance:
        """What an answer about images says of its origin."""
        return Provenance(
            image_facts(images),
            self.digest if self.index.rows else None,
            len(self.index.templates.labels),
            len(self.index.rows),
            self.calibration_digest,
        )


def _adapted(embedder: Embedder, index: Index) -> Scorer:
    labels = [row.label for row in index.rows]
    return adapted_scorer(embedder, index.fingerprints, labels, index.degraded)


def check_same_extractor(what: str, index: Index, digest: str, embedder: Embedder) -> None:
    """Refuse fingerprints that another extractor made.

    Raises:
        ExtractorMismatchError: They cannot be compared.
    """
    if (digest, index.dim) != (embedder.digest, embedder.dim):
        raise ExtractorMismatchError(
            f"{what} was made with the extractor {digest[:12]} (dim {index.dim}), this one is "
            f"{embedder.digest[:12]} (dim {embedder.dim}): their fingerprints cannot be "
            "compared; use that extractor, or enroll the images again with this one"
        )
