"""Mean and variance of every channel of every image, for many models at once."""

from modelprint.kernels.channel_moments.op import channel_moments
from modelprint.kernels.channel_moments.reference import Moments, channel_moments_reference

__all__ = ["Moments", "channel_moments", "channel_moments_reference"]
