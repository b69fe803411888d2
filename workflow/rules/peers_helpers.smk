# Environments of their own, for methods whose packages do not go with the others: a checkout's are shared by all that it runs.
import runpy

VENVS = os.path.relpath(layout.environments())
ENVIRONMENTS_OF_PEERS = sorted(
    {card["environment"] for card in catalog.cards("methods").values() if "environment" in card}
)


def environment_of_method(wildcards):
    """What says that the method's own environment stands; nothing for those that run with the Python of all jobs."""
    card = catalog.card("methods", method(wildcards))
    return f"{VENVS}/{card['environment']}/.ready" if "environment" in card else []


def python_of_method(wildcards):
    card = catalog.card("methods", method(wildcards))
    return f"{VENVS}/{card['environment']}/bin/python" if "environment" in card else "python"


def check_environments():
    """Refuse, before anything is fitted, a run whose environment no Python here can build: there would be no report in the end."""
    if workflow.deployment_settings.deployment_method:
        return  # jobs have another Python, of conda or an image
    dag = workflow.dag
    needed = [
        job
        for job in dag.needrun_jobs()
        if any(fit.input.get("environment") in job.output for fit in dag.depending[job])
    ]
    for pins in (job.input[0] for job in needed):
        build = runpy.run_path(str(layout.project_file("envs/build.py")))
        try:
            build["chosen"](pins, build["allowed"](Path(pins).read_text()))
        except SystemExit as error:
            raise WorkflowError(str(error)) from None
