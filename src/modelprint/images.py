"""The edge where images come in: one image becomes a `LoadedImage`, several become a stream.

An image is a path, a Pillow image, a `(H, W, 3)` uint8 array, or a `(3, H, W)` uint8 or float
[0, 1] tensor. Whatever brought it, the same picture gives the same pixels and the same sha256.
Pixels are never resampled. How file formats become RGB is written in `image_decoding`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from modelprint.decoding.image_decoding import decode_file, decode_pil
from modelprint.decoding.limits import MIN_SIDE_PX, check_size
from modelprint.errors import InvalidImageError, InvalidOptionError

__all__ = ["MIN_SIDE_PX", "ImageSource", "LoadedImage", "iter_sources", "load_image"]

ImageSource: TypeAlias = str | os.PathLike[str] | Image.Image | npt.NDArray[Any] | Tensor

_ONE_IMAGE = (
    "a path, a PIL image, a (H, W, 3) uint8 array, or a (3, H, W) uint8 or float [0, 1] tensor"
)
_FLOAT_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_IMAGE_SUFFIX = re.compile(r"\.(a?png|jpe?g|jpe|jfif|mpo|webp|gif|tiff?|bmp)", re.IGNORECASE)


@dataclass(frozen=True)
class LoadedImage:
    """One decoded image.

    Attributes:
        pixels: `(3, H, W)` uint8 RGB, contiguous, on the CPU, shared with nobody. Not compared.
        sha256: hex digest over the ASCII text "HxW" and the bytes of `pixels` (all red, all green,
            all blue).
        name: the path as given, or a stand-in such as "image 3" or "<array>".
        format: "PNG", "JPEG", "MPO", "WEBP", "GIF", "TIFF", "BMP", "PIL", "array" or "tensor".
        warnings: what was lost on the way in, one sentence each; mostly empty.
        jpeg_quality: of a JPEG's tables, 1 to 100; None for anything else.
    """

    pixels: Tensor = field(repr=False, compare=False)
    sha256: str
    name: str
    format: str
    warnings: tuple[str, ...] = ()
    jpeg_quality: int | None = None

    @property
    def side_px(self) -> int:
        """The smaller of height and width, in pixels."""
        return min(self.pixels.shape[1:])

    @cached_property
    def flat_share(self) -> float:
        """Share in [0, 1] of pixels that equal their right neighbour in all three channels."""
        planes = self.pixels.numpy()
        equal = (planes[:, :, 1:] == planes[:, :, :-1]).all(axis=0)
        return float(np.count_nonzero(equal) / max(equal.size, 1))


def load_image(
    source: ImageSource | LoadedImage, *, name: str | None = None, max_pixels: int = 100_000_000
) -> LoadedImage:
    """Decode one image.

    Args:
        source: a path, a PIL image, a `(H, W, 3)` uint8 array, a `(3, H, W)` tensor of uint8 or of
            floats in [0, 1], quantised by round(255 x). A `LoadedImage` is returned as it is.
        name: what errors and results call it; default: its path, or "<array>" and the like.
        max_pixels: refuse larger pictures, and files too large for pictures of that size, before
            they are decoded. Decoding takes up to 25 bytes of memory a pixel.

    Returns:
        The image; its pixels never share memory with `source`.

    Raises:
        ImageNotFoundError: there is no such file.
        InvalidImageError: not one image, damaged, or of a size, shape, type or range not accepted.
        InvalidOptionError: `max_pixels` is not an integer, or leaves no image.

    >>> import numpy as np
    >>> load_image(np.zeros((48, 64, 3), np.uint8)).pixels.shape
    torch.Size([3, 48, 64])
    """
    if isinstance(source, LoadedImage):
        return source
    if not isinstance(max_pixels, int) or max_pixels < MIN_SIDE_PX**2:
        raise InvalidOptionError(
            f"max_pixels: expected an integer of at least {MIN_SIDE_PX**2}, got {max_pixels!r}."
        )
    name = _name_of(source) if name is None else name
    found: tuple[str, ...] = ()
    quality = None
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        pixels, kind, found, quality = decode_file(path, name=name, max_pixels=max_pixels)
    elif isinstance(source, Image.Image):
        pixels, found, quality = decode_pil(source, name=name, max_pixels=max_pixels)
        kind = "PIL"
    elif isinstance(source, np.ndarray):
        pixels, kind = _from_array(source, name, max_pixels), "array"
    elif isinstance(source, Tensor):
        pixels, kind = _from_tensor(source, name, max_pixels), "tensor"
    else:
        raise InvalidImageError(f"{name}: expected {_ONE_IMAGE}, got {_describe(source)}.")
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[2]}".encode())
    digest.update(pixels.numpy().data)
    return LoadedImage(pixels, digest.hexdigest(), name, kind, found, quality)


def iter_sources(
    images: ImageSource | LoadedImage | Iterable[ImageSource | LoadedImage],
) -> Iterator[tuple[str, ImageSource | LoadedImage]]:
    """Go through images one by one, without decoding any.

    Args:
        images: one image; a folder (its files with an image suffix, sorted by name; hidden files
            and sub-folders are left out); a stacked `(N, H, W, 3)` array or `(N, 3, H, W)` tensor;
            or any iterable of single images, also a generator, from which one image is taken at a
            time.

    Returns:
        An iterator of (name, image): the name is the path, or "image 3" for the fourth of several.
        A folder without images gives nothing. The images themselves are checked by `load_image`.

    Raises:
        InvalidImageError: at the call, if `images` is nothing of the kind.
    """
    if isinstance(images, str | os.PathLike):
        folder = os.fsdecode(images)
        if os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises on overlong names
            return iter([(str(path), str(path)) for path in _image_files(Path(folder))])
        return iter([(_name_of(images), images)])
    if isinstance(images, LoadedImage | Image.Image) or (
        # A stack is iterated like a list, and so is an array of paths.
        isinstance(images, np.ndarray | Tensor) and images.ndim not in (1, 4)
    ):
        return iter([(_name_of(images), images)])
    if isinstance(images, bytes | bytearray) or hasattr(images, "read"):
        raise InvalidImageError(f"images: expected {_ONE_IMAGE}, got {_describe(images)}.")
    try:
        iterator = iter(images)
    except TypeError as error:
        raise InvalidImageError(
            f"images: expected {_ONE_IMAGE}; or a folder, a stack, or an iterable of these; got "
            f"{_describe(images)}."
        ) from error
    return ((_name_of(each, f"image {i}"), each) for i, each in enumerate(iterator))


def _image_files(folder: Path) -> list[Path]:
    try:
        # Only folders are left out: a dangling link named x.png is an error to hear of.
        return sorted(
            path
            for path in folder.iterdir()
            if _IMAGE_SUFFIX.fullmatch(path.suffix)
            and not path.name.startswith(".")
            and not path.is_dir()
        )
    except OSError as error:
        raise InvalidImageError(
            f"{folder}: the folder cannot be read ({error}). Check its permissions."
        ) from error


def _name_of(source: object, otherwise: str | None = None) -> str:
    if isinstance(source, LoadedImage):
        return source.name
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source) or "''"
    if isinstance(source, Image.Image):
        # Images from Image.open know where they come from.
        return os.fsdecode(getattr(source, "filename", "")) or otherwise or "<PIL image>"
    if isinstance(source, np.ndarray):
        return otherwise or "<array>"
    return otherwise or ("<tensor>" if isinstance(source, Tensor) else "<image>")


def _describe(source: object) -> str:
    kind = type(source).__name__
    if isinstance(source, bytes | bytearray):
        return f"{kind}. Open encoded bytes with PIL.Image.open(io.BytesIO(data))"
    if hasattr(source, "read"):
        return f"an open file ({kind}). Give its path, or open it with PIL.Image.open"
    if isinstance(source, list | tuple):
        return f"a {kind}. Give several images as one flat iterable, without labels"
    return f"{kind}. Convert it to one of these"


def _from_array(array: npt.NDArray[Any], name: str, max_pixels: int) -> Tensor:
    shape = array.shape
    if array.ndim != 3 or shape[2] != 3:
        if array.ndim == 2 or (array.ndim == 3 and shape[2] == 1):
            advice = "Repeat the grey channel: np.dstack([grey] * 3)"
        elif array.ndim == 3 and shape[0] == 3:
            advice = "Move the channels last: array.transpose(1, 2, 0)"
        elif array.ndim == 3 and shape[2] == 4:
            advice = "Give pixels with alpha as a PIL image: Image.fromarray(array)"
        else:
            advice = "Give one image at a time, channels last"
        raise InvalidImageError(
            f"{name}: expected an array of shape (H, W, 3), got {shape}. {advice}."
        )
    if array.dtype != np.uint8:
        advice = {
            "f": "Floats in [0, 1] become bytes by (array * 255).round().astype(np.uint8)",
            "u": "16-bit pixels become bytes by (array >> 8).astype(np.uint8)",
        }.get(array.dtype.kind, "If the values are in 0 to 255, use array.astype(np.uint8)")
        raise InvalidImageError(f"{name}: expected a uint8 array, got {array.dtype}. {advice}.")
    check_size(shape[0], shape[1], name=name, max_pixels=max_pixels)
    # Always a copy: a caller that fills one buffer again and again must not change this image.
    return torch.from_numpy(np.array(array.transpose(2, 0, 1), order="C", copy=True))


def _from_tensor(tensor: Tensor, name: str, max_pixels: int) -> Tensor:
    shape = tuple(tensor.shape)
    if tensor.ndim != 3 or shape[0] != 3:
        if tensor.ndim == 2 or (tensor.ndim == 3 and shape[0] == 1):
            advice = "Repeat the grey channel: tensor.expand(3, -1, -1)"
        elif tensor.ndim == 3 and shape[2] == 3:
            advice = "Move the channels first: tensor.permute(2, 0, 1)"
        elif tensor.ndim == 3 and shape[0] == 4:
            advice = "Drop the alpha channel: tensor[:3]"
        else:
            advice = "Give one image at a time, channels first"
        raise InvalidImageError(
            f"{name}: expected a tensor of shape (3, H, W), got {shape}. {advice}."
        )
    if tensor.dtype != torch.uint8 and tensor.dtype not in _FLOAT_DTYPES:
        raise InvalidImageError(
            f"{name}: expected a uint8 tensor, or floats in [0, 1], got {tensor.dtype}. If the "
            "values are in 0 to 255, use tensor.to(torch.uint8)."
        )
    if tensor.layout != torch.strided or tensor.device.type == "meta":
        raise InvalidImageError(
            f"{name}: expected a dense tensor that holds values, got layout {tensor.layout} on "
            f"device {tensor.device}. Give tensor.to_dense(), with its values."
        )
    check_size(shape[1], shape[2], name=name, max_pixels=max_pixels)
    tensor = tensor.detach().as_subclass(Tensor)
    if tensor.dtype != torch.uint8:
        low, high = (bound.item() for bound in tensor.aminmax())
        if not (low >= 0 and high <= 1):  # so that NaN is refused too
            raise InvalidImageError(
                f"{name}: expected floats in [0, 1], got values from {low:g} to {high:g}. Divide "
                "bytes by 255, map [-1, 1] by x / 2 + 0.5; NaN or inf means that the image is lost."
            )
        wide = tensor.float() if tensor.dtype in _FLOAT_DTYPES[:2] else tensor
        tensor = wide.mul(255).round_()
    # Always a copy, like that of an array.
    return tensor.to("cpu", torch.uint8, copy=True, memory_format=torch.contiguous_format)
