"""A plain ResNet (He et al. 2016) for spectra of any number of channels.

Written out because torchvision, its usual home, has no build for every platform that torch has.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from modelprint.errors import InvalidOptionError

# Blocks per stage, and whether the blocks are bottlenecks of four times the width.
DEPTHS: dict[int, tuple[tuple[int, int, int, int], bool]] = {
    10: ((1, 1, 1, 1), False),
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
}


class ResNet(nn.Module):
    """Residual network without a classifier.

    Args:
        depth: 10, 18, 34 or 50 layers.
        channels: Input channels C.
        width: Channels of the first stage (64 in the paper); every stage doubles them.

    Attributes:
        features: Length F of the output.

    Raises:
        InvalidOptionError: A depth that is not in the list, or a width outside 1..256.
    """

    def __init__(self, depth: int = 50, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise InvalidOptionError(f"expected a ResNet depth in {list(DEPTHS)}, got {depth}")
        if not 1 <= width <= 256:
            raise InvalidOptionError(f"expected a ResNet width between 1 and 256, got {width}")
        counts, bottleneck = DEPTHS[depth]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        blocks: list[nn.Module] = []
        inputs = width
        for stage, count in enumerate(counts):
            for number in range(count):
                stride = 2 if stage > 0 and number == 0 else 1
                block = _Block(inputs, width * 2**stage, stride, bottleneck)
                blocks.append(block)
                inputs = block.outputs
        self.blocks = nn.Sequential(*blocks)
        self.features = inputs

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to globally averaged features ``(B, F)``."""
        y: Tensor = self.blocks(self.stem(x))
        return y.mean((2, 3))


class _Block(nn.Module):
    """Two 3 x 3 convolutions, or the 1-3-1 bottleneck, around a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        self.outputs = 4 * width if bottleneck else width
        layers: list[nn.Module] = []
        shape = [(inputs, width, 1, 1), (width, width, 3, stride), (width, self.outputs, 1, 1)]
        if not bottleneck:
            shape = [(inputs, width, 3, stride), (width, width, 3, 1)]
        for c_in, c_out, kernel, step in shape:
            layers += [
                nn.Conv2d(c_in, c_out, kernel, step, kernel // 2, bias=False),
                nn.BatchNorm2d(c_out),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers[:-1])  # the last ReLU comes after the shortcut
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != self.outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, self.outputs, 1, stride, bias=False), nn.BatchNorm2d(self.outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))
