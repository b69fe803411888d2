"""``python -m mosaicbench``."""

import gc

from mosaicbench.cli import main

# Imports make a third of a million objects, and nearly all stay: Python looks through them more rarely, and not at the end.
gc.set_threshold(20_000)
main()
gc.freeze()
