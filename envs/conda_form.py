"""Write envs/mosaicbench.yaml, the conda form of the environment, from pyproject.toml and envs/constraints.txt.

Run it after changing either:  python envs/conda_form.py
"""

import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent


def conda_form() -> str:
    """Return the conda environment file: the project's direct dependencies at the versions of the constraints file."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    constraints = (HERE / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in constraints if "==" in line)
    pinned = {name.lower().replace("_", "-"): version for name, version in pinned.items()}
    names = [re.split(r"[<>=]", dependency)[0].lower() for dependency in project["dependencies"]]
    lines = [
        "# Written by envs/conda_form.py from pyproject.toml and constraints.txt; for `snakemake --sdm conda`.",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        "  - python=3.12",
        "  - pip",
        "  - pip:",
        *(f"      - {name}=={pinned[name]}" for name in sorted(names)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "mosaicbench.yaml").write_text(conda_form())
