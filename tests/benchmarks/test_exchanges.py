"""Why D-MMVAE exchanges cell types: an exchange costs it nothing, and linked features their error."""

import sys
from dataclasses import replace

import pytest
import torch
from conftest import REPOSITORY, unpaired_split
from torch import nn

from mosaicbench.models.minibatch import Minibatch

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from exchanges import LinkedDMMVAE  # noqa: E402


def test_an_exchange_of_cells_costs_the_error_of_linked_features_alone():
    """With each cell's mirror image among the cells, a mirror before the encoder and behind the decoder exchanges the two."""
    split = unpaired_split()
    model = LinkedDMMVAE(links=1.0, max_epochs=3, batch_size=32)
    model.fit(split, 0)
    x = torch.as_tensor(split.blocks[1].values["adt"])
    cells, noise = Minibatch({"adt": torch.cat([x, -x])}), torch.randn(len(x), model.latent)

    @torch.no_grad()
    def losses():
        reading = model.read(cells)
        reading = replace(reading, z=reading.q.mean + reading.q.stddev * noise.repeat(2, 1))
        of_dmmvae = model.bound(cells, reading, 1.0) + model.feedback(reading, 1.0)
        return float(of_dmmvae.total()), float(model.error_of_links(cells, reading).total())

    before, links_before = losses()
    mirror = nn.Linear(x.shape[1], x.shape[1], bias=False)
    mirror.weight.data = -torch.eye(x.shape[1])
    model.experts["adt"] = nn.Sequential(mirror, model.experts["adt"])
    model.decoders["adt"].network = nn.Sequential(model.decoders["adt"].network, mirror)
    after, links_after = losses()
    assert after == pytest.approx(before, rel=1e-5)
    assert links_after > 1.05 * links_before
