"""The command line: one message for a mistake, no heavy import for a light command."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from mosaicbench import cli
from mosaicbench.catalog import catalog
from mosaicbench.commands import arguments
from mosaicbench.config import jobs, settings
from mosaicbench.workflow.layout import Results


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["split", "--config", "absent.json", "--split", "d/paired"], "absent.json: .*benchmark"),
        (["run", "--configfile", "my.yaml"], "my.yaml: not valid YAML"),
        (["run", "--configfile", "absent.yaml"], "absent.yaml: no such file"),
        (["run", "results/report.html"], ".*mosaicbench run -- results/report.html"),
    ],
)
def test_a_users_mistake_ends_in_one_message(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text("datasets: {a: [")
    with pytest.raises(SystemExit, match=f"^mosaicbench {words[0]}: {message}"):
        cli.main(words)


@pytest.mark.parametrize(
    ("words", "configs", "passed_on"),
    [
        ("", [], []),
        ("--cores 3 my.yml -- a.tsv -n", ["my.yml"], ["a.tsv", "-n"]),
        ("--configfile my.yml --cores 3 -- a.tsv", ["my.yml"], ["a.tsv"]),
        ("-- -n --workflow-profile my.yaml", [], ["-n", "--workflow-profile", "my.yaml"]),
    ],
)
def test_snakemake_gets_the_config_and_what_follows_two_dashes(
    tmp_path, monkeypatch, words, configs, passed_on
):
    """As Snakemake's own parser reads them."""
    from snakemake.cli import get_argument_parser

    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yml").write_text("datasets: {simulated: }")
    started = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.extend(command))
    cli.main(["run", *words.split()])
    read = get_argument_parser(profiles=[]).parse_args(started[3:])
    assert list(map(str, read.configfile or [])) == configs
    assert "--cores" not in words or read.cores == 3
    assert [word for word in passed_on if word.endswith(".tsv")] == sorted(read.targets)
    assert read.dryrun == ("-n" in passed_on) and str(read.snakefile).endswith("Snakefile")


def test_list_shows_every_card(capsys):
    cli.main(["list"])
    shown = capsys.readouterr().out
    for room in catalog.ROOMS:
        for name in catalog.names(room):
            assert name in shown


def test_a_reader_that_goes_away_ends_a_command_quietly():
    """As `head` does: everything that is printed meets a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "mosaicbench", "list"]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("cli config.settings commands.fit", "numpy pandas torch scanpy sklearn matplotlib"),
        ("commands.score", "torch scanpy matplotlib"),
        ("commands.layout", "torch"),
        (
            "commands.tabulate commands.draw commands.report commands.compare",
            "torch scanpy anndata",
        ),
    ],
)
def test_a_verb_imports_only_what_it_needs(modules, absent):
    imported = ", ".join(f"mosaicbench.{module}" for module in modules.split())
    told = "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    environment = {"PYTHONPATH": str(REPOSITORY / "src"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", f"import json, sys, {imported}; {told}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not set(absent.split()) & set(json.loads(done.stdout))


def test_every_help_has_an_example_that_can_be_typed():
    for name, (_, example, *_) in arguments.commands().items():
        assert vars(arguments.parser().parse_args(shlex.split(example)))["command"] == name


def test_without_a_command_all_are_shown_those_for_users_first(capsys):
    cli.main([])
    shown = capsys.readouterr().out
    steps = [name for name in arguments.commands() if name not in arguments.FOR_USERS]
    places = [shown.index(f"\n  {name} ") for name in (*arguments.FOR_USERS, *steps)]
    assert places == sorted(places)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_commands_and_names(shell, capsys):
    cli.main(["completion", shell])
    script = capsys.readouterr().out
    assert all(name in script for name in ("integrate", "min-fraction", "mmvaepp"))


@pytest.mark.parametrize("typed", ["fetsh", "FETCH"])
def test_a_command_that_there_is_not_names_the_nearest(typed, capsys):
    with pytest.raises(SystemExit):
        cli.main([typed])
    assert "did you mean 'fetch'?" in capsys.readouterr().err


CONFIG = {
    "datasets": {"simulated": {"cells": 100}},
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": {"mvae": None, "cca": None},
}


@pytest.fixture
def recorded_config(tmp_path):
    """Return the recorded config of a benchmark without any other file."""
    jobs.record(settings.load(CONFIG), Results(str(tmp_path)))
    return tmp_path / "config.json"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("score", "--split, .*--latents"),
        ("fit --split simulated/paired --run mvae --seed 9", "no seed 9, only 0, 1, 2"),
        ("read_external --split simulated/paired --run mvae", "no external run; .*fit"),
        ("split_inner --split simulated/paired --seed 0", "no `tuning`"),
        ("tune --split simulated/paired --run mvae --seed 0", "not tuned"),
    ],
)
def test_a_step_that_the_config_does_not_have_is_refused(recorded_config, words, message):
    command, *options = words.split()
    with pytest.raises(SystemExit, match=f"mosaicbench {command}: .*{message}"):
        cli.main([command, "--config", str(recorded_config), *options])


@pytest.mark.parametrize("words", ["tune --run mvae --seed 0 1", "split_inner", "read_external"])
def test_a_step_of_one_run_and_seed_takes_no_others(words, capsys):
    with pytest.raises(SystemExit):
        cli.main([*words.split(), "--split", "simulated/paired"])
    assert re.search("--seed|--run|arguments: 1", capsys.readouterr().err)
