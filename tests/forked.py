"""`python -m` in a process that is forked from one with all imports, and not in a new one: seconds are saved.

Run as a program, it is that process. Who connects lends it three streams and tells it what to run, and is told the exit status.
It imports nothing of this project, which each run takes from its own copy.
"""

import ast
import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

# What Snakemake imports on its way to a plan, and what the jobs import that it starts.
IMPORTED = {
    "snakemake": "snakemake.cli jsonschema requests docutils.core docutils.parsers.rst.states jinja2 pygments.formatters.html"
    " pygments.lexers smart_open yte PIL.Image snakemake.profiles snakemake.report.html_reporter snakemake.storage",
    "mosaicbench": "torch._dynamo mudata numba psutil jinja2 jsonschema sklearn.neighbors sklearn.linear_model scanpy umap"
    " matplotlib.pyplot matplotlib.backends.backend_svg PIL.JpegImagePlugin pandas.io.formats.csvs",
}
# Written into a copy of the project as `src/sitecustomize.py`, it has jobs of that copy run in forked processes, but not those
# that SLURM starts: who kills such a job must kill what it does.
OF_A_COPY = f"""import os, sys
if sys.orig_argv[1:3] == ["-m", "mosaicbench"] and "FORKED_FROM" in os.environ and "SLURM_JOB_ID" not in os.environ:
    sys.path.append({str(Path(__file__).parent)!r})
    import forked
    job = "mosaicbench", sys.orig_argv[3:], os.getcwd(), dict(os.environ)
    os._exit(forked.ask(os.environ["FORKED_FROM"], (0, 1, 2), *job))
"""


def snakemake(*arguments, folder, environment):
    """Run `python -m snakemake` with these arguments in a folder; jobs of a copy that has ``OF_A_COPY`` are forked, too."""
    environment = environment | {"FORKED_FROM": address("mosaicbench")}
    return run("snakemake", *arguments, folder=folder, environment=environment)


def run(module, *arguments, folder, environment):
    """Run `python -m` with this module and these arguments in a folder."""
    words = list(map(str, arguments))
    place = address(module if module in IMPORTED else "mosaicbench")
    with (
        open(os.devnull) as nothing,
        tempfile.TemporaryFile("w+") as stdout,
        tempfile.TemporaryFile("w+") as stderr,
    ):
        streams = [stream.fileno() for stream in (nothing, stdout, stderr)]
        status = ask(place, streams, module, words, str(folder), environment)
        said = [stream.seek(0) or stream.read() for stream in (stdout, stderr)]
    return subprocess.CompletedProcess([module, *words], status, *said)


def start():
    """Start the processes that fork, for this process and all that it starts; they import when first asked, and end with it."""
    place = tempfile.TemporaryDirectory()
    atexit.register(place.cleanup)
    os.environ["FORKED_IN"] = place.name
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for module in IMPORTED:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, __file__, module, address(module)], env=environment, **pipes
        )
        process.stdout.readline()  # it listens
        atexit.register(
            process.__exit__, None, None, None
        )  # closes its pipes, which ends it, and waits


def address(module):
    """Return where the process listens that forks runs of a module."""
    return f"{os.environ['FORKED_IN']}/{module}"


def ask(place, streams, *job):
    """Have a server run a job: module, arguments, folder and environment; return its exit status."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(place)
        socket.send_fds(asking, [b"0"], streams)
        asking.sendall(json.dumps(job).encode())
        asking.shutdown(socket.SHUT_WR)
        return int(asking.makefile().read())


def _serve(server, place):
    """Fork a process for each that connects, until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as selector:
        listening.bind(place)
        listening.listen()
        for source in (listening, sys.stdin):
            selector.register(source, selectors.EVENT_READ)
        print("listens", flush=True)
        while [key.fileobj for key, _ in selector.select()] == [listening]:
            asking, _ = listening.accept()
            with asking:
                streams = socket.recv_fds(asking, 1, 3)[1]
                asked = json.loads(asking.makefile().read())
                _import(server)
                if os.fork() == 0:
                    _answer(asking, streams, *asked)
                for stream in streams:
                    os.close(stream)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


@cache
def _import(server):
    if server == "mosaicbench":
        compiled = importlib.import_module("compiled")
        compiled.keep()
        compiled.remember_parameters()
        del sys.modules["compiled"]  # a copy of the tests has its own
    for name in IMPORTED[server].split():
        importlib.import_module(name)
    if server == "snakemake":
        sys.modules["snakemake.cli"].get_argument_parser()  # looks for all plugins
    _keep_trees()
    assert not any(name.split(".")[0] == "mosaicbench" for name in sys.modules)
    gc.freeze()  # a forked process need not look through all this again


def _keep_trees():
    """Have files with cards parsed once, as they are now: each start of Snakemake and each job reads some 170 of them."""
    files, parse = Path(__file__).parents[1].glob("src/mosaicbench/**/*.py"), ast.parse
    kept = {text: parse(text) for text in (file.read_text(encoding="utf-8") for file in files)}

    def parsed(source, *more, **named):
        tree = (
            kept.get(source) if named.keys() == {"filename"} else None
        )  # of the catalog, which changes no tree
        return tree or parse(source, *more, **named)

    ast.parse = parsed


def _answer(asking, *job):
    """Run a job in a forked process, wait for it and tell its exit status; does not return."""
    process = os.fork()
    if process == 0:
        asking.close()
        _become(*job)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with suppress(BrokenPipeError):  # who asked was killed
        asking.sendall(str(status).encode())
    os._exit(0)


def _become(streams, module, arguments, folder, environment):
    """Do what a process does that was started with `python -m`, and end without taking down what was imported."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    if not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # waits for threads, as an orderly end does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
