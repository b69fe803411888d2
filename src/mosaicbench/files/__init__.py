"""The contracts: how each noun of the benchmark lies on disk, one file per noun.

Every writer goes through :func:`.atomic.atomic`; every reader raises :class:`.errors.ContractError` that names the file.
"""
