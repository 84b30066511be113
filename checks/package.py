"""Builds the sdist and the wheel twice, compares them, and uses the wheel as a stranger would.

    python3 bootstrap.py package

The second build is of the unpacked sdist of the first, in another folder: so the sdist is whole,
and neither place nor time show in what is built. The wheel is then installed into an empty
environment, which enrolls and identifies images from a folder that knows nothing of this checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_EPOCH = "1767225600"  # the first second of 2026; any second would do
_IMAGES = """
import numpy as np
from PIL import Image
for model in range(3):
    for number in range(6):
        noise = np.random.default_rng([model, number]).normal(size=(96, 96, 3))
        noise += model * (np.roll(noise, 1, 0) - np.roll(noise, 1, 1))
        pixels = (127 + 20 * noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(f"{model}-{number}.png")
"""


def main() -> int:
    """Build, compare, install, use; returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder).resolve()
        first = build(ROOT, there / "first")
        with tarfile.open(next(path for path in first if path.name.endswith(".tar.gz"))) as sdist:
            sdist.extractall(there / "unpacked", filter="data")
        second = build(next((there / "unpacked").iterdir()), there / "second")
        if digests(first) != digests(second):
            print(f"package: built twice, got {digests(first)} and {digests(second)}")
            return 1
        for name, digest in digests(first).items():
            print(f"package: built twice alike: {name} {digest}")
        use(next(path for path in first if path.suffix == ".whl"), there)
    return 0


def build(source: Path, out: Path) -> list[Path]:
    """Build the sdist, and the wheel from it."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}
    call = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(call, env=environment, check=True, stdout=subprocess.DEVNULL)
    return sorted(out.iterdir())


def digests(files: list[Path]) -> dict[str, str]:
    """Sha256 in hex by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def use(wheel: Path, there: Path) -> None:
    """Install a wheel into an environment of its own, and call the command from elsewhere."""
    bin_folder = there / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = str(bin_folder / "python")
    run([sys.executable, "-m", "venv", str(there / "env")], there)
    constraints = str(ROOT / "constraints.txt")
    run([python, "-m", "pip", "install", "--quiet", "--constraint", constraints, str(wheel)], there)
    here = there / "elsewhere"
    here.mkdir()
    modelprint = shutil.which("modelprint", path=str(bin_folder))
    if modelprint is None:
        raise SystemExit("package: expected the wheel to install a command, got none")
    version = run([modelprint, "--version"], here).strip()
    shown = run([modelprint, "env"], here)
    run([python, "-c", _IMAGES], here)
    for model in range(3):
        images = [f"{model}-{number}.png" for number in range(4)]
        run([modelprint, "enroll", "g", f"model-{model}", *images], here)
    answers = run([modelprint, "identify", "0-5.png", "1-5.png", "2-5.png", "--gallery", "g"], here)
    place = run([python, "-c", "import modelprint; print(modelprint.__file__)"], here)
    expected = [f"model-{model}" for model in range(3)]
    missing = [label for label in expected if label not in answers]
    if missing or "bundled" not in shown or not place.startswith(str(there)):
        raise SystemExit(f"package: the wheel answers\n{shown}\n{answers}\nfrom {place}")
    print(f"package: {version}, installed alone, names the models of images that it had not seen")


def run(call: list[str], folder: Path) -> str:
    """What a command prints, in an environment that points to no other Python."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"package: {' '.join(call[:4])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
