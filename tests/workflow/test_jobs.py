"""Descriptions of jobs of fits: what a rule or a person may write, and one message for each mistake in it."""

import io
import json

import pytest

from mosaicbench import cli
from mosaicbench.errors import UserError
from mosaicbench.workflow import jobs

RUN = {
    "dataset": "d",
    "scenario": "s",
    "run": "mine",
    "method": "ridge",
    "hyperparameters": {},
    "outputs": ["a", "b"],
}
SEEDS = [
    {"seed": seed, "train": f"{seed}/train.h5mu", "query": f"{seed}/query.h5mu"} for seed in (0, 1)
]
JOB = {"runs": [RUN], "seeds": SEEDS, "limits": {"minutes": 5, "memory_mb": 100}}


@pytest.mark.parametrize("given_as", ["text", "file", "stdin"])
def test_a_description_is_read_wherever_it_is(tmp_path, monkeypatch, given_as):
    text = json.dumps(JOB)
    (tmp_path / "job.json").write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    job = jobs.described({"text": text, "file": str(tmp_path / "job.json"), "stdin": "-"}[given_as])
    assert job == JOB | {"runs": [RUN | {"module": "mosaicbench.methods.linear"}]}


def test_without_limits_there_are_none():
    assert jobs.described(json.dumps(JOB | {"limits": {"minutes": 5}}))["limits"] == {
        "minutes": 5,
        "memory_mb": float("inf"),
    }


def without(entry, key):
    return {name: value for name, value in entry.items() if name != key}


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("absent.json", "not readable as the description of a job.*absent.json"),
        ('{"runs": [', "not readable as the description of a job"),
        (JOB | {"seed": 0}, "a job has no key 'seed'; it has limits, runs, seeds"),
        (
            JOB | {"limits": {"minuts": 5}},
            "limits have no key 'minuts'; they have minutes, memory_mb",
        ),
        (without(JOB, "seeds"), "a job needs 'seeds'"),
        (JOB | {"runs": []}, "a job needs 'runs'"),
        (JOB | {"runs": [without(RUN, "dataset")]}, r"runs\[0\] lacks the key 'dataset'"),
        (
            JOB | {"seeds": [SEEDS[0], without(SEEDS[1], "query")]},
            r"seeds\[1\] lacks the key 'query'",
        ),
        (
            JOB | {"runs": [RUN | {"outputs": ["a"]}]},
            r"runs\[0\] needs as many outputs as there are seeds, 2",
        ),
        (
            JOB | {"runs": [RUN | {"tuned": ["a"]}]},
            r"runs\[0\] needs as many files of tuned settings as there are seeds, 2",
        ),
        (JOB | {"runs": [RUN | {"method": "rigde"}]}, "'rigde'; did you mean 'ridge'"),
    ],
)
def test_a_wrong_description_ends_in_one_message(description, message):
    with pytest.raises(UserError, match=message):
        jobs.described(description if isinstance(description, str) else json.dumps(description))


def test_a_file_with_anything_else_is_refused(tmp_path):
    (tmp_path / "runs.json").write_text(json.dumps([RUN]))
    with pytest.raises(UserError, match="a job is a JSON object"):
        jobs.described(str(tmp_path / "runs.json"))


@pytest.fixture
def asked(monkeypatch):
    """Return the keywords with which the command is called, where nothing is fitted."""
    calls = []
    monkeypatch.setattr("mosaicbench.commands.fit.main", lambda **keywords: calls.append(keywords))
    monkeypatch.setenv("MOSAICBENCH_CHECKPOINT_SECONDS", "7")
    return calls


def test_options_describe_a_single_run(asked):
    files = ["--train", "t", "--query", "q", "--output", "o"]
    cli.main(
        [
            "fit",
            "--method",
            "ridge",
            *files,
            "--identity",
            '{"dataset": "d", "seed": 3}',
            "--max-minutes",
            "2",
        ]
    )
    names = {"dataset": "d", "scenario": "unnamed", "run": "ridge", "method": "ridge"}
    run = names | {"module": "mosaicbench.methods.linear", "hyperparameters": {}, "outputs": ["o"]}
    assert asked == [
        {
            "runs": [run],
            "seeds": [{"seed": 3, "train": "t", "query": "q", "solution": None}],
            "limits": {"minutes": 2, "memory_mb": float("inf")},
            "checkpoint_seconds": 7,
        }
    ]


def test_a_job_of_an_attempt_has_what_is_usable_of_its_grant(asked, tmp_path):
    outputs = [tmp_path / name for name in ("a", "b")]
    for output in outputs:
        output.mkdir()
        (output / "run.json").write_text('{"status": "ok"}')
    job = JOB | {"runs": [RUN | {"outputs": list(map(str, outputs))}]}
    cli.main(
        [
            "fit",
            json.dumps(job),
            "--attempt",
            "1",
            "--granted-mb",
            "1060",
            "--granted-minutes",
            "12",
        ]
    )
    assert asked[0]["usable"] == {"memory_mb": 60, "minutes": 7}
    assert asked[0]["limits"] == JOB["limits"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "ridge", "--train", "t"], "a single run needs --query, --output"),
        (
            [],
            "a single run needs --method, --train, --query, --output; or give the description of a job",
        ),
        ([json.dumps(JOB), "--attempt", "1"], "--attempt needs --granted-mb and --granted-minutes"),
    ],
)
def test_a_missing_option_is_one_message(asked, options, message):
    with pytest.raises(SystemExit, match=message):
        cli.main(["fit", *options])
    assert not asked
