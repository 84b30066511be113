"""Weights folders: read and written strictly, found on disk, in the package or on the hub.

A weights folder holds ``model.safetensors``, ``config.json``, ``calibration.json`` and
``README.md``. Nothing is ever unpickled or executed, every tensor and every field is required,
unknown ones are refused, and files are bounded before they are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from modelprint.errors import (
    HubUnreachableError,
    InvalidOptionError,
    InvalidWeightsError,
    WeightsNotFoundError,
)

MODEL, CONFIG, CALIBRATION = "model.safetensors", "config.json", "calibration.json"
CARD = "README.md"
REQUIRED = (MODEL, CONFIG, CALIBRATION)
WHOLE = (*REQUIRED, CARD)
_MOST_JSON_BYTES = 4 * 2**20
_MOST_MODEL_BYTES = 2 * 2**30


@dataclass(frozen=True)
class WeightsFolder:
    """The content of a weights folder, read but not yet interpreted."""

    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]
    calibration: Mapping[str, Any]
    card: str


def find_weights(
    source: str | Path | None, revision: str | None, *, files: Sequence[str] = WHOLE
) -> Path:
    """The folder that ``source`` names.

    Args:
        source: ``None`` for the weights in the package, a folder, or a hub repository
            ``"owner/name"``.
        revision: Branch, tag or commit of a hub repository.
        files: Names or patterns of what is downloaded from a hub repository, and nothing else.

    Raises:
        WeightsNotFoundError: No such folder, repository or revision.
        HubUnreachableError: The hub does not answer and the repository is not cached.
        InvalidOptionError: A revision of what is not a hub repository.
    """
    if revision is not None and (source is None or Path(source).is_dir()):
        raise InvalidOptionError(
            f"expected no revision for {'bundled weights' if source is None else source}, got "
            f"{revision!r}: only hub repositories 'owner/name' have revisions"
        )
    if source is None:
        return Path(str(resources.files("modelprint") / "pretrained"))
    if Path(source).is_dir():
        return Path(source)
    name = str(source)
    if isinstance(source, Path) or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise WeightsNotFoundError(
            f"expected a weights folder or a hub repository 'owner/name', got {name!r}, "
            "which is not a folder; check the path"
        )
    return _download(name, revision, files)


def _download(repository: str, revision: str | None, files: Sequence[str]) -> Path:
    wanted = repository if revision is None else f"{repository} at {revision}"
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=[*files]))
    except HFValidationError as error:
        raise WeightsNotFoundError(
            f"expected a folder or a hub repository 'owner/name', got {repository!r}: {error}"
        ) from error
    except GatedRepoError as error:
        raise WeightsNotFoundError(
            f"access to {wanted} is restricted: accept its terms on the hub and log in"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise WeightsNotFoundError(
            f"there is no folder and no hub repository {wanted}; check the spelling, "
            "or log in if it is private"
        ) from error
    except Exception as error:
        # A broken connection raises what the HTTP library under the hub client raises, and that
        # library changes with the client's version.
        raise HubUnreachableError(
            f"{wanted} is not cached and the hub could not be reached; connect, or pass a folder, "
            f"or no source at all for the bundled weights ({type(error).__name__})"
        ) from error


def read_weights(folder: Path) -> WeightsFolder:
    """Read a weights folder.

    Raises:
        WeightsNotFoundError: There is no such folder.
        InvalidWeightsError: A file is missing, too large or damaged; the message says which.
    """
    if not folder.is_dir():
        raise WeightsNotFoundError(
            f"expected a weights folder, got {str(folder)!r}: no such folder; check the path"
        )
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing:
        raise InvalidWeightsError(
            f"{folder}: expected {', '.join(REQUIRED)}, {' and '.join(missing)} missing; "
            "copy or download the whole folder again"
        )
    try:
        tensors = load(_bounded(folder / MODEL, _MOST_MODEL_BYTES))
    except SafetensorError as error:
        raise InvalidWeightsError(
            f"{folder / MODEL}: not a whole safetensors file ({error}); download it again"
        ) from error
    card = folder / CARD
    return WeightsFolder(
        tensors,
        read_json(folder / CONFIG),
        read_json(folder / CALIBRATION),
        _bounded(card, _MOST_JSON_BYTES).decode("utf-8", "replace") if card.is_file() else "",
    )


def write_weights(weights: WeightsFolder, folder: Path) -> None:
    """Write a weights folder, made if needed; files of these names are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous().cpu() for name, value in weights.tensors.items()}
    (folder / MODEL).write_bytes(save(tensors, metadata={"format": "pt"}))
    for name, content in ((CONFIG, weights.config), (CALIBRATION, weights.calibration)):
        text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
        (folder / name).write_text(text + "\n", "utf-8")
    (folder / CARD).write_text(weights.card, "utf-8")


def _bounded(path: Path, most_bytes: int) -> bytes:
    size = path.stat().st_size
    if size > most_bytes:
        raise InvalidWeightsError(
            f"{path}: expected at most {most_bytes} bytes, got {size}; this is not a file of ours"
        )
    return path.read_bytes()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a few megabytes at most.

    Raises:
        InvalidWeightsError: The file is too large, or not a JSON object.
    """
    try:
        content = json.loads(_bounded(path, _MOST_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise InvalidWeightsError(f"{path}: not valid JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise InvalidWeightsError(
            f"{path}: expected a JSON object, got {type(content).__name__}; download it again"
        )
    return content
