# What the rules from a source to a split need to know.


def loader(wildcards):
    return bench.datasets[wildcards.dataset]["loader"]


def loader_options(wildcards):
    return as_json(bench.datasets[wildcards.dataset]["options"])


def source_files(wildcards):
    return bench.datasets[wildcards.dataset]["inputs"]


def raw_folder(wildcards):
    folder = bench.datasets[wildcards.dataset]["raw"]
    return ["--raw", folder] if folder else []


def code_of_loader(wildcards):
    name = loader(wildcards)
    read = [of_package("data/antibody_targets.tsv")]
    if Path(cells := of_package(f"data/embedded/{name}.npz")).is_file():
        read += [cells, of_package("data/embedded/merged_types.tsv")]
    return [code_of_command("prepare", catalog.module("datasets", name)), *read]


def scenario_kind(wildcards):
    return bench.scenarios[wildcards.scenario]["kind"]


def cut_options(wildcards):
    scenario = bench.scenarios[wildcards.scenario]
    given = {
        key: value for key, value in scenario.items() if key not in ("kind", "datasets", "runs")
    }
    own = given.get("preprocess", {})
    preprocess = {
        kind: bench.preprocess.get(kind, {}) | own.get(kind, {}) for kind in bench.preprocess | own
    }
    return as_json(given | {"preprocess": preprocess})


def files_of_cut(file):
    """What one cut writes: a file of the split with one seed, or with each."""
    return files_of_splits(file) if bench.config["few_jobs"] else f"{SPLIT}/{file}"


def file_of_cut(jobs):
    """The log of one cut, or the file of its expenses."""
    return jobs.cut_of_seeds(*OF_SPLIT) if bench.config["few_jobs"] else jobs.cut(*OF_SPLIT, "{seed}")
