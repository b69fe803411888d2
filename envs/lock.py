"""Write envs/constraints.txt: one version of every package for each Python and platform, as uv resolves pyproject.toml.

Run it after changing pyproject.toml or envs/held.txt:  make lock
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# What torch brings for one kind of machine only: its own build names the versions.
OF_A_BUILD = ("cuda-", "nvidia-", "triton")
FOR_EVERY_BUILD = ("nvidia-ml-py",)  # Python only, it asks the driver where there is one
HEADER = """\
# Written by `make lock` (uv) from pyproject.toml and held.txt. One set of versions that work together, for Python 3.11 to 3.14
# on Linux, macOS and Windows, on CPU and GPU machines alike (torch carries no "+cpu": pip takes the build that the machine's
# index offers). Where a library's newest wants Python 3.12, there are two lines. Tried: docs/architecture.md, "What libraries
# do". Use: pip install -c envs/constraints.txt -e ".[dev,docs,slurm]"   (with the wrapped packages: ".[dev,docs,slurm,peers]")
"""


def resolved() -> str:
    """Return what uv makes of pyproject.toml: a line per package, with a marker where its version depends on the machine."""
    words = [
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--upgrade",
        "--python-version",
        "3.11",
        "--all-extras",
    ]
    words += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command = [
        sys.executable,
        "-m",
        "uv",
        *words,
        "--constraint",
        str(HERE / "held.txt"),
        str(HERE.parent / "pyproject.toml"),
    ]
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True
    ).stdout  # what uv refuses, it says itself


def kept(lines: list[str]) -> list[str]:
    """Return the lines that hold on every machine, without those of one build of torch.

    Raises
    ------
    ValueError
        For a line that is no version of a package, such as an address.
    """
    found = []
    for line in lines:
        if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+( ; [^@:/]+)?", line):
            raise ValueError(f"uv wrote a line that is no version: {line}")
        if not line.startswith(OF_A_BUILD) or line.startswith(FOR_EVERY_BUILD):
            found.append(line)
    return found


if __name__ == "__main__":
    (HERE / "constraints.txt").write_text(HEADER + "\n".join(kept(resolved().splitlines())) + "\n")
