"""modelprint: which generative model made this image?

Enroll a few images of each model, then ask who made another one. Errors are in
``modelprint.errors``, figures of merit in ``modelprint.metrics``, training (optional) in
``modelprint.training``.
"""

from modelprint import errors, metrics
from modelprint.decision import Candidate, Identification, Verification
from modelprint.extractor import FingerprintExtractor
from modelprint.gallery import Gallery, identify, verify
from modelprint.synthesis.space import DesignSpace
from modelprint.synthesis.synthesizer import ModelSynthesizer

__version__ = "0.1.0"

__all__ = [
    "Candidate",
    "DesignSpace",
    "FingerprintExtractor",
    "Gallery",
    "Identification",
    "ModelSynthesizer",
    "Verification",
    "errors",
    "identify",
    "metrics",
    "verify",
]
