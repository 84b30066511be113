"""modelprint: which generative model made this image?

Enroll a few images of each model, then ask who made another one. Errors are in
``modelprint.errors``, figures of merit in ``modelprint.metrics``, training (optional) in
``modelprint.training``.
"""

from modelprint import errors, metrics
from modelprint.answer_file import AnswerFile, identify_to_file
from modelprint.answers.evidence import Evidence
from modelprint.asking import identify, verify
from modelprint.audit.replaying import Replay, replay
from modelprint.decision import Candidate, Identification, Verification
from modelprint.discovery.discovering import discover
from modelprint.discovery.discovery import Discovery
from modelprint.extractor import FingerprintExtractor
from modelprint.gallery import Gallery
from modelprint.health.health import GalleryHealth
from modelprint.synthesis.space import DesignSpace
from modelprint.synthesis.synthesizer import ModelSynthesizer
from modelprint.version import __version__ as __version__

__all__ = [
    "AnswerFile",
    "Candidate",
    "DesignSpace",
    "Discovery",
    "Evidence",
    "FingerprintExtractor",
    "Gallery",
    "GalleryHealth",
    "Identification",
    "ModelSynthesizer",
    "Replay",
    "Verification",
    "discover",
    "errors",
    "identify",
    "identify_to_file",
    "metrics",
    "replay",
    "verify",
]
