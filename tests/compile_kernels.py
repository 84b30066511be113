"""Compiles the kernels for an H100 or H200, which needs neither; one line of JSON on stdout."""

import json

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from modelprint.kernels.channel_moments.triton import merge_kernel, parts_kernel
from modelprint.kernels.fused_layer.triton import fused_layer_kernel

SMALL = {"BLOCK_H": 4, "BLOCK_W": 16, "BLOCK_IN": 16, "BLOCK_OUT": 16}


def instructions(kernel, pointers, **constants):
    """The PTX of one specialisation; every argument that is neither is a 32-bit integer."""
    names = kernel.arg_names
    signature = dict.fromkeys(names, "i32") | pointers | dict.fromkeys(constants, "constexpr")
    source = ASTSource(
        kernel, signature, {(names.index(name),): value for name, value in constants.items()}
    )
    options = {"enable_fp_fusion": True}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["ptx"]


def layer(mode, dtype, kernel):
    constants = {"DTYPE": dtype, "PRODUCT": dtype, "MODE": mode, "KERNEL": kernel, **SMALL}
    constants |= {"X_LAST": mode != 1, "W_LAST": mode != 1, "PRECISION": "tf32x3"}
    pointers = {"table": "*i64", "out": "*bf16" if dtype == tl.bfloat16 else "*fp32"}
    return instructions(fused_layer_kernel, pointers, **constants)


parts = {"table": "*i64", "parts": "*fp32"}
made = {
    "plain": layer(0, tl.bfloat16, 3),
    "phases": layer(1, tl.float32, 5),
    "general": layer(2, tl.bfloat16, 3),
    "parts": instructions(parts_kernel, parts, DTYPE=tl.bfloat16, BLOCK_P=64, BLOCK_C=32),
    "merge": instructions(
        merge_kernel, {"parts": "*fp32", "moments": "*fp32"}, BLOCK_PARTS=4, BLOCK_C=32
    ),
}
print(json.dumps({name: "wgmma.mma_async" in ptx for name, ptx in made.items()}))
