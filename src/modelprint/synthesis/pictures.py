"""Procedural pictures: the stand-in for photographs, drawn by the package itself.

"Dead leaves" (Lee, Mumford and Huang 2001): textured shapes of power-law sizes that occlude each
other have the scale invariance, edges and heavy-tailed gradients of natural images. Shapes here are
ellipses, rectangles, polygons, strokes and letters, filled with fractal noise, gradients or flat
colour under a soft light, drawn at twice the size, blurred as by a lens, downsampled, and given the
noise and the tone curve of a camera. Built scenes have regular patterns in perspective as well, are
mostly upright, nearer or further away, and some of their lights burn out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import Tensor

from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError
from modelprint.synthesis.patterns import add_pattern

Box: TypeAlias = tuple[int, int, int, int]
_NOISE_PX = 1024
# Radius of the smallest shapes on the canvas, which has twice the side of the picture.
_SMALLEST_PX = 3.5
_LETTERS = "abcdefghkmnprstuwxyzABDEGHKMNPRSTXYZ2345678&?!"


def draw_pictures(
    n: int, *, seed: int, size_px: int = 144, first: int = 0, built: bool = False
) -> Tensor:
    """Draw ``n`` pictures; picture i depends on (seed, size_px, first + i, built) alone.

    Args:
        n: How many.
        seed: Names the series.
        size_px: Side of the square pictures, 32 to 1024.
        first: Where in the series to begin.
        built: Whether scenes vary as those do that people built; extractors are trained on these.

    Returns:
        ``(n, 3, size_px, size_px)`` uint8 RGB.

    Raises:
        InvalidOptionError: ``n`` below 1 or a size out of range.
    """
    if n < 1:
        raise InvalidOptionError(f"expected at least 1 picture, got n={n}")
    if not 32 <= size_px <= 1024:
        raise InvalidOptionError(f"expected size_px between 32 and 1024, got {size_px}")
    drawn = (
        _draw(Draws("picture", seed, size_px, first + i), size_px, built=built) for i in range(n)
    )
    return torch.from_numpy(np.stack([np.moveaxis(picture, 2, 0) for picture in drawn]))


def _draw(draws: Draws, size_px: int, *, built: bool) -> npt.NDArray[np.uint8]:
    side = 2 * size_px
    palette = _palette(draws)
    canvas = _fill(draws, side, side, palette)
    # A radius density of r**-3 would be scale invariant, but the few shapes that a picture can
    # afford would all be specks: r**-2 covers the canvas with fewer. The smallest are as small in a
    # large picture as in a small one, for there is fine detail in every part of a photograph.
    smallest, largest = _SMALLEST_PX, draws.choice((0.2, 0.35, 0.5)) * side
    upright = built and draws.number() < 0.5
    shapes = round(draws.choice((40, 90, 180)) * max(1.0, size_px / 144))
    patterns = draws.choice((0, 0, 1, 1, 2)) if built else 0
    patterned = {draws.integer(shapes) for _ in range(patterns)}
    for number in range(shapes):
        if number in patterned:
            add_pattern(draws, canvas, palette)
        radius = 1 / (1 / largest + draws.number() * (1 / smallest - 1 / largest))
        _add_shape(draws, canvas, radius, palette, upright=upright)
    if draws.number() < 0.35:
        _add_strokes(draws, canvas, palette)
    if draws.number() < 0.25:
        _add_text(draws, canvas, palette)
    return _expose(draws, canvas, size_px, built=built)


def _palette(draws: Draws) -> npt.NDArray[np.float32]:
    """Eight colours around a common tint, ``(8, 3)`` in 0..255; most are muted, a few are vivid."""
    light = draws.uniform(8, 1, low=15, high=235)
    tint = draws.uniform(1, 3, low=-30, high=30)
    vivid = draws.choice((0.3, 0.6, 1.0))
    own = draws.uniform(8, 3, low=-90, high=90) * draws.uniform(8, 1) ** 2 * vivid
    colours = np.clip(light + tint + own, 0, 255)
    return np.asarray(colours, np.float32)


@lru_cache(maxsize=1)
def _noise_fields() -> npt.NDArray[np.float32]:
    """Fractal noise of several roughnesses, ``(6, 1024, 1024)``, zero mean, unit deviation."""
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(_NOISE_PX)] * 2, indexing="ij"))
    frequency[0, 0] = 1
    fields = []
    for number, slope in enumerate((0.6, 0.9, 1.1, 1.3, 1.6, 2.0)):
        stream = Draws("fractal noise", number)
        white = stream.uniform(_NOISE_PX, _NOISE_PX) - np.float32(0.5)
        field = np.fft.ifft2(np.fft.fft2(white) / frequency**slope).real
        fields.append((field - field.mean()) / field.std())
    return np.asarray(fields, np.float32)


def _texture(draws: Draws, height: int, width: int) -> npt.NDArray[np.float32]:
    """A window of a noise field, ``(height, width)``, at a random scale and orientation."""
    fields = _noise_fields()
    field = fields[draws.integer(len(fields))]
    step_y, step_x = draws.choice(((1, 1), (1, 1), (2, 2), (1, 3), (3, 1)))
    height_px, width_px = min(_NOISE_PX, height * step_y), min(_NOISE_PX, width * step_x)
    top = draws.integer(_NOISE_PX - height_px + 1)
    left = draws.integer(_NOISE_PX - width_px + 1)
    window = field[top : top + height_px : step_y, left : left + width_px : step_x]
    if window.shape != (height, width):
        repeats = (-(-height // window.shape[0]), -(-width // window.shape[1]))
        window = np.tile(window, repeats)[:height, :width]
    return np.asarray(window)


def _fill(
    draws: Draws, height: int, width: int, palette: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Colours for a box, ``(height, width, 3)``: base, texture of one or two tints, light."""
    base = palette[draws.integer(8)]
    kind = draws.number()
    amount = draws.choice((0.0, 4.0, 10.0, 20.0, 35.0))
    colours = np.broadcast_to(base, (height, width, 3)).astype(np.float32)
    if amount > 0:
        texture = _texture(draws, height, width)[..., None]
        # Texture changes brightness more than hue, as surface relief does.
        direction = np.float32(1) + draws.uniform(3, low=-0.35, high=0.35)
        colours = colours + amount * texture * direction
    if kind < 0.5:
        slope = draws.uniform(2, low=-0.5, high=0.5)
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * slope[0]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * slope[1]
        colours = colours * (1 + y + x)[..., None]
    return colours


def _add_shape(
    draws: Draws,
    canvas: npt.NDArray[np.float32],
    radius: float,
    palette: npt.NDArray[np.float32],
    *,
    upright: bool,
) -> None:
    side = canvas.shape[0]
    centre_y, centre_x = draws.number(0, side), draws.number(0, side)
    aspect = draws.number(0.4, 1.0)
    reach = int(radius * 1.1) + 2
    top, left = max(0, int(centre_y) - reach), max(0, int(centre_x) - reach)
    bottom, right = min(side, int(centre_y) + reach), min(side, int(centre_x) + reach)
    if bottom - top < 2 or right - left < 2:
        return
    angles = _outline(draws)
    # Gravity and builders make most lines of many scenes upright or level.
    turn = 0.04 * draws.number(-1, 1) if upright else draws.number(0, 2 * np.pi)
    y, x = radius * angles[:, 1], radius * aspect * angles[:, 0]
    points_x = centre_x - left + x * np.cos(turn) - y * np.sin(turn)
    points_y = centre_y - top + x * np.sin(turn) + y * np.cos(turn)
    mask = Image.new("L", (right - left, bottom - top))
    corners = list(zip(points_x.tolist(), points_y.tolist(), strict=True))
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    blur = draws.choice((0.0, 0.0, 0.6, 1.5)) if radius < 12 else draws.choice((0.0, 0.7, 2.0, 5.0))
    if blur:
        mask = mask.filter(ImageFilter.GaussianBlur(blur))
    _blend(
        canvas, (top, left, bottom, right), mask, _fill(draws, bottom - top, right - left, palette)
    )


def _outline(draws: Draws) -> npt.NDArray[np.float64]:
    """Points ``(P, 2)`` of an ellipse, a rectangle, a polygon or a blob of unit radius."""
    kind = draws.choice(("ellipse", "ellipse", "rectangle", "rectangle", "polygon", "blob"))
    if kind == "rectangle":
        return np.array([[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8]])
    corners = 3 + draws.integer(5) if kind == "polygon" else 28
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = np.ones(corners)
    if kind == "polygon":
        radius = draws.uniform(corners, low=0.5, high=1.0).astype(np.float64)
    elif kind == "blob":
        phases = draws.uniform(3, high=2 * np.pi)
        radius = 0.75 + sum(0.12 * np.sin((k + 2) * angle + phases[k]) for k in range(3))
    return np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]


def _blend(
    canvas: npt.NDArray[np.float32], box: Box, mask: Image.Image, colours: npt.NDArray[np.float32]
) -> None:
    top, left, bottom, right = box
    alpha = np.asarray(mask, np.float32)[..., None] / 255
    window = canvas[top:bottom, left:right]
    window += alpha * (colours - window)


def _add_strokes(
    draws: Draws, canvas: npt.NDArray[np.float32], palette: npt.NDArray[np.float32]
) -> None:
    """A tuft of thin curved lines of one hue: hair, grass, twigs, cables."""
    side = canvas.shape[0]
    colour, other = palette[draws.integer(8)], palette[draws.integer(8)]
    centre, spread = draws.uniform(2, high=side), draws.choice((0.1, 0.25)) * side
    heading, length = draws.number(0, 2 * np.pi), draws.number(0.08, 0.35) * side
    layer = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(layer)
    for _ in range(draws.choice((40, 120, 250))):
        start = centre + draws.uniform(2, low=-1, high=1) * spread
        angle = heading + draws.number(-0.5, 0.5)
        bend = draws.number(-0.8, 0.8)
        steps = np.linspace(0, 1, 6)
        xs = start[0] + length * steps * np.cos(angle + bend * steps)
        ys = start[1] + length * steps * np.sin(angle + bend * steps)
        shade = colour + draws.number() * (other - colour)
        ink = tuple(int(v) for v in np.clip(shade, 0, 255))
        line = list(zip(xs.tolist(), ys.tolist(), strict=True))
        pen.line(line, fill=ink, width=draws.choice((1, 1, 2, 3)))
    canvas[:] = np.asarray(layer, np.float32)


def _add_text(
    draws: Draws, canvas: npt.NDArray[np.float32], palette: npt.NDArray[np.float32]
) -> None:
    side = canvas.shape[0]
    layer = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(layer)
    for _ in range(1 + draws.integer(4)):
        word = "".join(draws.choice(_LETTERS) for _ in range(2 + draws.integer(8)))
        ink = tuple(int(v) for v in palette[draws.integer(8)])
        font = ImageFont.load_default(size=draws.number(0.04, 0.16) * side)
        place = (draws.number(-0.1, 0.8) * side, draws.number(0, 0.9) * side)
        pen.text(place, word, fill=ink, font=font)
    canvas[:] = np.asarray(layer, np.float32)


def _expose(
    draws: Draws, canvas: npt.NDArray[np.float32], size_px: int, *, built: bool
) -> npt.NDArray[np.uint8]:
    """Light, lens, sensor and tone: the canvas as a camera would hand it out, at half its side."""
    if built:
        # The nearer something is, the less fine is its detail.
        part = round(size_px * draws.choice((1.0, 1.4, 2.0, 2.0, 2.0)))
        canvas = canvas[:part, :part]
    light = _noise_fields()[-1][: canvas.shape[0], : canvas.shape[1]]
    if light.shape != canvas.shape[:2]:
        light = np.tile(light, (2, 2))[: canvas.shape[0], : canvas.shape[1]]
    canvas = canvas * (1 + draws.number(0, 0.25) * np.tanh(light))[..., None]
    whole = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    # Sharpness is the content's own business: it must vary widely between images of one model.
    blur = draws.choice((0.0, 0.0, 0.5, 0.8, 1.2, 2.0, 3.5))
    if blur:
        whole = whole.filter(ImageFilter.GaussianBlur(blur))
    finish = draws.choice(("plain", "plain", "sharpened", "painted"))
    if finish == "sharpened":
        whole = whole.filter(ImageFilter.UnsharpMask(draws.number(1, 3), draws.integer(150), 0))
    elif finish == "painted":
        whole = whole.filter(ImageFilter.MedianFilter(draws.choice((3, 5))))
    method = draws.choice(
        (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    )
    small = np.asarray(whole.resize((size_px, size_px), method), np.float32)
    # Shot noise grows with the light, read noise does not.
    gaussian = draws.bell(size_px, size_px, 3)
    deviation = draws.choice((0.0, 0.0, 0.5, 1.0, 2.0, 5.0)) * np.sqrt(0.3 + small / 128)
    noisy = small + gaussian * np.float32(1.73) * deviation
    curve = 255 * (np.clip(noisy, 0, 255) / 255) ** draws.number(0.75, 1.3)
    if built and draws.number() < 0.25:
        # Lights burn out, shadows drown.
        middle = draws.number(90, 165)
        curve = middle + (curve - middle) * np.float32(draws.number(1.2, 2.2))
    return np.asarray(np.rint(np.clip(curve, 0, 255)), np.uint8)


def crops(pictures: Tensor, draws: Draws, n: int, side_px: int) -> Iterator[Tensor]:
    """``n`` random square crops ``(3, side_px, side_px)``, mirrored half of the time."""
    for _ in range(n):
        picture = pictures[draws.integer(len(pictures))]
        top = draws.integer(picture.shape[-2] - side_px + 1)
        left = draws.integer(picture.shape[-1] - side_px + 1)
        crop = picture[:, top : top + side_px, left : left + side_px]
        yield crop.flip(-1) if draws.integer(2) else crop
