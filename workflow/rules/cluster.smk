# What jobs ask of a cluster. On one machine every run has all that the config's limits allow, at once.

USUAL_RATE = (100, 1)  # Snakemake's own limit of jobs that start, and the seconds in which


def on_cluster():
    """Whether jobs are sent elsewhere, asked from where they are sent or from there; known only once the workflow runs."""
    return workflow.non_local_exec or workflow.remote_exec


def group_on_cluster(wildcards):
    """One submission for tables, figures and report."""
    return "report" if on_cluster() else None


def gpus_of_fit(wildcards):
    """One GPU for a model where this machine has one; on a cluster the profile asks for it."""
    has_gpu = not on_cluster() and shutil.which("nvidia-smi") is not None
    return int(has_gpu and card_of(wildcards).get("kind") == "model")


def number_of_attempt(wildcards, attempt):
    """On one machine the first attempt has all, and is the last."""
    return attempt if on_cluster() else cluster.ATTEMPTS


def memory_of_fit(wildcards, attempt):
    return cluster.requested_mb(bench.limits["memory_mb"], number_of_attempt(wildcards, attempt))


def minutes_of_fits(wildcards, attempt, fits=None):
    """The limit times the seeds that a job fits in turn; all cheap runs of a split have it once, together."""
    fits = fits or (1 if wildcards.get("seed") or not wildcards.get("run") else len(bench.seeds))
    minutes = bench.limits["minutes"] * fits
    return cluster.requested_minutes(minutes, number_of_attempt(wildcards, attempt))


def minutes_of_scores(wildcards, attempt):
    split = wildcards.dataset, wildcards.scenario
    runs = 1 if wildcards.get("run") else len(bench.runs_of_splits[split])
    return (2 + 2 * runs * len(bench.seeds)) * attempt


def check_cluster():
    """Refuse, before anything is submitted, too few attempts, and requests that SLURM would leave pending for ever."""
    if on_cluster():
        retries, executor = workflow.execution_settings.retries, workflow.executor_plugin.name
        try:
            cluster.check(workflow.dag, retries, on_slurm=executor == "slurm")
        except UserError as error:
            raise WorkflowError(str(error)) from None


def start_at_any_rate():
    """Drop Snakemake's limit of jobs per second: for every job that has ended, it looks at all waiting jobs once a second."""
    limiter = getattr(workflow.scheduler, "job_rate_limiter", None)
    if limiter is not None and (limiter.max_jobs, limiter.timespan) == USUAL_RATE:
        workflow.scheduler.job_rate_limiter = None


def check_environments():
    """Refuse, before anything is fitted, a run whose environment no Python here can build: there would be no report in the end."""
    if workflow.deployment_settings.deployment_method:
        return  # jobs have another Python, of conda or an image
    dag, build = workflow.dag, runpy.run_path(str(layout.project_file("envs/build.py")))
    for job in dag.needrun_jobs():
        if any({*fit.input.get("environment", ())} & {*job.output} for fit in dag.depending[job]):
            try:
                build["chosen"](job.input[0], build["allowed"](Path(job.input[0]).read_text()))
            except SystemExit as error:
                raise WorkflowError(str(error)) from None
