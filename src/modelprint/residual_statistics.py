"""Residual -> statistics: power, coherence, harmonics ... of an image's residual.

The closed-form half of the fingerprint: nothing in this file is trained. All crops of an image are
averaged before any logarithm (Welch's method), so that a larger image gives a less noisy estimate of
the same numbers.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.residual import high_pass, normalise, opponent_channels

CROP_PX = 128
_GRIDS = ((24, 12), (16, 8))
_PAIRS = ((0, 1), (0, 2), (1, 2))
_EPS = 1e-6


def crop_starts(length: int, side: int, stride: int) -> list[int]:
    n = round((length - side) / stride) + 1
    if n == 1:
        return [(length - side) // 2]
    return [round(i * (length - side) / (n - 1)) for i in range(n)]


def cut(x: Tensor, side: int, starts_y: list[int], starts_x: list[int]) -> Tensor:
    crops = [x[..., t : t + side, l : l + side] for t in starts_y for l in starts_x]
    return torch.stack(crops, 1)


def groups(images: Tensor, which: set[str] | None = None) -> dict[str, Tensor]:
    """(B,3,H,W) float -> named groups of (B, F)."""
    b, _, h, w = images.shape
    side = min(CROP_PX, min(h, w) // 16 * 16)
    ys, xs = crop_starts(h, side, side // 2), crop_starts(w, side, side // 2)
    # an even start keeps the crops of the halved image on whole pixels
    ys, xs = [y // 2 * 2 for y in ys], [x // 2 * 2 for x in xs]
    out: dict[str, Tensor] = {}
    channels = opponent_channels(images)
    for level, grid in enumerate(_GRIDS):
        if level:
            channels = F.avg_pool2d(channels, 2)
            side, ys, xs = side // 2, [y // 2 for y in ys], [x // 2 for x in xs]
        raw = cut(high_pass(channels), side, ys, xs)  # (B, n, 3, S, S)
        n = raw.shape[1]
        r = normalise(raw.flatten(0, 1))
        magnitude = r.abs().clamp(max=4)
        maps = {"t": torch.tanh(0.7 * r), "m": magnitude - magnitude.mean((2, 3), keepdim=True)}
        for name, m in maps.items():
            _spectral(out, f"{name}{level}", m, b, n, side, grid)
        _marginals(out, level, r, b, n)
        _cooccurrence(out, level, r, b, n)
        _prediction(out, level, r, b, n)
    return out


def _spectral(out, tag, m, b, n, side, grid):
    window = torch.hann_window(side, periodic=True)
    s = torch.fft.rfft2(m * window[:, None] * window[None])  # (B n,3,S,S/2+1)
    norm = (window.square().sum() ** 2)
    power = (s.real.square() + s.imag.square()).view(b, n, 3, side, -1).mean(1) / norm
    ay, ax = pool(side, grid[0]), pool_half(side, grid[1])
    out[f"power_{tag}"] = torch.log(ay @ power @ ax.T + _EPS).flatten(1)
    ay2, ax2 = pool(side, grid[0] // 2), pool_half(side, grid[1] // 2)
    cells = ay2 @ power @ ax2.T
    coh = []
    for i, j in _PAIRS:
        cross = (s[:, i].real * s[:, j].real + s[:, i].imag * s[:, j].imag)
        cross = cross.view(b, n, side, -1).mean(1) / norm
        coh.append((ay2 @ cross @ ax2.T) / torch.sqrt(cells[:, i] * cells[:, j] + _EPS**2))
    out[f"coherence_{tag}"] = torch.stack(coh, 1).flatten(1)
    out[f"harmonic_{tag}"] = _harmonics(power, side).flatten(1)


def _harmonics(power: Tensor, side: int) -> Tensor:
    # the other half of the plane, by the symmetry of a real signal
    mirrored = power[..., 1:-1].flip(-1)
    mirrored = torch.cat([mirrored[..., :1, :], mirrored[..., 1:, :].flip(-2)], -2)
    full = torch.cat([power, mirrored], -1)
    p = F.pad(full, (3, 3, 3, 3), mode="circular")
    near = F.avg_pool2d(p, 3, 1)[..., 2:-2, 2:-2] * 9
    wide = F.avg_pool2d(p, 7, 1) * 49
    ratio = torch.log((near / 9 + _EPS) / ((wide - near) / 40 + _EPS))
    step = side // 8
    points = [(y, x) for x in range(5) for y in range(8) if (x in (1, 2, 3) or y <= 4) and (x, y) != (0, 0)]
    return torch.stack([ratio[..., y * step, (x * step) % side] for y, x in points], -1)


QUANTILES = (0.1, 0.25, 0.75, 0.9, 0.95, 0.99)


def _marginals(out, level, r, b, n):
    a = r.abs()
    v = torch.stack([(a > t).float().mean((2, 3)) for t in (0.5, 1.7, 2.5, 3.5, 5, 8, 14)], -1)
    v = torch.log(v.view(b, n, -1).mean(1) + 2e-3)
    skew = torch.tanh(r).mean((2, 3)).view(b, n, -1).mean(1)
    out[f"marginal_{level}"] = torch.cat([v, 10 * skew], 1)


def _cooccurrence(out, level, r, b, n):
    q = (r > 0.7).to(torch.int64) - (r < -0.7).to(torch.int64) + 1  # 0,1,2
    feats = []
    for dy, dx in ((0, 1), (1, 0), (1, 1)):
        h, w = q.shape[-2:]
        a = q[..., : h - 2 * dy, : w - 2 * dx]
        m = q[..., dy : h - dy, dx : w - dx]
        c = q[..., 2 * dy :, 2 * dx :]
        code = (a * 9 + m * 3 + c).flatten(2)  # (Bn,3,P)
        hist = torch.zeros(*code.shape[:2], 27).scatter_add_(2, code, torch.ones_like(code, dtype=torch.float32)) / code.shape[-1]
        feats.append(hist.view(b, n, 3, 27).mean(1))
    # colour co-occurrence at one pixel
    code = (q[:, 0] * 9 + q[:, 1] * 3 + q[:, 2]).flatten(1)
    hist = torch.zeros(code.shape[0], 27).scatter_add_(1, code, torch.ones_like(code, dtype=torch.float32)) / code.shape[-1]
    feats = [torch.cat(feats, 1).flatten(1), hist.view(b, n, 27).mean(1)]
    out[f"cooc_{level}"] = torch.log(torch.cat(feats, 1) + 2e-3)


def _prediction(out, level, r, b, n):
    """Autocorrelation of the soft-clipped residual at small lags, and of its magnitude"""
    feats = []
    for x in (torch.tanh(r), r.abs().clamp(max=4)):
        x = x - x.mean((2, 3), keepdim=True)
        h, w = x.shape[-2:]
        var = x.square().mean((2, 3))
        for dy in range(0, 5):
            for dx in range(-4, 5):
                if dy == 0 and dx <= 0:
                    continue
                a = x[..., dy:, max(dx, 0) : w + min(dx, 0)]
                c = x[..., : h - dy, max(-dx, 0) : w + min(-dx, 0)]
                feats.append(((a * c).mean((2, 3)) / (var + 1e-4)).view(b, n, 3).mean(1))
    out[f"lags_{level}"] = torch.cat(feats, 1)


@lru_cache(maxsize=16)
def pool(side: int, cells: int) -> Tensor:
    frequency = torch.fft.fftfreq(side)
    cell = ((frequency + 0.5) * cells).floor().long().clamp(0, cells - 1)
    matrix = F.one_hot(cell, cells).float().T
    return matrix / matrix.sum(1, keepdim=True)


@lru_cache(maxsize=16)
def pool_half(side: int, cells: int) -> Tensor:
    frequency = torch.fft.rfftfreq(side)
    cell = (frequency * 2 * cells).floor().long().clamp(0, cells - 1)
    matrix = F.one_hot(cell, cells).float().T
    return matrix / matrix.sum(1, keepdim=True)
