# mypy: disable-error-code="no-untyped-def,untyped-decorator,import-untyped,import-not-found"
# ruff: noqa: ANN001, ANN201, ANN202
"""The pointwise activations inside Triton kernels, in float32.

Written out because Triton's own library of functions is neither complete nor known to its
interpreter. Every formula keeps its relative accuracy near zero and overflows nowhere; a NaN stays
a NaN, as in PyTorch.
"""

from __future__ import annotations

import triton
import triton.language as tl

# By what number a kernel is told which one to compute; 0 is none.
CODES = {
    "none": 0,
    "relu": 1,
    "leaky_relu": 2,
    "elu": 3,
    "selu": 4,
    "gelu": 5,
    "silu": 6,
    "mish": 7,
    "hardswish": 8,
    "softplus": 9,
    "sigmoid": 10,
    "tanh": 11,
    "sine": 12,
}


@triton.jit
def _expm1(x):
    """exp(x) - 1 for x <= 0: a series where the difference would cancel."""
    series = x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6 * (1 + x / 7))))))
    return tl.where(x > -0.4, series, tl.exp(x) - 1)


@triton.jit
def _tanh(x):
    square = x * x
    series = 62.0 / 2835 - square * (1382.0 / 155925)
    series = -17.0 / 315 + square * series
    series = 2.0 / 15 + square * series
    series = x + x * square * (-1.0 / 3 + square * series)
    t = tl.exp(-2 * tl.abs(x))
    far = (1 - t) / (1 + t)
    return tl.where(tl.abs(x) < 0.35, series, tl.where(x < 0, -far, far))


@triton.jit
def _sigmoid(x):
    t = tl.exp(-tl.abs(x))
    return tl.where(x < 0, t, 1.0) / (1 + t)


@triton.jit
def _softplus(x):
    t = tl.exp(-tl.abs(x))
    u = 1 + t
    # log(1 + t) with what the addition rounded away put back.
    return tl.where(x < 0, 0.0, x) + tl.log(u) + (t - (u - 1)) / u


@triton.jit
def _mish(x):
    # x tanh(log(1 + e)) = x n / (n + 2) with n = e (e + 2); beyond 20 the quotient is 1.
    e = tl.exp(tl.where(x > 20, 20.0, x))
    n = e * (e + 2)
    return x * (n / (n + 2))


@triton.jit
def pointwise(x, code):
    """The activation of that code, applied to float32 values."""
    if code == 1:
        x = tl.where(x < 0, 0.0, x)
    elif code == 2:
        x = tl.where(x < 0, 0.2 * x, x)
    elif code == 3:
        x = tl.where(x < 0, _expm1(tl.where(x < 0, x, 0.0)), x)
    elif code == 4:
        negative = 1.6732632423543772 * _expm1(tl.where(x < 0, x, 0.0))
        x = 1.0507009873554805 * tl.where(x < 0, negative, x)
    elif code == 5:
        x = 0.5 * x * (1 + tl.erf(x * 0.7071067811865476))
    elif code == 6:
        x = x * _sigmoid(x)
    elif code == 7:
        x = _mish(x)
    elif code == 8:
        inner = tl.where(x < -3, 0.0, tl.where(x > 3, 6.0, x + 3))
        x = x * inner / 6
    elif code == 9:
        x = _softplus(x)
    elif code == 10:
        x = _sigmoid(x)
    elif code == 11:
        x = _tanh(x)
    elif code == 12:
        x = tl.sin(x)
    return x
