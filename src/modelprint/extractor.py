"""Images -> fingerprints, and the one scorer for pairs of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub import ModelHubMixin
from torch import Tensor
from typing_extensions import Self

from modelprint import hub
from modelprint.backbone import Backbone, build_backbone
from modelprint.batches import Images, embedded
from modelprint.calibration import Calibration
from modelprint.errors import InvalidOptionError, InvalidWeightsError
from modelprint.images import LoadedImage
from modelprint.packing import packed, unpacked
from modelprint.scoring.comparison import Comparison, symmetric

# 2: config.json holds digests, which `modelprint.hub` adds, checks and takes away.
# 3: matrices with 8 bits a number, as `modelprint.packing` says.
SCHEMA_VERSION = 3
_READABLE_SCHEMAS = (1, 2, 3)
# Raise when decoding, cropping or the residual change what a fingerprint is, or the comparison what
# a score is: digests then differ, and no calibration is taken for scores that it does not know.
PREPROCESSING_VERSION = 6
# More pixels at once do not fit a CPU's cache: eight images of 512 px take twice as long together
# as one by one.
_CACHED_PIXELS = 2**18
_COHORT = "cohort"


@dataclass(frozen=True)
class ExtractorConfig:
    """What ``config.json`` holds; every field is required.

    Attributes:
        schema_version: Of this file.
        preprocessing_version: Of decoding, crops, residual and comparison.
        backbone: A name from ``modelprint.backbone.BACKBONES``.
        options: Keyword arguments of that backbone.
        dim: Length D of a fingerprint.
        trained: How the weights came about: recipe, space, seed, version.
    """

    schema_version: int
    preprocessing_version: int
    backbone: str
    options: dict[str, Any]
    dim: int
    trained: dict[str, Any]

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Self:
        """Check and take over the content of a ``config.json``.

        Raises:
            InvalidWeightsError: A missing, unknown or mistyped field, or a newer schema.
        """
        version = d.get("schema_version")
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise InvalidWeightsError(
                f"config.json has schema version {version}, this modelprint reads up to "
                f"{SCHEMA_VERSION}: upgrade with `pip install -U modelprint`"
            )
        types = {"int": int, "str": str, "dict[str, Any]": dict}
        known = {field.name: types[str(field.type)] for field in fields(cls)}
        if set(d) != set(known):
            missing, unknown = sorted(set(known) - set(d)), sorted(set(d) - set(known))
            raise InvalidWeightsError(
                f"config.json: expected the fields {sorted(known)}; missing {missing}, "
                f"unknown {unknown}"
            )
        for name, kind in known.items():
            if type(d[name]) is not kind:
                raise InvalidWeightsError(
                    f"config.json: expected {name} to be {kind.__name__}, got {d[name]!r}"
                )
        preprocessing = d["preprocessing_version"]
        if version not in _READABLE_SCHEMAS or preprocessing != PREPROCESSING_VERSION:
            raise InvalidWeightsError(
                f"config.json: expected schema 1 to {SCHEMA_VERSION} and preprocessing "
                f"{PREPROCESSING_VERSION}, got {version} and {preprocessing}; "
                "use the modelprint version that wrote these weights, or train them again"
            )
        return cls(**{**d, "schema_version": SCHEMA_VERSION})


class FingerprintExtractor(
    ModelHubMixin,
    library_name="modelprint",
    license="apache-2.0",
    tags=["model-attribution", "image-forensics"],
):
    """Turns images into fingerprints of the models that made them.

    Make one with ``from_pretrained``. Threads may share it.

    Args:
        config: What the weights are.
        backbone: Images to raw features; its output is normalised here.
        cohort: ``(N, D)`` unit fingerprints of images of synthetic models, which ``compare``
            normalises its scores with. Empty: scores are plain resemblances, in [-1, 1].
        calibration: How often two different models score how much.
        card: Text of the model card.
        device: Where the backbone runs; ``None`` is the GPU if there is one, else the CPU.
    """

    def __init__(
        self,
        config: ExtractorConfig,
        backbone: Backbone,
        cohort: Tensor,
        calibration: Calibration,
        *,
        card: str = "",
        device: torch.device | str | None = None,
    ) -> None:
        self.config = config
        self.calibration = calibration
        self.card = card
        self.cohort = cohort.float()
        self.comparison = Comparison(self.cohort, views=backbone.views)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.backbone = backbone.eval().requires_grad_(False).to(self.device)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # ours is strict and takes no loose model_kwargs
        cls,
        source: str | Path | None = None,
        *,
        revision: str | None = None,
        device: torch.device | str | None = None,
    ) -> Self:
        """Load weights.

        Args:
            source: ``"photographs"`` or ``"procedural"`` for weights in the package (no network,
                no key), ``None`` being the first; a folder written by ``save_pretrained``; or a
                Hugging Face repository ``"owner/name"``. The models that the second learnt from
                rendered procedural pictures alone, so no photograph and no licence of one has
                anything to do with them. ``Path("procedural")`` is a folder of that name.
            revision: Branch, tag or commit of the repository.
            device: Where to run; ``None`` is the GPU if there is one, else the CPU.

        Raises:
            WeightsNotFoundError: No such folder, repository or revision.
            HubUnreachableError: The hub does not answer and the weights are not cached.
            InvalidWeightsError: The weights are incomplete, damaged, foreign or too new.
            InvalidOptionError: A revision of what is not a hub repository.
        """
        chosen = hub.BUNDLED[0] if source is None else source
        folder = hub.find_weights(chosen, revision, bundled=hub.BUNDLED)
        return cls.from_weights(hub.read_weights(folder), device=device)

    @classmethod
    def from_weights(
        cls, weights: hub.WeightsFolder, *, device: torch.device | str | None = None
    ) -> Self:
        """Build an extractor from the content of a weights folder.

        Raises:
            InvalidWeightsError: Anything in it is missing, unknown or of the wrong shape.
        """
        config = ExtractorConfig.from_dict(weights.config)
        tensors = unpacked(weights.tensors)
        cohort = tensors.pop(_COHORT, torch.empty(0))
        try:
            # The fresh weights, soon replaced, must not move the caller's random stream.
            with torch.random.fork_rng(devices=[]):
                backbone = build_backbone(config.backbone, config.options)
            backbone.load_state_dict(tensors, strict=True)
        except InvalidOptionError as error:
            raise InvalidWeightsError(f"config.json: {error}") from error
        except RuntimeError as error:
            raise InvalidWeightsError(f"{hub.MODEL} does not fit config.json: {error}") from error
        if backbone.dim != config.dim or cohort.ndim != 2 or cohort.shape[1] != config.dim:
            raise InvalidWeightsError(
                f"expected fingerprints and cohort of dimension {config.dim}, got {backbone.dim} "
                f"and a cohort of shape {tuple(cohort.shape)}; the folder mixes two models"
            )
        if len(cohort) == 1:
            raise InvalidWeightsError(
                f"{hub.MODEL}: expected a cohort of several rows or of none, got a single one, "
                "which has no spread"
            )
        if not all(value.isfinite().all() for value in [cohort, *tensors.values()]):
            raise InvalidWeightsError(f"{hub.MODEL}: expected finite weights, got NaN or infinity")
        calibration = Calibration.from_dict(weights.calibration)
        return cls(config, backbone, cohort, calibration, card=weights.card, device=device)

    def to_weights(self) -> hub.WeightsFolder:
        """The content of a weights folder that gives this extractor back, rounded."""
        config = asdict(self.config)
        return hub.WeightsFolder(self._packed(), config, self.calibration.to_dict(), self.card)

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        **options: Any,  # noqa: ANN401  # as the mixin has them
    ) -> str | None:
        """Write a weights folder; while it is written, an older one in its place stays whole.

        Args:
            save_directory: Made if needed.
            push_to_hub: Whether to upload the weights as well.
            repo_id: The repository to upload to; default: the folder's name.
            options: Of ``push_to_hub`` of ``ModelHubMixin``.

        Returns:
            Where the upload is to be seen, if there was one.

        Raises:
            OSError: The file system refused.
        """
        # Not through ModelHubMixin, which removes an older config.json before it writes.
        folder = Path(save_directory)
        hub.write_weights(self.to_weights(), folder)
        return self.push_to_hub(repo_id or folder.name, **options) if push_to_hub else None

    @property
    def dim(self) -> int:
        """Length D of a fingerprint."""
        return self.config.dim

    @cached_property
    def digest(self) -> str:
        """Sha256 in hex over the weights, the backbone's options and the preprocessing version."""
        kind = [PREPROCESSING_VERSION, self.config.backbone, self.config.options]
        state = hashlib.sha256(json.dumps(kind, sort_keys=True).encode())
        tensors = self._packed()
        for name in sorted(tensors):
            value = tensors[name].cpu().contiguous()
            state.update(f"{name} {tuple(value.shape)}".encode())
            state.update(value.numpy().tobytes())
        return state.hexdigest()

    def _packed(self) -> dict[str, Tensor]:
        """All weights as files keep them."""
        tensors = {**self.backbone.state_dict(), _COHORT: self.cohort}
        return packed(tensors, {*self.backbone.matrices, _COHORT})

    @torch.no_grad()  # not inference_mode: a caller may write into what comes back
    def embed(
        self,
        images: Images,
        *,
        batch_size: int = 32,
        progress: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Fingerprints of images.

        Args:
            images: One image, a folder, a stacked array or tensor, or any iterable of images (see
                ``modelprint.images``). Decoded in small batches, so a generator of many is fine.
            batch_size: Most images that go through the backbone at once, when they are of one size.
            progress: Called with the number of images done since the last call.

        Returns:
            ``(N, D)`` float32 on the CPU, rows of unit length. Row i depends on image i alone.

        Raises:
            InvalidImageError: An image cannot be read; the message names it.
            InvalidOptionError: ``batch_size`` is below 1.
        """
        return embedded(
            images, self._embed_batch, self.dim, batch_size=batch_size, progress=progress
        )

    def _embed_batch(self, images: list[LoadedImage], batch_size: int) -> Tensor:
        fingerprints = torch.empty(len(images), self.dim)
        by_size: dict[tuple[int, int, int], list[int]] = {}
        for number, image in enumerate(images):
            channels, height, width = image.pixels.shape
            by_size.setdefault((channels, height, width), []).append(number)
        for (_, height, width), numbers in by_size.items():
            most = batch_size
            if self.device.type == "cpu":
                most = min(batch_size, max(1, _CACHED_PIXELS // (height * width)))
            for start in range(0, len(numbers), most):
                chosen = numbers[start : start + most]
                pixels = torch.stack([images[number].pixels for number in chosen])
                # A caller's autocast would round residuals, which are all that there is to see.
                with torch.autocast(self.device.type, enabled=False):
                    features = self.backbone(pixels.to(self.device).float() / 255)
                fingerprints[chosen] = F.normalize(features.float().cpu(), dim=1)
        return fingerprints

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """Scores of fingerprints against fingerprints: larger is more alike.

        Args:
            a: ``(N, D)`` unit fingerprints.
            b: ``(M, D)`` unit fingerprints.

        Returns:
            ``(N, M)`` float32, the mean of both directions, in the unit that ``Comparison`` says.
        """
        return symmetric(self.comparison, a, b)


@cache
def bundled_extractor() -> FingerprintExtractor:
    """The extractor with the weights in the package, loaded once."""
    return FingerprintExtractor.from_pretrained()
