"""The contracts: the layout of each noun of the benchmark on disk, one file per noun.

Every writer uses :func:`.atomic.atomic`; every reader raises :class:`.errors.ContractError` with
the file's name.
"""
