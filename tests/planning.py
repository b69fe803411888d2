"""Snakemake where it starts no job, in a process forked from one that has imported it: half the time of a new process.

Run as a program, it is that process: a line of JSON asks for a run, a line of JSON answers with the exit status.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# What Snakemake imports on its way to a plan; nothing of this project, which each run takes from its own copy.
IMPORTED = ("snakemake.cli", "jsonschema", "requests", "docutils.core", "jinja2", "pygments", "smart_open", "yte", "PIL.Image")


def snakemake(*arguments: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Run `python -m snakemake` with these arguments in a folder."""
    with tempfile.TemporaryDirectory() as place:
        streams = [str(Path(place, name)) for name in ("stdout", "stderr")]
        asked = {"arguments": list(map(str, arguments)), "folder": str(folder), "environment": environment, "streams": streams}
        server = _server()
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        status = json.loads(server.stdout.readline())
        stdout, stderr = (Path(stream).read_text() for stream in streams)
    return subprocess.CompletedProcess(["snakemake", *asked["arguments"]], status, stdout, stderr)


@cache
def _server() -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    server = subprocess.Popen([sys.executable, __file__], env=environment, **pipes)
    atexit.register(server.__exit__, None, None, None)  # closes its pipes, which ends it, and waits
    return server


def _run(arguments: list[str], folder: str, environment: dict[str, str], streams: list[str]) -> None:
    """Become a process that was started with this environment in this folder; does not return."""
    for number, stream in enumerate(streams, 1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["snakemake", *arguments]
    importlib.import_module("snakemake.cli").main()


def _serve() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    assert not any(name.split(".")[0] == "mosaicbench" for name in sys.modules)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _run(**json.loads(line))
            raise SystemExit
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])), flush=True)


if __name__ == "__main__":
    _serve()
