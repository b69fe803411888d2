"""``python -m mosaicbench.metrics._compile`` compiles the loops of the scores ahead; else each is compiled at its first use."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._closer import count_closer
from mosaicbench.metrics._graph import neighbors
from mosaicbench.metrics._neighbors import transfer_each


def main() -> None:
    """Call every loop with a few cells, as scores do; what is compiled lies beside the code and holds until that changes."""
    z = np.random.default_rng(0).random((20, 3))
    count_closer(z, z)
    transfer_each(z, np.array(["a"] * 20, dtype=object), z, ks=[1])
    neighbors(z, 5)


if __name__ == "__main__":
    main()
