"""Whether anything that comes with modelprint has a known vulnerability, by pip-audit.

    python3 bootstrap.py audit

A known vulnerability is an error. Where no advisory service can be reached nothing is known, which
is said and is no error; pip-audit itself would call that "no known vulnerabilities".
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from checks.dependencies import closure

_SERVICES = ("pypi", "osv")


def main() -> int:
    """Ask the services in turn until one answers; returns the exit status."""
    pins = [f"{name}=={package.version.split('+')[0]}" for name, package in closure().items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.txt"
        path.write_text("\n".join(pins), "utf-8")
        for service in _SERVICES:
            answers = ask(service, path)
            asked = [answer for answer in answers if "skip_reason" not in answer]
            if not asked:
                print(f"advisories: the service {service} knows or reaches none of the packages")
                continue
            return report(asked, [answer["name"] for answer in answers if answer not in asked])
    print(f"advisories: NOT CHECKED: no service could be asked about the {len(pins)} packages")
    return 0


def ask(service: str, requirements: Path) -> list[dict[str, Any]]:
    """What a service says about each package; nothing where it cannot be reached."""
    call = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps"]
    call += ["--disable-pip", "--progress-spinner", "off", "--format", "json"]
    call += ["--vulnerability-service", service, "--timeout", "10"]
    done = subprocess.run(call, capture_output=True, text=True)
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return []
    return answers


def report(asked: list[dict[str, Any]], skipped: list[str]) -> int:
    """Print the vulnerabilities; returns the exit status."""
    if skipped:
        print(f"advisories: not known to the service: {', '.join(skipped)}")
    found = [(answer, each) for answer in asked for each in answer["vulns"]]
    for answer, each in found:
        fixed = ", ".join(each["fix_versions"]) or "no version"
        print(f"advisories: {answer['name']} {answer['version']}: {each['id']}, fixed in {fixed}")
    print(f"advisories: {len(asked)} packages, {len(found)} known vulnerabilities")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
