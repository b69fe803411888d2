# What the rules of fits need to know.
FILES_OF_FIT = expand(f"{FIT}/{{file}}", file=layout.FILES_OF_FIT, allow_missing=True)


def job_of_fits(wildcards, runs, seeds):
    """What one job is told to fit, as src/mosaicbench/workflow/jobs.py describes it; scheduling is no part of it."""
    of_split = names_of_split(wildcards)
    parts = ["train", "query", "solution"] if read_solution(runs) else ["train", "query"]
    return as_json(
        {
            "runs": [
                {
                    "dataset": wildcards.dataset,
                    "scenario": wildcards.scenario,
                    "run": run,
                    "method": bench.runs[run].method,
                    "hyperparameters": bench.runs[run].hyperparameters,
                    "outputs": [RESULTS.fit(*of_split, run, seed) for seed in seeds],
                }
                | kept_model(wildcards.dataset, run, seeds)
                | tuned_settings(of_split, run, seeds)
                for run in runs
            ],
            "seeds": [
                {"seed": seed}
                | {part: f"{RESULTS.split(*of_split, seed)}/{part}.h5mu" for part in parts}
                for seed in seeds
            ],
            "limits": bench.limits,
        }
    )


def kept_model(dataset, run, seeds):
    """What a job says of a run whose models are kept; nothing of others, so that their jobs stay the same."""
    if run in bench.kept:
        which = {"keep": True}
    elif run in bench.candidates and bench.seeds[0] in seeds:
        which = {"candidate": bench.seeds[0]}
    else:
        return {}
    return which | {
        "licence": catalog.card("datasets", bench.datasets[dataset]["loader"])["licence"]
    }


def job_of_one_seed(wildcards):
    return job_of_fits(wildcards, [wildcards.run], [int(wildcards.seed)])


def job_of_all_seeds(wildcards):
    return job_of_fits(wildcards, [wildcards.run], bench.seeds)


def job_of_runs(runs):
    """Return a function of the wildcards of a split: all seeds of these runs."""
    return lambda wildcards: job_of_fits(wildcards, runs, bench.seeds)


def code_of_method(wildcards):
    return code_of_fits([wildcards.run])


def code_of_fits(runs):
    methods = {bench.runs[run].method for run in runs}
    return code_of_command("fit", *(catalog.module("methods", name) for name in sorted(methods)))


def solutions_if_positive_control(wildcards):
    return files_of_splits("solution.h5mu") if read_solution([wildcards.run]) else []


def read_solution(runs):
    """Whether one of the runs is a positive control."""
    return any(
        "solution" in catalog.card("methods", bench.runs[run].method)["inputs"] for run in runs
    )


def outputs_of_fits(files):
    """With `keep_imputed: false`, Snakemake deletes imputed values when the last job that reads them is done."""
    keep = bench.config["keep_imputed"]
    return [file if keep or Path(file).name != "imputed.h5mu" else temp(file) for file in files]


def runs_of_kinds(*kinds):
    """The runs that are fitted here, by the kind of their method."""
    fitted = [run for run in bench.runs.values() if run.method != catalog.EXTERNAL]
    return [run.name for run in fitted if catalog.card("methods", run.method)["kind"] in kinds]


def fitted_alone(*kinds):
    """The runs of these kinds that no other runs are fitted with."""
    together = {run for runs in bench.fitted_together.values() for run in runs}
    return [run for run in runs_of_kinds(*kinds) if run not in together]


def runs_from_elsewhere():
    return [run.name for run in bench.runs.values() if run.method == catalog.EXTERNAL]


def adopted_files(wildcards):
    """The files of a run that was computed elsewhere, by part, of each seed."""
    stanza = bench.runs[wildcards.run].hyperparameters
    return external.files(wildcards.run, stanza, *names_of_split(wildcards), bench.seeds)


def files_from_elsewhere(wildcards):
    return sorted({file for parts in adopted_files(wildcards) for file in parts.values()})


def job_of_adoption(wildcards):
    seeds = [
        {"seed": seed, "split": split, "output": output} | files
        for seed, split, output, files in zip(
            bench.seeds,
            folders_of_splits(wildcards),
            folders_of_runs(wildcards),
            adopted_files(wildcards),
            strict=True,
        )
    ]
    return as_json(
        {name: wildcards[name] for name in ("dataset", "scenario", "run")} | {"seeds": seeds}
    )
