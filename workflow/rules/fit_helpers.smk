# What the rules of fits need to know.


def code_of_method(wildcards):
    return code_of_command("fit", catalog.module("methods", method(wildcards)))


def code_of_method_for_seeds(wildcards):
    return code_of_command("fit_seeds", catalog.module("methods", method(wildcards)))


def code_of_method_for_each(wildcards):
    return code_of_command("fit_each", catalog.module("methods", method(wildcards)))


def code_of_controls():
    methods = {bench.runs[run].method for run in bench.common_controls}
    return code_of_command("fit_each", *(catalog.module("methods", name) for name in sorted(methods)))


def hyperparameters(wildcards):
    return as_json(bench.runs[wildcards.run].hyperparameters)


def identity(wildcards):
    return as_json(identity_without_seed(wildcards) | {"seed": int(wildcards.seed)})


def identity_of_run(wildcards):
    return as_json(identity_without_seed(wildcards))


def identity_without_seed(wildcards):
    return {key: getattr(wildcards, key) for key in ("dataset", "scenario", "run")} | {"method": method(wildcards)}


def description_of_run(wildcards):
    return as_json([identity_without_seed(wildcards) | {"hyperparameters": bench.runs[wildcards.run].hyperparameters}])


def description_of_controls(wildcards):
    names = {"dataset": wildcards.dataset, "scenario": wildcards.scenario}
    controls = [bench.runs[run] for run in bench.common_controls]
    return as_json([names | {"run": c.name, "method": c.method, "hyperparameters": c.hyperparameters} for c in controls])


def solutions_if_positive_control(wildcards):
    needed = "solution" in catalog.card("methods", method(wildcards))["uses"]
    return files_of_views("solution.h5mu") if needed else []


def runs_of_kinds(*kinds):
    return [run.name for run in bench.runs.values() if catalog.card("methods", run.method)["kind"] in kinds]


def scenarios_of_kind(kind):
    return [name for name, stanza in bench.scenarios.items() if stanza["kind"] == kind]
