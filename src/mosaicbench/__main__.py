"""``python -m mosaicbench``."""

import gc

from mosaicbench.cli import main

gc.set_threshold(20_000)  # of the objects that imports make, a third of a million, nearly all stay: looked through more rarely
main()
