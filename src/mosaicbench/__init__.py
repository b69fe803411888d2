"""mosaicbench: a benchmark of multimodal variational autoencoders for single-cell data."""

__version__ = "0.1.0"
__all__ = ["apply", "integrate", "score"]


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def __getattr__(name: str) -> object:
    """Import `integrate`, `apply` and `score` when they are first asked for."""
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("mosaicbench.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
