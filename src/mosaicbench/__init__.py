"""mosaicbench: a benchmark of multimodal variational autoencoders for single-cell data."""

__version__ = "0.1.0"
