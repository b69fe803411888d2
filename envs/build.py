"""Build the environment of a peer: what its file pins, on a Python that the file allows.

python envs/build.py envs/peers/NAME.txt FOLDER

A file may say on a line of its own which Python it needs, as in ``# requires-python: >=3.12``. The first of these that fits
is taken: the Python that runs this, what MOSAICBENCH_PYTHON names, each python3.N on the path, and what uv finds.

A package whose line ends in ``# no-deps`` is installed after the others, and brings nothing with it: what it imports is pinned
beside it, and what else its metadata asks for is left out.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.specifiers import SpecifierSet

ANY = ">=3.11"  # as pyproject.toml says of this project, whose code runs in each environment
VARIABLE = "MOSAICBENCH_PYTHON"  # one interpreter, or several, apart as the folders of PATH are
ALONE = "# no-deps"
MINORS = range(8, 30)  # of Python 3, looked for on the path
ASK = "import ensurepip, platform, venv; print(platform.python_version())"


def main(pins: str, folder: str) -> None:
    """Make `folder` anew, an environment with what the file `pins` says."""
    if not Path(pins).is_file():
        raise SystemExit(
            f"{pins}: no such file; the pins of the peers lie in envs/peers, one file for each environment"
        )
    python = chosen(pins, allowed(Path(pins).read_text()))
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    pip = [f"{folder}/bin/python", "-m", "pip", "install", "--disable-pip-version-check"]
    together, alone = parted(Path(pins).read_text())
    for number, (lines, options) in enumerate([(together, []), (alone, ["--no-deps"])]):
        if lines:
            file = Path(folder, f"pins-{number}.txt")
            file.write_text("\n".join(lines) + "\n")
            subprocess.run([*pip, *options, "--requirement", str(file)], check=True)


def parted(text: str) -> tuple[list[str], list[str]]:
    """Return the pins of a file: those that bring what they need with them, and those that do not."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not line.endswith(ALONE)], [
        line for line in lines if line.endswith(ALONE)
    ]


def allowed(text: str) -> SpecifierSet:
    """Return the versions of Python that a file of pins allows: where it says nothing, all that the project runs on."""
    found = re.search(r"^# requires-python: (.+)$", text, re.MULTILINE)
    return SpecifierSet(found[1] if found else ANY)


def chosen(pins: str, versions: SpecifierSet) -> str:
    """Return the first interpreter whose version is one of `versions` and that can make environments.

    Raises
    ------
    SystemExit
        When there is none: says which Python is needed, what was tried, and what to do.
    """
    tried = []
    for python in candidates(versions):
        version = version_of(python)
        if version and version in versions:
            return python
        tried.append(
            f"{python} ({f'Python {version}' if version else 'does not run, or lacks the module venv'})"
        )
    oldest = next(f"3.{minor}" for minor in MINORS if f"3.{minor}.99" in versions)
    raise SystemExit(
        f"{pins} needs Python {versions}, and none was found. Tried: {', '.join(tried)}.\n"
        f"Install one, e.g. `uv python install {oldest}`, `conda create -p ~/python{oldest} python={oldest}`, "
        f"`pyenv install {oldest}`, or python{oldest} with python{oldest}-venv of your system. Where it is not on the path as "
        f"python{oldest}, name it: {VARIABLE}=~/python{oldest}/bin/python. Or leave the methods that need it out of `runs` in "
        "your config: no other method does."
    )


def candidates(versions: SpecifierSet) -> Iterator[str]:
    """Yield interpreters in the order in which they are taken; each is looked for only when those before it did not fit."""
    yield sys.executable
    yield from map(os.path.expanduser, filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))
    for minor in MINORS:
        if f"3.{minor}.99" in versions and (python := shutil.which(f"python3.{minor}")):
            yield python
    if uv := shutil.which("uv"):
        asked = [uv, "python", "find", "--no-project", "--no-python-downloads", str(versions)]
        if python := subprocess.run(
            asked, capture_output=True, text=True, check=False
        ).stdout.strip():
            yield python


def version_of(python: str) -> str:
    """Return the version of an interpreter that can make environments, "" where it cannot."""
    try:
        asked = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
