"""Weights folders: read and written strictly, found on disk, in the package or on the hub.

A weights folder holds ``model.safetensors``, ``config.json``, ``calibration.json`` and
``README.md``. Nothing is ever unpickled or executed, every tensor and every field is required,
unknown ones are refused, and files are bounded before they are read.

``config.json`` holds the sha256 of the model and of the calibration, so that damage, and a folder
mixed from two models, are noticed. Whoever changes a folder on purpose can change the digests as
well: against that help a commit as ``revision``, and galleries, which know the digest of their
extractor. Folders of schema 1, which had no digests, are read as well.
"""

from __future__ import annotations

import hashlib
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
from modelprint.files import read_bounded, replace_files

# Weights in the package, the default first; whose pictures their synthetic models rendered.
BUNDLED = ("photographs", "procedural")
MODEL, CONFIG, CALIBRATION = "model.safetensors", "config.json", "calibration.json"
CARD = "README.md"
REQUIRED = (MODEL, CONFIG, CALIBRATION)
DIGESTS = "sha256"
_DIGESTED = (MODEL, CALIBRATION)
_WITHOUT_DIGESTS = 1
WHOLE = (*REQUIRED, CARD)
_MOST_JSON_BYTES = 4 * 2**20
# Numbers of 8 bits become four times as many bytes.
_MOST_MODEL_BYTES = 2**30


@dataclass(frozen=True)
class WeightsFolder:
    """The content of a weights folder, read but not yet interpreted, and without its digests."""

    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]
    calibration: Mapping[str, Any]
    card: str


def find_weights(
    source: str | Path,
    revision: str | None,
    *,
    files: Sequence[str] = WHOLE,
    bundled: Sequence[str] = (),
) -> Path:
    """The folder that ``source`` names.

    Args:
        source: A name of ``bundled``, a folder, or a hub repository ``"owner/name"``.
        revision: Branch, tag or commit of a hub repository.
        files: Names or patterns of what is downloaded from a hub repository, and nothing else.
        bundled: Names of weights in the package, where these are meant.

    Raises:
        WeightsNotFoundError: No such folder, repository or revision.
        HubUnreachableError: The hub does not answer and the repository is not cached.
        InvalidOptionError: A revision of what is not a hub repository.
    """
    if revision is not None and (source in bundled or Path(source).is_dir()):
        raise InvalidOptionError(
            f"expected no revision for {source}, got {revision!r}: only hub repositories "
            "'owner/name' have revisions"
        )
    if source in bundled:
        return Path(str(resources.files("modelprint") / "pretrained" / str(source)))
    if Path(source).is_dir():
        return Path(source)
    name = str(source)
    if isinstance(source, Path) or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise WeightsNotFoundError(
            f"expected {''.join(f'{known!r}, ' for known in bundled)}a weights folder or a hub "
            f"repository 'owner/name', got {name!r}, which is not a folder; check the path"
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
    config = _json(folder / CONFIG, _bounded(folder / CONFIG, _MOST_JSON_BYTES))
    contents = {
        MODEL: _bounded(folder / MODEL, _MOST_MODEL_BYTES),
        CALIBRATION: _bounded(folder / CALIBRATION, _MOST_JSON_BYTES),
    }
    version = config.get("schema_version")
    if type(version) is not int or version != _WITHOUT_DIGESTS:
        _check_digests(folder, config.pop(DIGESTS, None), contents)
    try:
        tensors = load(contents[MODEL])
    except SafetensorError as error:
        raise InvalidWeightsError(
            f"{folder / MODEL}: not a whole safetensors file ({error}); download it again"
        ) from error
    card = folder / CARD
    return WeightsFolder(
        tensors,
        config,
        _json(folder / CALIBRATION, contents[CALIBRATION]),
        _bounded(card, _MOST_JSON_BYTES).decode("utf-8", "replace") if card.is_file() else "",
    )


def write_weights(weights: WeightsFolder, folder: Path) -> None:
    """Write a weights folder, made if needed; files of these names are replaced.

    Whatever goes wrong while writing, an older folder stays whole. A crash between two of the
    renames that follow leaves a mixture, which `read_weights` refuses by its digests.
    """
    tensors = {name: value.contiguous().cpu() for name, value in weights.tensors.items()}
    contents = {
        MODEL: save(tensors, metadata={"format": "pt"}),
        CALIBRATION: _text(weights.calibration),
    }
    config = {**weights.config, DIGESTS: _digests(contents)}
    contents |= {CARD: weights.card.encode(), CONFIG: _text(config)}
    folder.mkdir(parents=True, exist_ok=True)
    replace_files({folder / name: content for name, content in contents.items()})


def _digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(contents[name]).hexdigest() for name in _DIGESTED}


def _check_digests(folder: Path, expected: object, contents: Mapping[str, bytes]) -> None:
    if not isinstance(expected, dict) or set(expected) != set(_DIGESTED):
        raise InvalidWeightsError(
            f"{folder / CONFIG}: expected {DIGESTS} with the digests of {' and '.join(_DIGESTED)}, "
            f"got {expected!r}; copy or download the whole folder again"
        )
    for name, digest in _digests(contents).items():
        if digest != expected[name]:
            raise InvalidWeightsError(
                f"{folder / name}: expected the sha256 {expected[name]} that {CONFIG} names, got "
                f"{digest}; the file is damaged, changed, or of another model than {CONFIG}: copy "
                "or download the whole folder again"
            )


def _text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def _bounded(path: Path, most_bytes: int) -> bytes:
    try:
        return read_bounded(path, most_bytes)
    except OSError as error:
        raise InvalidWeightsError(f"{error}; it is not a file of ours") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a few megabytes at most.

    Raises:
        InvalidWeightsError: The file cannot be read, is too large, or no JSON object.
    """
    return _json(path, _bounded(path, _MOST_JSON_BYTES))


def _json(path: Path, text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidWeightsError(f"{path}: not valid JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise InvalidWeightsError(
            f"{path}: expected a JSON object, got {type(content).__name__}; download it again"
        )
    return content
