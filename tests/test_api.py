"""What users may rely on is written down here: changing it is a decision, not an accident."""

import dataclasses
import subprocess
import sys
import types

import pytest

import modelprint

MODULES = {"errors", "metrics"}
MEMBERS = {
    "AnswerFile": ["added", "before", "unreadable"],
    "Candidate": ["label", "llr", "p_value", "score", "share", "to_dict"],
    "DesignSpace": ["depths", "draw", "name", "shared", "size", "stage", "whole"],
    "Discovery": [
        *(
            "calibration_source",
            "extractor_digest",
            "fpr",
            "groups",
            "left_out",
            "matched",
            "pair_rate",
            "provenance",
            "singles",
            "to_dict",
        )
    ],
    "Evidence": [
        *(
            "enrolled",
            "extractor_digest",
            "height_px",
            "image",
            "image_sha256",
            "label",
            "nearest",
            "p_value",
            "provenance",
            "score",
            "spectrum",
            "tiles",
            "to_dict",
            "width_px",
        )
    ],
    "FingerprintExtractor": [
        *("calibration", "cohort", "compare", "config", "device", "digest", "dim", "embed"),
        *("from_pretrained", "push_to_hub", "save_pretrained"),
    ],
    "Gallery": [
        *("calibrate", "calibration", "digest", "enroll", "explain", "extractor", "health"),
        *(
            "identify",
            "identify_many",
            "labels",
            "load",
            "merge",
            "remove",
            "save",
            "update",
            "verify",
        ),
    ],
    "GalleryHealth": [
        *(
            "calibration_source",
            "drifted",
            "extractor_digest",
            "fpr",
            "labels",
            "look_alikes",
            "missing",
            "provenance",
            "to_dict",
            "warnings",
        )
    ],
    "Identification": [
        *("calibration_source", "candidates", "decision", "error", "extractor_digest"),
        *("families", "fpr", "image", "image_sha256", "label", "level", "p_threshold"),
        *("provenance", "reason", "reason_code", "related", "to_dict", "warnings"),
    ],
    "ModelSynthesizer": ["device", "generate", "sample", "seed", "space"],
    "Replay": [
        *(
            "answer",
            "confirmed",
            "differences",
            "largest_score_difference",
            "notes",
            "to_dict",
            "tolerance",
        )
    ],
    "Verification": [
        *("accepted", "calibration_source", "claim", "decision", "extractor_digest", "fpr"),
        *("image_sha256s", "images", "label", "llr", "p_value", "provenance", "reason"),
        *("reason_code", "score", "to_dict", "warnings"),
    ],
}
FUNCTIONS = {"discover", "identify", "identify_to_file", "replay", "verify"}
METRICS = [
    *("DetCurve", "ReliabilityCurve", "adjusted_rand_index", "bootstrap_interval", "cllr"),
    *("det_curve", "diversity", "equal_error_rate", "frechet_frequency_distance", "min_cllr"),
    *("oscr", "purity", "reliability_curve", "roc_auc", "top_k_accuracy", "tpr_at_fpr"),
]
ERRORS = [
    *("DuplicateImageError", "EmptyGalleryError", "ExtractorMismatchError", "FileBusyError"),
    *("GalleryChangedError", "HubUnreachableError"),
    *("ImageNotFoundError", "InvalidGalleryFileError", "InvalidImageError", "InvalidOptionError"),
    *(
        "InvalidRecordError",
        "InvalidWeightsError",
        "MissingExtraError",
        "ModelprintError",
        "NothingToEnrollError",
    ),
    *("RecordMismatchError", "UnknownLabelError", "WeightsNotFoundError"),
]


def test_the_public_names():
    assert sorted(modelprint.__all__) == sorted({*MODULES, *MEMBERS, *FUNCTIONS})
    unlisted = {
        name
        for name, value in vars(modelprint).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert unlisted == {*MEMBERS, *FUNCTIONS}
    assert all(vars(modelprint)[name].__doc__ for name in modelprint.__all__)


@pytest.mark.parametrize("name", MEMBERS)
def test_the_members_of_public_classes_are_there_and_documented(name):
    cls = getattr(modelprint, name)
    fields = (
        {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
    )
    for member in MEMBERS[name]:
        # What is set in __init__ stands in its source.
        assert hasattr(cls, member) or member in fields or member in cls.__init__.__code__.co_names
    own = {key for key, value in vars(cls).items() if not key.startswith("_") and callable(value)}
    own |= {key for key, value in vars(cls).items() if isinstance(value, property | classmethod)}
    assert {key for key in own if not key.startswith("_")} <= {
        *MEMBERS[name],
        "from_weights",
        "to_weights",
    }
    assert all(getattr(cls, key).__doc__ for key in own if not key.startswith("_"))


def test_metrics_and_errors():
    public = {name for name in METRICS if callable(getattr(modelprint.metrics, name, None))}
    assert public == set(METRICS)
    assert (
        sorted(name for name, value in vars(modelprint.errors).items() if isinstance(value, type))
        == ERRORS
    )
    for name in ERRORS:
        assert issubclass(getattr(modelprint.errors, name), modelprint.errors.ModelprintError)


def test_importing_does_no_work():
    code = """
import socket, sys, torch

def refuse(*_):
    raise AssertionError("the network was used")

socket.socket.connect = refuse
threads, state = torch.get_num_threads(), torch.get_rng_state()
import modelprint
from modelprint import extractor
assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)
assert not torch.cuda.is_initialized()
assert extractor.bundled_extractor.cache_info().currsize == 0
loaded = {name for name in sys.modules if name.startswith("modelprint.")}
assert not {name for name in loaded if "training" in name or "cli" in name or "report" in name}
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
