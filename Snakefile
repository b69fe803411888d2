# mosaicbench: from data to report. Each include is one stage of what flows; config/README.md explains every key.
import os

from snakemake.utils import min_version

min_version("9.21")

# A config named with --configfile is used alone: what it leaves out takes the schema's defaults, not the default benchmark's.
if not workflow.overwrite_configfiles:

    configfile:
        "config/config.yaml"
        if os.path.exists("config/config.yaml")
        else f"{workflow.current_basedir.get_path_or_uri(secret_free=True)}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/peers.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        ANY.report,
        rules.embeddings.output,


onstart:
    jobs.record(bench, RESULTS)
    check_cluster()
    check_environments()
    start_at_any_rate()
    for line in jobs.in_lines(jobs.cannot_learn(bench)):
        print(line, flush=True)


onsuccess:
    for line in (*jobs.alarms(RESULTS), *jobs.cautions(bench, RESULTS)):
        print(line, flush=True)
    if os.path.exists(RESULTS.report):
        print(
            f"Done. Open {RESULTS.report}; numbers are in {RESULTS.tables} and {RESULTS.figures}."
        )


onerror:
    for line in jobs.cautions(bench, RESULTS):
        print(line, flush=True)
