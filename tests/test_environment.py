"""What ships beside the code is in step with it."""

import importlib.util
import re
import tomllib

import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench import catalog, listing

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (REPOSITORY / "envs/constraints.txt").read_text().splitlines()


def name_of(requirement):
    return re.split(r"[<>=\[]", requirement)[0].strip().lower().replace("_", "-")


def test_every_direct_dependency_is_held_by_the_constraints():
    held = {name_of(line) for line in CONSTRAINTS if "==" in line}
    asked = {name_of(d) for d in PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])}
    assert asked <= held, asked - held


def test_constraints_serve_cpu_and_gpu_machines_alike():
    pinned = [line for line in CONSTRAINTS if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line) for line in pinned)
    bound = {name for name in map(name_of, pinned) if name.startswith(("nvidia", "triton", "cuda"))}
    assert bound <= {"nvidia-ml-py"}  # Python only, it asks the driver where there is one


@pytest.mark.parametrize("name", [name for name, card in catalog.cards("methods").items() if "environment" in card])
def test_a_peers_own_environment_is_pinned_and_can_run_a_fit(name):
    card = catalog.card("methods", name)
    lines = (REPOSITORY / f"envs/peers/{card['environment']}.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert all(re.fullmatch(r"[A-Za-z0-9.!]+", version) for version in pinned.values())
    assert pinned[card["wraps"]["package"]] == card["wraps"]["version"]
    assert set(pinned) >= {"anndata", "h5py", "mudata", "numpy", "pandas", "psutil", "scipy", "torch", "tqdm"}


def test_the_conda_form_is_in_step():
    path = REPOSITORY / "envs/conda_form.py"
    spec = importlib.util.spec_from_file_location("conda_form", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (REPOSITORY / "envs/mosaicbench.yaml").read_text() == module.conda_form(), "run: python envs/conda_form.py"


@pytest.mark.parametrize(
    ("page", "table"), [("methods", "methods"), ("peers", "peers"), ("metrics", "metrics"), ("architecture", "imports")]
)
def test_the_tables_of_docs_are_fresh(page, table):
    text = (REPOSITORY / f"docs/{page}.md").read_text()
    assert f"<!-- {table} -->" in text
    assert text == listing.with_fresh_tables(text), f"run: python -m mosaicbench list --into docs/{page}.md"


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (REPOSITORY / "README.md").read_text()
    assert text.count("\n") <= 120
    for target in re.findall(r"\]\(([^)#:]+)", text):
        assert (REPOSITORY / target).exists(), target


def test_the_readmes_commands_exist():
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", (REPOSITORY / "README.md").read_text(), flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("path", sorted((REPOSITORY / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_workflows_of_the_host_say_that_they_are_untried_and_run_what_the_makefile_has(path):
    text = path.read_text()
    assert text.splitlines()[0].startswith("# Untried here")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert commands and all(command.removeprefix("make ") in targets for command in commands)
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
