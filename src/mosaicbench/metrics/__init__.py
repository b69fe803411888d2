"""Metrics, a file for each question: arrays in, a float out.

``NEEDS`` in ``mosaicbench.catalog.cards`` has the shapes of what they take. All raise ``ValueError`` where shapes do not fit, a value is
NaN or infinite, or a label is not text, and ``Undefined`` where the metric does not exist, as of a single cell or cell type.
"""
