"""``python -m mosaicbench``."""

from mosaicbench.cli import main

main()
