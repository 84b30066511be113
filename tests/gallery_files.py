"""Gallery files for tests: read without the package, and changed as only a test would."""

import json

import pytest
from fakes import CalibratedEmbedder
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from modelprint.errors import InvalidGalleryFileError
from modelprint.gallery import Gallery

HASHES = [f"{i:064d}" for i in range(6)]


def header_of(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["modelprint_gallery"])


def rewrite(path, header=None, fingerprints=None, **more):
    """A file like the one at `path`, with parts of it exchanged."""
    tensors = load_file(path)
    if fingerprints is not None:
        tensors["fingerprints"] = fingerprints
    text = header if isinstance(header, str) else json.dumps({**header_of(path), **(header or {})})
    save_file(tensors | more, path, {"modelprint_gallery": text})


def assert_refused(path, why):
    with pytest.raises(InvalidGalleryFileError, match=why) as caught:
        Gallery.load(path, CalibratedEmbedder())
    assert str(caught.value).startswith(f"{path} cannot be read: ")
