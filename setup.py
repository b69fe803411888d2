"""A wheel carries the workflow: what stands in the folders of a checkout travels inside the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
CARRIED = (
    "Snakefile",
    "config",
    "docs/results/size.tsv",
    "docs/results/sensitivity.tsv",
    "envs",
    "profiles",
    "workflow",
)
# What jobs import through PYTHONPATH, as they import a checkout's `src`: this package, nothing that is installed beside it.
DOORWAY = '''"""Leads to the package in which this folder lies."""

from pathlib import Path

__path__ = [str(Path(__file__).parents[3])]
exec(Path(__path__[0], "__init__.py").read_text(encoding="utf-8"))
'''
SUFFIXES = {
    "",
    ".def",
    ".json",
    ".py",
    ".rst",
    ".smk",
    ".tsv",
    ".txt",
    ".yaml",
}  # no image that was built for containers


class BuildWithWorkflow(build_py):
    """Build the package, and copy the project's files to where ``mosaicbench.workflow.layout`` looks for them."""

    def run(self) -> None:
        """Copy, unless the package is installed as editable: then it finds them in the checkout."""
        super().run()
        if self.editable_mode:
            return
        project = Path(self.build_lib, "mosaicbench/_project")
        for source in carried():
            (project / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(HERE / source, project / source)
        doorway = project / "src/mosaicbench/__init__.py"
        doorway.parent.mkdir(parents=True, exist_ok=True)
        doorway.write_text(DOORWAY, encoding="utf-8")


def carried() -> list[Path]:
    """Return the paths, relative to the checkout, of the files that a wheel carries."""
    files = [
        file
        for name in CARRIED
        for file in (HERE / name, *(HERE / name).rglob("*"))
        if file.is_file()
    ]
    return sorted(file.relative_to(HERE) for file in files if file.suffix in SUFFIXES)


setup(cmdclass={"build_py": BuildWithWorkflow})
