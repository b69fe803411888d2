"""Metrics, a file for each question: arrays in, a float out.

``NEEDS`` in ``mosaicbench.catalog.cards`` has the shapes of their parameters. All raise
``ValueError`` where shapes do not fit, a value is NaN or infinite, or a label is not text, and
``Undefined`` where the metric does not exist, as for a single cell or cell type.
"""
