"""What ships beside the code is in step with it."""

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
MACHINES = [
    {
        "python_version": python,
        "python_full_version": f"{python}.2",
        "sys_platform": system,
        "platform_machine": machine,
    }
    for python in ("3.11", "3.12", "3.13", "3.14")
    for system, machine in (
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("win32", "AMD64"),
    )
]


def name_of(requirement):
    return re.split(r"[<>=\[]", requirement)[0].strip().lower().replace("_", "-")


def module_of(path):
    """Return a script of the project as a module."""
    spec = importlib.util.spec_from_file_location(path, REPOSITORY / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(lines, machine=None):
    """Return name -> version of the lines that hold on a machine, a dict of the markers' words (None: this one)."""
    found = {}
    for line in lines:
        requirement = Requirement(line) if line and not line.startswith("#") else None
        if requirement and (requirement.marker is None or requirement.marker.evaluate(machine)):
            assert name_of(requirement.name) not in found, f"two versions of {requirement.name}"
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            found[name_of(requirement.name)] = pin.version
    return found


@pytest.mark.parametrize(
    "machine", MACHINES, ids=lambda machine: "-".join(list(machine.values())[1:])
)
def test_on_every_machine_each_direct_dependency_has_one_version_that_the_bounds_allow(machine):
    held = pins(CONSTRAINTS, machine)
    for requirement in map(Requirement, PROJECT["dependencies"] + sum(EXTRAS.values(), [])):
        assert requirement.specifier.contains(held[name_of(requirement.name)]), requirement


def test_what_is_held_back_is_in_the_constraints():
    lines = (REPOSITORY / "envs/held.txt").read_text().splitlines()
    for machine in MACHINES:
        assert pins(lines, machine).items() <= pins(CONSTRAINTS, machine).items(), "run: make lock"


def test_the_oldest_set_is_the_lower_bounds():
    """All that this project names stands there at its lower bound, but for what is installed apart from the tests of it."""
    oldest = pins((REPOSITORY / "envs/oldest.txt").read_text().splitlines())
    apart = EXTRAS["docs"] + EXTRAS["bench"] + EXTRAS["slurm"]
    named = PROJECT["dependencies"] + sum(EXTRAS.values(), [])
    for requirement in [Requirement(line) for line in named if line not in apart]:
        (bound,) = [part.version for part in requirement.specifier if part.operator == ">="]
        assert Version(oldest[name_of(requirement.name)]) == Version(bound), requirement


def test_constraints_serve_cpu_and_gpu_machines_alike():
    pinned = [line for line in CONSTRAINTS if line and not line.startswith("#")]
    assert all(
        re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+( ; [^@:/]+)?", line) for line in pinned
    )
    bound = {name for name in map(name_of, pinned) if name.startswith(("nvidia", "triton", "cuda"))}
    assert bound <= {"nvidia-ml-py"}  # Python only, it asks the driver where there is one


def test_the_lock_leaves_out_what_belongs_to_one_build_of_torch():
    lock = module_of("envs/lock.py")
    marked = "numpy==2.4.6 ; python_full_version < '3.12'"
    lines = [
        marked,
        "nvidia-cublas==13.4.1.3 ; sys_platform == 'linux'",
        "nvidia-ml-py==13.6",
        "triton==3.9.0",
        "torch==2.13.0",
    ]
    assert lock.kept(lines) == [marked, "nvidia-ml-py==13.6", "torch==2.13.0"]
    with pytest.raises(ValueError, match="no version: --index-url"):
        lock.kept(["--index-url somewhere"])


@pytest.mark.parametrize(
    "name", [name for name, card in catalog.cards("methods").items() if "wraps" in card]
)
def test_a_cards_version_is_one_that_is_installed(name):
    """Of packages in the environment of the benchmark; those with one of their own are pinned there (the next test)."""
    card = catalog.card("methods", name)
    package = name_of(card["wraps"]["package"])
    if (
        "environment" not in card and card["wraps"]["module"] != "R" and name != "maxfuse"
    ):  # maxfuse: its licence
        assert card["wraps"]["version"] in {
            pins(CONSTRAINTS, machine)[package] for machine in MACHINES
        }


@pytest.mark.parametrize(
    "name", [name for name, card in catalog.cards("methods").items() if "environment" in card]
)
def test_a_peers_own_environment_is_pinned_and_can_run_a_fit(name):
    card = catalog.card("methods", name)
    lines = (REPOSITORY / f"envs/peers/{card['environment']}.txt").read_text().splitlines()
    together, alone = module_of("envs/build.py").parted("\n".join(lines))
    pinned = dict(line.removesuffix("  # no-deps").split("==") for line in together + alone)
    assert len(pinned) == len(together + alone) == sum(not line.startswith("#") for line in lines)
    assert all(re.fullmatch(r"[A-Za-z0-9.!]+", version) for version in pinned.values())
    assert pinned[card["wraps"]["package"]] == card["wraps"]["version"]
    assert set(pinned) >= {
        "anndata",
        "h5py",
        "mudata",
        "numpy",
        "pandas",
        "psutil",
        "scipy",
        "torch",
        "tqdm",
    }


def interpreter(path, version):
    """Write a script that answers as a Python of this version would, "" as one that cannot make environments."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n" if version else "#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("versions", ["", ">=3.12", ">=3.12,<3.14", "<3.13"])
def test_an_environments_python_is_the_first_that_its_file_allows(versions, tmp_path, monkeypatch):
    build = module_of("envs/build.py")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(build.VARIABLE, raising=False)
    monkeypatch.setattr(build.sys, "executable", interpreter(tmp_path / "own", "3.11.7"))
    interpreter(
        tmp_path / "bin/python3.12", ""
    )  # a version manager's stand-in, of a Python that is not chosen there
    later = interpreter(tmp_path / "bin/python3.13", "3.13.1")
    allowed = build.allowed(
        f"# Of a peer.\n# requires-python: {versions}\n" if versions else "# Of a peer.\na==1\n"
    )
    assert build.chosen("peer.txt", allowed) == (
        later if versions.startswith(">=") else str(tmp_path / "own")
    )
    named = interpreter(tmp_path / "named", "3.12.9")
    monkeypatch.setenv(build.VARIABLE, f"{interpreter(tmp_path / 'old', '3.8.2')}:{named}")
    assert build.chosen("peer.txt", allowed) == (
        named if versions.startswith(">=") else str(tmp_path / "own")
    )
    assert PROJECT["requires-python"] == build.ANY


def test_an_environments_python_that_is_nowhere_is_named_with_what_to_do(tmp_path, monkeypatch):
    build = module_of("envs/build.py")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv(build.VARIABLE, str(tmp_path / "nothing"))
    monkeypatch.setattr(build.sys, "executable", interpreter(tmp_path / "own", "3.11.7"))
    interpreter(tmp_path / "bin/python3.12", "")
    with pytest.raises(SystemExit) as refused:
        build.chosen("envs/peers/peer.txt", build.allowed("# requires-python: >=3.12\n"))
    said = str(refused.value)
    assert said.startswith("envs/peers/peer.txt needs Python >=3.12, and none was found. Tried: ")
    for part in (
        "nothing (does not run",
        "own (Python 3.11.7)",
        "python3.12 (does not run",
        "uv python install 3.12",
        build.VARIABLE,
    ):
        assert part in said
    assert "leave the methods that need it out of `runs`" in said


def test_absent_pins_are_named(tmp_path):
    with pytest.raises(
        SystemExit, match=r"absent\.txt: no such file; the pins of the peers lie in envs/peers"
    ):
        module_of("envs/build.py").main(str(tmp_path / "absent.txt"), str(tmp_path / "made"))
    assert not (tmp_path / "made").exists()


def test_what_is_pinned_without_its_dependencies_is_installed_last_and_alone(tmp_path, monkeypatch):
    build, done = module_of("envs/build.py"), []
    pins, folder = tmp_path / "peer.txt", tmp_path / "made"
    pins.write_text("# Of a peer.\na==1\nb==2  # no-deps\nc==3\n")
    folder.mkdir()
    monkeypatch.setattr(build, "chosen", lambda *_: "python3")

    def noted(command, **_):
        done.append(
            (
                command[1:-1],
                Path(command[-1]).read_text() if "--requirement" in command else command[-1],
            )
        )

    monkeypatch.setattr(build.subprocess, "run", noted)
    build.main(str(pins), str(folder))
    venv, first, last = done
    assert venv == (["-m", "venv", "--clear"], str(folder))
    assert first[1].split() == ["a==1", "c==3"] and "--no-deps" not in first[0]
    assert last[1].split("#")[0].split() == ["b==2"] and "--no-deps" in last[0]


def test_what_uv_finds_is_taken_where_nothing_else_fits(tmp_path, monkeypatch):
    build = module_of("envs/build.py")
    monkeypatch.setattr(build.sys, "executable", interpreter(tmp_path / "own", "3.11.7"))
    managed = interpreter(tmp_path / "managed", "3.13.2")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(f'#!/bin/sh\n[ "$1 $2" = "python find" ] && echo {managed}\n')
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(build.VARIABLE, raising=False)
    assert build.chosen("peer.txt", build.allowed("# requires-python: >=3.12\n")) == managed


def test_the_conda_form_is_in_step():
    form = module_of("envs/conda_form.py")
    assert (REPOSITORY / "envs/mosaicbench.yaml").read_text() == form.conda_form(), (
        "run: python envs/conda_form.py"
    )


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (REPOSITORY / "README.md").read_text()
    assert text.count("\n") <= 120
    for target in re.findall(r"\]\(([^)#:]+)", text):
        assert (REPOSITORY / target).exists(), target


def test_the_readmes_commands_exist():
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(
        r"^make (\w+)", (REPOSITORY / "README.md").read_text(), flags=re.MULTILINE
    ):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem
)
def test_workflows_of_the_host_say_that_they_are_untried_and_run_what_the_makefile_has(path):
    text = path.read_text()
    assert text.splitlines()[0].startswith("# Untried here")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    commands = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert commands and all(command.removeprefix("make ") in targets for command in commands)
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
