"""Write envs/mosaicbench.yaml, the conda form of the environment, from pyproject.toml and envs/constraints.txt.

Run it after changing either:  python envs/conda_form.py
"""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
PYTHON = "3.12"


def conda_form() -> str:
    """Return the conda environment file: the project's direct dependencies at the versions of the constraints file."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    lines = (HERE / "constraints.txt").read_text().splitlines()
    machine = {
        "python_version": PYTHON,
        "python_full_version": f"{PYTHON}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {
        requirement.name.lower().replace("_", "-"): str(requirement.specifier)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(machine)
    }
    names = [re.split(r"[<>=]", dependency)[0].lower() for dependency in project["dependencies"]]
    lines = [
        "# Untried: no conda channel could be reached where this was written by envs/conda_form.py, from pyproject.toml and",
        "# constraints.txt. For `snakemake --sdm conda`.",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        f"  - python={PYTHON}",
        "  - pip",
        "  - pip:",
        *(f"      - {name}{pinned[name]}" for name in sorted(names)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "mosaicbench.yaml").write_text(conda_form())
