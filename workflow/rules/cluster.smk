# What jobs ask of a cluster. On one machine every run has all that the config's limits allow, at once.

USUAL_RATE = (100, 1)  # Snakemake's own limit of jobs that start, and the seconds in which


def on_cluster():
    """Whether jobs are sent elsewhere, asked from where they are sent or from there; known only once the workflow runs."""
    return workflow.non_local_exec or workflow.remote_exec


def group_on_cluster(wildcards):
    """One submission for tables, figures and report. On one machine a group is nothing but work for Snakemake."""
    return "report" if on_cluster() else None


def gpu_of_model(wildcards):
    """One GPU where this machine has one. On a cluster the profile asks for it: the submitting machine may have none."""
    return int(not on_cluster() and shutil.which("nvidia-smi") is not None)


def memory_of_fit(wildcards, attempt):
    fraction = cluster.fraction_of_limit(attempt) if on_cluster() else 1
    return cluster.requested_mb(bench.limits["memory_mb"], fraction)


def minutes_of_fits(fits):
    """Return a function of the attempt: as long as so many fits take one after the other."""

    def minutes(wildcards, attempt):
        fraction = cluster.fraction_of_limit(attempt) if on_cluster() else 1
        return cluster.requested_minutes(bench.limits["minutes"] * fits, fraction)

    return minutes


def number_of_attempt(wildcards, attempt):
    """Attempts count where they ask for more each time; elsewhere the first has all, and is the last."""
    return attempt if on_cluster() else cluster.ATTEMPTS


def check_cluster():
    """Refuse, before anything is submitted, too few attempts, and requests that SLURM would leave pending for ever."""
    if not on_cluster():
        return
    retries = workflow.execution_settings.retries
    try:
        if retries < cluster.ATTEMPTS:
            raise UserError(
                f"retries is {retries}: fits ask for more memory and time in {cluster.ATTEMPTS} attempts, and one more writes the"
                f" row of a run that was killed each time; set `retries: {cluster.ATTEMPTS}` in the profile, or more"
            )
        if workflow.executor_plugin.name == "slurm":
            asked = cluster.requests(workflow.dag, last_attempt=retries + 1)
            cluster.check_requests(asked, cluster.partitions())
    except UserError as error:
        raise WorkflowError(str(error)) from None


def start_at_any_rate():
    """Drop Snakemake's limit of jobs per second, unless a user set one: to keep it, Snakemake looks at all waiting jobs once a
    second for every job that has ended, hundreds of times a second in a long run."""
    limiter = getattr(workflow.scheduler, "job_rate_limiter", None)
    if limiter is not None and (limiter.max_jobs, limiter.timespan) == USUAL_RATE:
        workflow.scheduler.job_rate_limiter = None
