# mosaicbench: from data to report. Each include is one stage of what flows; config/README.md explains every key.
from snakemake.utils import min_version

min_version("9.21")

# A config named with --configfile stands alone: what it leaves out takes the schema's defaults, not the default benchmark's.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/peers.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "<results>/report.html",
        "<results>/tables/latex/document.tex",


onstart:
    check_cluster()


onsuccess:
    if os.path.exists(f"{bench.results}/report.html"):
        print(
            f"Done. Open {bench.results}/report.html; its numbers are in {bench.results}/tables and {bench.results}/figures."
        )
