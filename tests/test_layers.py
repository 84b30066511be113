"""The order of the layers: lower never imports higher, and two chains meet in training alone."""

import ast
from pathlib import Path

import pytest

import modelprint

SOURCE = Path(modelprint.__file__).parent

# Each module may import those above it in its own chain. A new module has to find its place here.
SHARED = ("errors", "draws")
USED = (
    # scores become an answer
    "metrics.inputs",
    "metrics.intervals",
    "metrics.spectral",
    "metrics.scores",
    "metrics.detection",
    "metrics.likelihood",
    "metrics.clustering",
    "metrics.false_positives",
    "metrics",
    # images
    "version",
    "files",
    "decoding",
    "decoding.pillow_guard",
    "decoding.jpeg_tables",
    "decoding.compression",
    "decoding.limits",
    "decoding.image_decoding",
    "images",
    "ahead",
    "batches",
    # an image becomes a fingerprint
    "features",
    "features.crops",
    "features.box_filter",
    "residual",
    "features.residual_spectrum",
    "features.periodicity",
    "features.subband_energy",
    "features.residual_statistics",
    "features.resnet",
    "features.recompression",
    "features.degradations",
    "features.common_scale",
    "scoring",
    "scoring.adaptation",
    "scoring.views",
    "backbone",
    "scoring.comparison",
    "scoring.likelihood",
    "scoring.impostors",
    "calibration",
    "packing",
    "hub",
    "extractor",
    # fingerprints become a gallery, and a gallery answers
    "embedder",
    "backends",
    "backends.clip",
    "records",
    "lineage",
    "index",
    "decision",
    "answers",
    "answers.ranking",
    "answers.rivals",
    "answers.usability",
    "answers.rules",
    "locking",
    "gallery_file",
    "reference",
    "answers.answering",
    "enrolling",
    "answers.calibrating",
    "answers.fingerprint_spectrum",
    "answers.evidence",
    "health",
    "health.leave_one_out",
    "health.drift",
    "health.health",
    "health.examining",
    "gallery",
    "asking",
    "answer_file",
    # what is made of answers
    "discovery",
    "discovery.discovery",
    "discovery.linkage",
    "discovery.grouping",
    "discovery.discovering",
    "audit",
    "audit.record_differences",
    "audit.replaying",
)
MADE = (
    # one operation to a folder, the plain PyTorch truth beside the kernel
    "kernels.backend",
    "kernels",
    "kernels.grouping",
    "kernels.channel_moments.reference",
    "kernels.channel_moments.torch_path",
    "kernels.channel_moments.triton",
    "kernels.channel_moments.op",
    "kernels.channel_moments",
    "kernels.fused_layer.reference",
    "kernels.fused_layer.plan",
    "kernels.fused_layer.torch_path",
    "kernels.fused_layer.activations",
    "kernels.fused_layer.triton",
    "kernels.fused_layer.op",
    "kernels.fused_layer",
    # names become models, models render pictures
    "synthesis",
    "synthesis.parameters",
    "synthesis.requests",
    "synthesis.batched",
    "synthesis.blocks",
    "synthesis.space",
    "synthesis.spec",
    "synthesis.inputs",
    "synthesis.maps",
    "synthesis.network",
    "synthesis.patterns",
    "synthesis.pictures",
    "synthesis.descent",
    "synthesis.fitting",
    "synthesis.rendering",
    "synthesis.synthesizer",
)
TRAINING = (
    "training.config",
    "training.checkpoint",
    "training.losses",
    "training.restyling",
    "training.card",
    "training.data",
    "training.closed_form",
    "training.loop",
    "training.calibrating",
    "training.evaluate",
    "training.run",
    "training",
)
TOP = (
    "report",
    "plots.axes",
    "plots.det",
    "plots.reliability",
    "plots.evidence",
    "plots",
    "cli",
)
ROOT = ""  # modelprint/__init__.py: what users import, and the version
# Training makes weights for the extractor; galleries and answers are none of its business.
KNOWN_TO_TRAINING = USED[: USED.index("extractor") + 1]


def allowed(module: str) -> set[str]:
    """What a module may import."""
    if module == ROOT:
        return {*SHARED, *USED, *MADE}
    for chain in (SHARED, USED, MADE):
        if module in chain:
            return {*SHARED, *chain[: chain.index(module)]} - {module}
    if module in TRAINING:
        below = TRAINING[: TRAINING.index(module)]
        return {ROOT, *SHARED, *KNOWN_TO_TRAINING, *MADE, *below}
    return {ROOT, *SHARED, *USED, *MADE, *TRAINING, *TOP[: TOP.index(module)]}


def modules() -> dict[str, str]:
    """Source by module name, relative to modelprint."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text("utf-8")
    return found


def imports(source: str, known: set[str]) -> set[str]:
    """Modules of modelprint that a source imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = inner.removeprefix("modelprint.") in known
                names.add(inner if is_module else node.module)
    ours = {name for name in names if name.split(".")[0] == "modelprint"}
    return {name.removeprefix("modelprint").removeprefix(".") for name in ours}


def violations(sources: dict[str, str]) -> list[str]:
    known = set(sources)
    return [
        f"{module or 'modelprint'} imports {imported or 'modelprint'}"
        for module, source in sources.items()
        for imported in sorted(imports(source, known) - allowed(module))
    ]


def test_every_module_has_its_place():
    assert set(modules()) == {ROOT, *SHARED, *USED, *MADE, *TRAINING, *TOP}


def test_lower_never_imports_higher():
    assert violations(modules()) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("extractor", "from modelprint.gallery import Gallery"),
        ("gallery", "def late():\n    from modelprint import training"),
        ("gallery", "import modelprint.cli"),
        ("backbone", "from modelprint import extractor"),
        ("residual", "from modelprint.synthesis.space import OPEN"),
        ("synthesis.space", "from modelprint.images import load_image"),
        ("training.data", "from modelprint.gallery import Gallery"),
        ("training.config", "from modelprint.training.run import train"),
        ("report", "from modelprint import cli"),
        ("gallery", "from modelprint import __version__"),
        ("", "from modelprint.training import train"),
    ],
)
def test_a_wrong_import_is_found(module, line):
    sources = dict.fromkeys(modules(), "") | {module: line}
    assert len(violations(sources)) == 1


def test_training_is_imported_inside_a_function():
    """So that the command works without the optional dependencies."""
    tree = ast.parse(modules()["cli"])
    at_top = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not [node for node in at_top if node.module and "training" in node.module]
