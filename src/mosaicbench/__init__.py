"""mosaicbench: a benchmark of multimodal variational autoencoders for single-cell data."""

__version__ = "0.1.0"
__all__ = ["apply", "integrate", "score"]


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def __getattr__(name: str) -> object:
    """Give `integrate`, `apply` and `score` when a notebook asks for them: no job of the workflow pays for their imports."""
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("mosaicbench.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
