"""Environments, README and workflows of the host agree with the code."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY
from packaging.requirements import Requirement
from packaging.version import Version

from mosaicbench.catalog import catalog

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (REPOSITORY / "envs/constraints.txt").read_text().splitlines()
EXTRAS = PROJECT["optional-dependencies"]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
SYSTEMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
MACHINES = []
for python in ("3.11", "3.12", "3.13", "3.14"):
    for system, machine in SYSTEMS:
        versions = {"python_version": python, "python_full_version": f"{python}.2"}
        MACHINES.append(versions | {"sys_platform": system, "platform_machine": machine})


def name_of(requirement):
    return re.split(r"[<>=\[]", requirement)[0].strip().lower().replace("_", "-")


def module_of(path):
    """Return a script of the project as a module."""
    spec = importlib.util.spec_from_file_location(path, REPOSITORY / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(lines, machine=None):
    """Return name -> version of the lines for a machine, a dict of the markers' words (None: this one)."""
    found = {}
    for line in lines:
        requirement = Requirement(line) if line and not line.startswith("#") else None
        if requirement and (requirement.marker is None or requirement.marker.evaluate(machine)):
            assert name_of(requirement.name) not in found, f"two versions of {requirement.name}"
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            found[name_of(requirement.name)] = pin.version
    return found


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "-".join(machine.values()))
def test_each_direct_dependency_has_one_version_that_the_bounds_allow(machine):
    pinned = pins(CONSTRAINTS, machine)
    for requirement in map(Requirement, PROJECT["dependencies"] + sum(EXTRAS.values(), [])):
        assert requirement.specifier.contains(pinned[name_of(requirement.name)]), requirement
    held_back = (REPOSITORY / "envs/held.txt").read_text().splitlines()
    assert pins(held_back, machine).items() <= pinned.items(), "run: make lock"


def test_the_oldest_set_is_the_lower_bounds():
    oldest = pins((REPOSITORY / "envs/oldest.txt").read_text().splitlines())
    apart = EXTRAS["docs"] + EXTRAS["bench"] + EXTRAS["slurm"]
    named = PROJECT["dependencies"] + sum(EXTRAS.values(), [])
    for requirement in [Requirement(line) for line in named if line not in apart]:
        (bound,) = [part.version for part in requirement.specifier if part.operator == ">="]
        assert Version(oldest[name_of(requirement.name)]) == Version(bound), requirement


def test_constraints_serve_cpu_and_gpu_machines_alike():
    pinned = [line for line in CONSTRAINTS if line and not line.startswith("#")]
    pin = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+( ; [^@:/]+)?")
    assert all(map(pin.fullmatch, pinned))
    of_gpus = {
        name for name in map(name_of, pinned) if name.startswith(("nvidia", "triton", "cuda"))
    }
    assert of_gpus <= {"nvidia-ml-py"}  # Python only; it asks the driver if there is one


@pytest.mark.parametrize(
    "name", [name for name, card in catalog.cards("methods").items() if "wraps" in card]
)
def test_a_cards_version_is_pinned_and_its_environment_can_run_a_fit(name):
    card = catalog.card("methods", name)
    package = card["wraps"]["package"]
    if "environment" in card:
        lines = (REPOSITORY / f"envs/peers/{card['environment']}.txt").read_text().splitlines()
        together, alone = module_of("envs/build.py").parted("\n".join(lines))
        pinned = dict(line.removesuffix("  # no-deps").split("==") for line in together + alone)
        assert len(pinned) == len(together + alone) == sum(line[0] != "#" for line in lines)
        assert pinned[package] == card["wraps"]["version"]
        needed = "anndata h5py mudata numpy pandas psutil scipy torch tqdm"
        assert set(pinned) >= set(needed.split())
    elif card["wraps"]["module"] != "R" and name != "maxfuse":  # maxfuse: its licence
        versions = {pins(CONSTRAINTS, machine)[name_of(package)] for machine in MACHINES}
        assert card["wraps"]["version"] in versions


def interpreter(path, version):
    """Write a script that answers like a Python of this version; "" is one that cannot make environments."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n" if version else "#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Return the script that builds environments, run by Python 3.11.7 and without other Pythons on the path."""
    module = module_of("envs/build.py")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(module.VARIABLE, raising=False)
    monkeypatch.setattr(module.sys, "executable", interpreter(tmp_path / "own", "3.11.7"))
    return module


@pytest.mark.parametrize("versions", ["", ">=3.12", ">=3.12,<3.14", "<3.13"])
def test_an_environments_python_is_the_first_that_its_file_allows(
    versions, build, tmp_path, monkeypatch
):
    interpreter(tmp_path / "bin/python3.12", "")
    later = interpreter(tmp_path / "bin/python3.13", "3.13.1")
    comment = f"# requires-python: {versions}\n" if versions else ""
    allowed, own = build.allowed(f"# Of a peer.\n{comment}a==1\n"), str(tmp_path / "own")
    needs_other = versions.startswith(">=")
    assert build.chosen("peer.txt", allowed) == (later if needs_other else own)
    named = interpreter(tmp_path / "named", "3.12.9")
    monkeypatch.setenv(build.VARIABLE, f"{interpreter(tmp_path / 'old', '3.8.2')}:{named}")
    assert build.chosen("peer.txt", allowed) == (named if needs_other else own)
    assert PROJECT["requires-python"] == build.ANY


def test_without_a_python_that_the_file_allows_all_tried_ones_are_named(
    build, tmp_path, monkeypatch
):
    monkeypatch.setenv(build.VARIABLE, str(tmp_path / "nothing"))
    interpreter(tmp_path / "bin/python3.12", "")
    with pytest.raises(SystemExit) as refused:
        build.chosen("envs/peers/peer.txt", build.allowed("# requires-python: >=3.12\n"))
    tried = ("nothing (does not run", "own (Python 3.11.7)", "python3.12 (does not run")
    for part in ("envs/peers/peer.txt", *tried, "uv python install 3.12", build.VARIABLE):
        assert part in str(refused.value)


def test_packages_pinned_without_dependencies_are_installed_last_and_alone(
    build, tmp_path, monkeypatch
):
    pinned, folder, commands = tmp_path / "peer.txt", tmp_path / "made", []
    pinned.write_text("# Of a peer.\na==1\nb==2  # no-deps\nc==3\n")
    folder.mkdir()
    monkeypatch.setattr(build, "chosen", lambda *_: "python3")

    def noted(command, **_):
        last = Path(command[-1]).read_text() if "--requirement" in command else command[-1]
        commands.append((command[1:-1], last))

    monkeypatch.setattr(build.subprocess, "run", noted)
    build.main(str(pinned), str(folder))
    venv, first, last = commands
    assert venv == (["-m", "venv", "--clear"], str(folder))
    assert first[1].split() == ["a==1", "c==3"] and "--no-deps" not in first[0]
    assert last[1].split("#")[0].split() == ["b==2"] and "--no-deps" in last[0]


def test_a_python_of_uv_is_used_if_no_other_fits(build, tmp_path):
    managed = interpreter(tmp_path / "managed", "3.13.2")
    script = f'#!/bin/sh\n[ "$1 $2" = "python find" ] && echo {managed}\n'
    (tmp_path / "bin/uv").write_text(script)
    (tmp_path / "bin/uv").chmod(0o755)
    assert build.chosen("peer.txt", build.allowed("# requires-python: >=3.12\n")) == managed


def test_the_conda_form_is_in_step():
    fresh = module_of("envs/conda_form.py").conda_form()
    assert (REPOSITORY / "envs/mosaicbench.yaml").read_text() == fresh, "run: make lock"


def test_the_readme_is_short_and_its_commands_exist():
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.encode()) <= 7000
    assert set(re.findall(r"^make ([\w-]+)", text, re.MULTILINE)) <= TARGETS


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem
)
def test_workflows_of_the_host_run_targets_of_the_makefile(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    commands = set()
    for job in workflow["jobs"].values():
        assert "timeout-minutes" in job
        commands |= {step["run"].removeprefix("make ") for step in job["steps"] if "run" in step}
    assert commands and commands <= TARGETS
