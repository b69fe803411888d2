"""D-MMVAE, step 4: a critic of each modality's output tells real from generated profiles, and the model surprises it too.

    cost = cost of dmmvae_encadv - lambda_out ramp(t - t_0) sum_n surprise_n(x_hat_{m -> n}, generated)

x_hat_{m -> n} is what expert decoder n makes of a cell of modality m: reconstructed for n = m, cross-generated for all others.
Critic n sees as many real cells of modality n as generated ones, of which each source gives the same share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from mosaicbench.methods.dmmvae_encadv import EncoderAdversarialDMMVAE
from mosaicbench.modeling.costs import Cost
from mosaicbench.modeling.critics import Critic, ramp
from mosaicbench.modeling.diagonal import Reading
from mosaicbench.modeling.minibatch import Minibatch
from mosaicbench.view import View

CARD = {
    "label": "D-MMVAE, output critics",
    "kind": "model",
    "paper": "D-MMVAE, planned by its authors, step 4",
    "doi": "",
    "handles": ("unpaired",),
    "uses": (),
    "gives": ("single", "impute", "draws"),
    "claims": ("reconstructs", "generates", "random"),
    "paths": ("alone -> itself", "shared trunk", "critic of latents", "critic of outputs"),
    "advice": "As dmmvae_encadv, at more time; in config/studies/split_transcriptome.yaml critics of outputs added "
    "nothing that scores see.",
    "summary": "Fourth step of the D-MMVAE: a critic per modality tells real from reconstructed and cross-generated profiles; "
    "the model must surprise it.",
    "deviates": "As for dmmvae_encadv. The critics see standardised values, not sparse ones, with spectral norms of 1 and "
    "noise that fades. The original's first version never showed its critics a real cell, so they had nothing to tell apart: "
    "`shows_real: false`. Its least-squares version and its ceiling on the critic's AUC are left out.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "critic_weight": {"float": [0.3, 30.0], "log": True},
        "critic_steps": {"int": [1, 10]},
        "output_weight": {"float": [0.01, 1.0], "log": True},
        "instance_noise": {"float": [0.0, 0.3]},
    },
}

REAL, GENERATED = 0, 1
BEGINS = 0.4  # progress at which lambda_out begins to rise


@dataclass(kw_only=True)
class OutputAdversarialDMMVAE(EncoderAdversarialDMMVAE):
    """{m} -> m, less lambda times the surprise about m, less lambda_out times the surprise about what is decoded from m.

    Attributes
    ----------
    output_weight
        Lambda of the output critics; 0 leaves dmmvae_encadv.
    instance_noise
        Standard deviation of what is added to all that output critics see, at first; it fades over the warm-up.
    shows_real
        Whether output critics see real cells.
    """

    output_weight: Annotated[float, "at least 0"] = 0.1
    instance_noise: Annotated[float, "at least 0"] = 0.1
    shows_real: bool = True

    def feedback(self, reading: Reading, progress: float) -> Cost:
        """Return the feedback of dmmvae_encadv, and -lambda_out times the output critics' surprise."""
        cost = super().feedback(reading, progress)
        if self.output_weight == 0:
            return cost
        weight = -self.output_weight * ramp(max(0.0, (progress - BEGINS) / (1 - BEGINS)))
        domain = torch.full((len(reading.z),), GENERATED, device=reading.z.device)
        for target in self.numbers:
            seen = self._noisy(self.decoded(reading.z, target), progress)
            cost += Cost(
                {
                    f"feedback_output_{target}": weight
                    * self._critic(f"output_{target}").surprise(seen, domain)
                }
            )
        return cost

    def critics(self, train: View) -> dict[str, Critic]:
        """Return the critics of dmmvae_encadv, and one per modality."""
        widths = train.features if self.output_weight else {}
        return super().critics(train) | {
            f"output_{modality}": Critic(width, self.critic_hidden, 2, spectral=True)
            for modality, width in widths.items()
        }

    def critic_rates(self) -> dict[str, float]:
        """Return the learning rates: output critics learn at a quarter of the others'."""
        outputs = [f"output_{modality}" for modality in self.numbers] if self.output_weight else []
        return super().critic_rates() | dict.fromkeys(outputs, self.critic_learning_rate / 4)

    def evidence(
        self, minibatches: Sequence[Minibatch], readings: list[Reading], progress: float
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return what the critics of dmmvae_encadv see, and for each modality real and generated profiles."""
        shown = dict(super().evidence(minibatches, readings, progress))
        for x in minibatches if self.output_weight else []:
            ((target, real),) = x.items()
            share = max(1, len(real) // len(readings))
            made = torch.cat([self.decoded(reading.z[:share], target) for reading in readings])
            parts = {REAL: real, GENERATED: made} if self.shows_real else {GENERATED: made}
            domain = torch.cat(
                [
                    torch.full((len(part),), number, device=real.device)
                    for number, part in parts.items()
                ]
            )
            shown[f"output_{target}"] = (
                self._noisy(torch.cat(list(parts.values())), progress),
                domain,
            )
        return shown

    def _noisy(self, x: Tensor, progress: float) -> Tensor:
        return x + self.instance_noise * (1 - progress) * torch.randn_like(x)
