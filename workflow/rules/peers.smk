# pinned packages -> an environment of its own, for methods whose packages do not go with the others

ENVIRONMENTS = sorted({card["environment"] for card in catalog.cards("methods").values() if "environment" in card})


def environment_of_method(wildcards):
    """What says that the method's own environment stands; nothing for those that run with the Python of all jobs."""
    card = catalog.card("methods", method(wildcards))
    return f".venvs/{card['environment']}/.ready" if "environment" in card else []


def python_of_method(wildcards):
    card = catalog.card("methods", method(wildcards))
    return f".venvs/{card['environment']}/bin/python" if "environment" in card else "python"


rule build_environment:
    input:
        "envs/peers/{environment}.txt",
    output:
        touch(".venvs/{environment}/.ready"),
    log:
        "<logs>/build_environment/{environment}.log",
    wildcard_constraints:
        environment=any_of(ENVIRONMENTS),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        folder=subpath(output[0], parent=True),
    message:
        "Build the environment {wildcards.environment}"
    shell:
        "(python -m venv --clear {params.folder}"
        " && {params.folder}/bin/python -m pip install --disable-pip-version-check --requirement {input}) > {log} 2>&1"


# What `make peers` asks for; a benchmark builds only what its runs need.
rule environments:
    input:
        expand(".venvs/{environment}/.ready", environment=ENVIRONMENTS),
