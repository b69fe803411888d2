# Environments of their own, for methods whose packages do not go with the others: a checkout's are shared by all that it runs.
VENVS = os.path.relpath(layout.environments())
ENVIRONMENTS_OF_PEERS = sorted({card["environment"] for card in catalog.cards("methods").values() if "environment" in card})


def environment_of_method(wildcards):
    """What says that the method's own environment stands; nothing for those that run with the Python of all jobs."""
    card = catalog.card("methods", method(wildcards))
    return f"{VENVS}/{card['environment']}/.ready" if "environment" in card else []


def python_of_method(wildcards):
    card = catalog.card("methods", method(wildcards))
    return f"{VENVS}/{card['environment']}/bin/python" if "environment" in card else "python"
