"""What statistics and fingerprints of certain pictures were: `python -m tests.golden` writes it.

`golden.safetensors` holds, for pictures that are drawn by integer arithmetic alone and so are the
same everywhere, their statistics, which depend on no weights, and their fingerprints by the
bundled weights, whose digest stands in its metadata; and one of them as the bytes of a JPEG file,
with what came out of these. It is to be written again when statistics or weights are changed on
purpose, and never to make a test pass.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from modelprint.extractor import bundled_extractor
from modelprint.features.residual_statistics import residual_statistics
from modelprint.images import LoadedImage, load_image

FILE = Path(__file__).with_name("golden.safetensors")
SIZES_PX = ((32, 32), (64, 64), (96, 161), (200, 130), (256, 256), (320, 288))
# Multiplier and increment of a generator modulo 2**32 that C libraries have used for decades.
_STEP, _PLUS = 1_664_525, 1_013_904_223


def pictures() -> list[Tensor]:
    """`(3, H, W)` uint8: noise and ramps, repeated and averaged in patterns as by upsampling."""
    return [_picture(number, *size_px) for number, size_px in enumerate(SIZES_PX)]


def _picture(number: int, height: int, width: int) -> Tensor:
    noise = _noise(number, 3 * height * width).reshape(3, height, width)
    period = 2 << number % 3
    coarse = noise[:, ::period, ::period].repeat(period, 1).repeat(period, 2)
    rows, columns = np.indices((height, width))
    ramp = (rows * (3 + number) + columns * 5) % 192
    mixed = (coarse[:, :height, :width] + noise // 8 * (1 + number % 2) + 2 * ramp) // 4
    colour = mixed + np.array([0, 9 * number, 40])[:, None, None]
    return torch.from_numpy(colour.clip(0, 255).astype(np.uint8))


def _noise(seed: int, n: int) -> np.ndarray:
    """`n` integers in 0 to 255."""
    values, state = np.empty(n, np.int64), seed
    for i in range(n):
        state = (state * _STEP + _PLUS) % 2**32
        values[i] = state >> 24
    return values


def statistics(images: list[Tensor]) -> Tensor:
    """`(N, F)` of images of any sizes."""
    return torch.cat([residual_statistics(image[None].float() / 255) for image in images])


def read() -> tuple[str, dict[str, Tensor]]:
    """The digest of the weights, and what was written."""
    with safe_open(FILE, framework="pt") as file:
        digest: str = file.metadata()["extractor_digest"]
    return digest, load_file(FILE)


def decoded(jpeg: Tensor) -> LoadedImage:
    """A file's bytes, `(n,)` uint8, as the image that they are."""
    return load_image(Image.open(io.BytesIO(jpeg.numpy().tobytes())))


def main() -> None:
    """Write the file."""
    images, extractor = pictures(), bundled_extractor()
    file = io.BytesIO()
    Image.fromarray(images[3].permute(1, 2, 0).numpy()).save(file, "JPEG", quality=90)
    jpeg = torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)
    tensors = {
        "jpeg": jpeg,
        "jpeg_pixels": decoded(jpeg).pixels,
        "jpeg_fingerprint": extractor.embed(decoded(jpeg)),
        "pixels": torch.cat([image.flatten()[::997] for image in images]),
        "statistics": statistics(images),
        "fingerprints": extractor.embed(images),
    }
    save_file(tensors, FILE, {"extractor_digest": extractor.digest})
    print(f"{FILE}: {len(images)} pictures, weights {extractor.digest[:12]}")


if __name__ == "__main__":
    main()
