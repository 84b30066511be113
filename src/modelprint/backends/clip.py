"""CLIP image features as an embedder: the other way to tell generators apart without training.

`Gallery(ClipEmbedder.from_pretrained("folder"))` enrolls, identifies and saves like any other; with
no calibration of its own it ranks, and decides after `gallery.calibrate`. Needs transformers:
`pip install 'modelprint[clip]'`.

CLIP looks at what an image shows, after resizing it to a few hundred pixels, which removes most of
what modelprint looks at. Nearest neighbours among its features tell generated images from
photographs in Ojha et al. 2023 (arXiv 2302.10174); for *which* generator, a 2026 study found the
twelfth of the 24 layers of ViT-L/14 at 336 pixels the best choice without training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor
from typing_extensions import Self

from modelprint import hub
from modelprint.batches import Images, embedded
from modelprint.errors import InvalidOptionError, InvalidWeightsError, MissingExtraError
from modelprint.images import LoadedImage

Output = Literal["projected", "pooled", "class", "mean"]

PROCESSOR = "preprocessor_config.json"
MODEL_TYPES = ("clip", "clip_vision_model")
# Raise when what is fed to CLIP, or taken from it, changes: digests then differ.
_VERSION = 1


class ClipEmbedder:
    """An `Embedder` of CLIP features. Make one with `from_pretrained`.

    Args:
        model: A `CLIPVisionModelWithProjection` of transformers.
        processor: The checkpoint's image processor: how images are resized, cut and scaled.
        output: See `from_pretrained`.
        layer: See `from_pretrained`.
        device: Where the model runs.

    Raises:
        InvalidOptionError: There is no such output or layer, or a layer of an output without.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401  transformers, which is not imported here, has its type
        processor: Any,  # noqa: ANN401  likewise
        *,
        output: Output = "projected",
        layer: int | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self._config: Any = model.config
        layers: int = self._config.num_hidden_layers
        if output not in get_args(Output):
            raise InvalidOptionError(f"expected output in {get_args(Output)}, got {output!r}")
        if layer is not None and output not in ("class", "mean"):
            raise InvalidOptionError(
                f"expected no layer for the {output} output, which is of the last one, got "
                f"{layer}; ask for output='class' or 'mean'"
            )
        if layer is not None and not (type(layer) is int and 0 <= layer <= layers):
            raise InvalidOptionError(
                f"expected a layer between 0 (before the first) and {layers} (after the last), "
                f"got {layer!r}"
            )
        self.output, self.layer = output, layers if layer is None else layer
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model = model.eval().requires_grad_(False).to(self.device)
        self._processor = processor

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        output: Output = "projected",
        layer: int | None = None,
        device: torch.device | str | None = None,
    ) -> Self:
        """Load a checkpoint: safetensors only, strict, and no code of the repository is run.

        Args:
            source: A folder with config.json, preprocessor_config.json and safetensors, or a
                Hugging Face repository "owner/name". Of a whole CLIP the text half is left out.
            revision: Branch, tag or commit of the repository.
            output: "projected": what CLIP compares with texts. "pooled": the same before its
                projection. "class" and "mean": the class token of a layer, and the mean of its
                patches, as they stand between the layers, without the last normalisation.
            layer: Of "class" and "mean": after how many layers, from 0; None for all.
            device: Where to run; None is the GPU if there is one, else the CPU.

        Raises:
            MissingExtraError: transformers is not installed.
            WeightsNotFoundError: No such folder, repository or revision.
            HubUnreachableError: The hub does not answer and the checkpoint is not cached.
            InvalidWeightsError: The checkpoint is no CLIP, incomplete, damaged or not safetensors.
            InvalidOptionError: There is no such output or layer.
        """
        transformers = _transformers()
        # Newer than the oldest hub client that modelprint works with, but not than transformers'.
        from huggingface_hub.errors import StrictDataclassError

        wanted = (hub.CONFIG, PROCESSOR, "model*.safetensors", "model.safetensors.index.json")
        folder = hub.find_weights(source, revision, files=wanted)
        kind = _check_folder(folder)
        try:
            with _quiet(transformers):
                config = transformers.AutoConfig.for_model(**kind)
                if hasattr(config, "vision_config"):
                    # The length of both halves' projections stands beside them, not in them.
                    config.vision_config.projection_dim = config.projection_dim
                    config = config.vision_config
                model, found = transformers.CLIPVisionModelWithProjection.from_pretrained(
                    folder,
                    config=config,
                    use_safetensors=True,
                    local_files_only=True,
                    ignore_mismatched_sizes=True,  # so that they are listed, and refused below
                    output_loading_info=True,
                    dtype=torch.float32,
                )
                # The one that needs no torchvision; the other resizes a little differently, and
                # what is installed must not decide what a fingerprint is.
                processor = transformers.CLIPImageProcessorPil.from_pretrained(
                    folder, local_files_only=True
                )
        except (
            *(OSError, ValueError, RuntimeError, KeyError, TypeError),
            *(SafetensorError, StrictDataclassError),
        ) as error:
            raise InvalidWeightsError(
                f"{folder}: not a CLIP checkpoint that can be read ({error}); download it again"
            ) from error
        wrong = sorted(found["missing_keys"]) + sorted(map(str, found["mismatched_keys"]))
        if wrong:
            raise InvalidWeightsError(
                f"{folder}: expected all weights of a CLIP vision model in the sizes of "
                f"{hub.CONFIG}, missing or of another size: {', '.join(wrong[:5])}; download it "
                "again"
            )
        return cls(model, processor, output=output, layer=layer, device=device)

    @property
    def dim(self) -> int:
        """Length D of a fingerprint."""
        width = "projection_dim" if self.output == "projected" else "hidden_size"
        return int(getattr(self._config, width))

    @cached_property
    def digest(self) -> str:
        """Sha256 in hex over the weights, the preprocessing, the output and the layer."""
        settings = self._processor.to_dict()
        kind = [_VERSION, self._config.hidden_act, self.output, self.layer, settings]
        state = hashlib.sha256(json.dumps(kind, sort_keys=True, default=str).encode())
        for name, value in sorted(self._model.state_dict().items()):
            state.update(f"{name} {tuple(value.shape)}".encode())
            state.update(value.cpu().contiguous().numpy().tobytes())
        return state.hexdigest()

    @torch.no_grad()
    def embed(
        self,
        images: Images,
        *,
        batch_size: int = 32,
        progress: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Fingerprints of images.

        Args:
            images: One image, a folder, or any iterable of images (see `modelprint.images`).
            batch_size: Most images that go through the model at once.
            progress: Called with the number of images done since the last call.

        Returns:
            `(N, D)` float32 on the CPU, rows of unit length. Row i depends on image i alone.

        Raises:
            InvalidImageError: An image cannot be read; the message names it.
            InvalidOptionError: `batch_size` is below 1.
        """
        return embedded(
            images, self._embed_batch, self.dim, batch_size=batch_size, progress=progress
        )

    def _embed_batch(self, images: list[LoadedImage], batch_size: int) -> Tensor:
        starts = range(0, len(images), batch_size)
        return torch.cat([self._features(images[start : start + batch_size]) for start in starts])

    def _features(self, images: list[LoadedImage]) -> Tensor:
        pixels = [image.pixels.permute(1, 2, 0).numpy() for image in images]
        inputs = self._processor(pixels, return_tensors="pt", input_data_format="channels_last")
        between = self.output in ("class", "mean")
        answer = self._model(inputs["pixel_values"].to(self.device), output_hidden_states=between)
        if self.output == "projected":
            features = answer.image_embeds
        elif self.output == "pooled":
            features = self._model.vision_model.post_layernorm(answer.last_hidden_state[:, 0])
        else:
            tokens = answer.hidden_states[self.layer]
            features = tokens[:, 0] if self.output == "class" else tokens[:, 1:].mean(1)
        return F.normalize(features.float().cpu(), dim=1)


def _transformers() -> Any:  # noqa: ANN401  a module
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            "CLIP is run by transformers, which is not installed: pip install 'modelprint[clip]'"
        ) from error
    return transformers


def _check_folder(folder: Path) -> dict[str, Any]:
    """The configuration; what is no CLIP in safetensors is refused before transformers does."""
    missing = [name for name in (hub.CONFIG, PROCESSOR) if not (folder / name).is_file()]
    if missing or not list(folder.glob("model*.safetensors")):
        raise InvalidWeightsError(
            f"{folder}: expected {hub.CONFIG}, {PROCESSOR} and model.safetensors, "
            f"{' and '.join(missing) or 'the safetensors'} missing; pickled weights are not read, "
            "choose a revision with safetensors or convert them"
        )
    config = hub.read_json(folder / hub.CONFIG)
    kind = config.get("model_type")
    if kind not in MODEL_TYPES:
        raise InvalidWeightsError(
            f"{folder}: expected a model_type in {MODEL_TYPES}, got {kind!r}; choose a CLIP "
            "checkpoint"
        )
    return config


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:  # noqa: ANN401  a module
    """Without a progress bar, and without a report that the text half was left out."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
