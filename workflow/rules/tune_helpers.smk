# What the rules of tuning, and the fits of tuned runs, need to know.
INNER = ANY.inner_split(*OF_SPLIT, "{seed}")
TUNING = ANY.tuning(*OF_RUN, "{seed}")
OF_PLACE = ("dataset", "scenario", "run")


def runs_tuned_of_kinds(*kinds):
    return [name for name in runs_of_kinds(*kinds) if bench.runs[name].tuned_from]


def column_of_split(wildcards):
    """The column by which the scenario splits, as words of a command."""
    split = bench.scenarios[wildcards.scenario].get("split")
    return ["--by", split["by"]] if split else []


def job_of_tuning(wildcards):
    """What one search is told to do, as src/mosaicbench/commands/tune.py describes it."""
    run, of_split = bench.runs[wildcards.run], names_of_split(wildcards)
    seed = int(wildcards.seed)
    python = python_of_method(wildcards)
    return as_json(
        {
            "identity": dict(zip(OF_PLACE, names_of_run(wildcards), strict=True))
            | {"method": run.method, "seed": seed},
            "of": run.tuned_from,
            "hyperparameters": run.hyperparameters,
            "split": RESULTS.inner_split(*of_split, seed),
            "output": RESULTS.tuning(*names_of_run(wildcards), seed),
            "limits": bench.limits,
            "python": None if python == "python" else python,
        }
        | {key: bench.tuning[key] for key in ("trials", "objective", "seed")}
    )


def code_of_tuning(wildcards):
    """The search, the method, and the metrics that judge it."""
    objective = bench.tuning["objective"]
    judges = [
        catalog.module("metrics", name)
        for name, card in catalog.cards("metrics").items()
        if name == objective
        or (objective == schema.MEAN and card["group"] in references.GROUPS_OF_MEAN)
    ]
    return code_of_command("tune", catalog.module("methods", method(wildcards)), *judges)


def seed_of_settings(seed):
    """The seed on whose train cells the settings of a seed were searched for."""
    return int(seed) if int(seed) in bench.tuned_seeds else bench.tuned_seeds[0]


def files_of_settings(results, of_split, run, seeds):
    """The files of settings that the fits of a tuned run take, one per seed; nothing for any other run."""
    if not bench.runs[run].tuned_from:
        return []
    return [f"{results.tuning(*of_split, run, seed_of_settings(seed))}/best.json" for seed in seeds]


def settings_found(wildcards):
    seeds = [wildcards.seed] if hasattr(wildcards, "seed") else bench.seeds
    files = files_of_settings(ANY, names_of_split(wildcards), wildcards.run, seeds)
    return sorted(set(files))


def tuned_settings(of_split, run, seeds):
    """What a job of fits says of a tuned run; nothing of others, so that their jobs stay the same."""
    files = files_of_settings(RESULTS, of_split, run, seeds)
    return {"tuned": files} if files else {}


def files_of_tuning():
    """What every search writes."""
    folders = [ANY.tuning(*place, seed) for place in bench.tuned for seed in bench.tuned_seeds]
    return [f"{folder}/{file}" for folder in folders for file in layout.FILES_OF_TUNING]
