# What the rules of fits need to know.


def job_of_fits(wildcards, runs, seeds, stacked=False):
    """What one job is told to fit, as src/mosaicbench/jobs.py describes it; scheduling is no part of it."""
    of_view = names_of_view(wildcards)
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
                    "outputs": [RESULTS.fit(*of_view, run, seed) for seed in seeds],
                }
                | kept_model(wildcards.dataset, run)
                for run in runs
            ],
            "seeds": [
                {"seed": seed} | {part: f"{RESULTS.view(*of_view, seed)}/{part}.h5mu" for part in parts} for seed in seeds
            ],
            "limits": bench.limits,
            "stacked": stacked,
        }
    )


def kept_model(dataset, run):
    """What a job says of a run whose models are kept; nothing of others, so that their jobs stay the same."""
    if run not in bench.kept:
        return {}
    return {"keep": True, "licence": catalog.card("datasets", bench.datasets[dataset]["loader"])["licence"]}


def job_of_one_seed(wildcards):
    return job_of_fits(wildcards, [wildcards.run], [int(wildcards.seed)])


def job_of_all_seeds(wildcards):
    return job_of_fits(wildcards, [wildcards.run], bench.seeds)


def job_of_stacked_seeds(wildcards):
    return job_of_fits(wildcards, [wildcards.run], bench.seeds, stacked=True)


def job_of_controls(wildcards):
    return job_of_fits(wildcards, bench.common_controls, bench.seeds)


def code_of_method(wildcards):
    return code_of_fits([wildcards.run])


def code_of_fits(runs):
    methods = {bench.runs[run].method for run in runs}
    return code_of_command("fit", *(catalog.module("methods", name) for name in sorted(methods)))


def solutions_if_positive_control(wildcards):
    return files_of_views("solution.h5mu") if read_solution([wildcards.run]) else []


def read_solution(runs):
    """Whether one of the runs is a positive control."""
    return any("solution" in catalog.card("methods", bench.runs[run].method)["uses"] for run in runs)


def runs_of_kinds(*kinds):
    return [run.name for run in bench.runs.values() if catalog.card("methods", run.method)["kind"] in kinds]


def scenarios_of_kind(kind):
    return [name for name, stanza in bench.scenarios.items() if stanza["kind"] == kind]
