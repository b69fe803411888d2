"""Wrapped packages that a person installs by themselves: none is needed by the benchmark."""
