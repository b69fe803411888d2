"""D-MMVAE, step 3: critics that tell the modality from the trunk's activations, and a model that surprises them.

cost = cost of dmmvae_experts - lambda ramp(t) sum_{h in (hidden, latent)} surprise_h(h(x_m), m)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mosaicbench.methods.dmmvae_experts import ExpertsDMMVAE
from mosaicbench.modeling import training
from mosaicbench.modeling.costs import Cost
from mosaicbench.modeling.critics import (
    Critic,
    Opponents,
    Trial,
    chosen_weight,
    probe_accuracy,
    ramp,
)
from mosaicbench.modeling.diagonal import Reading
from mosaicbench.modeling.linked import one_modality_each
from mosaicbench.modeling.minibatch import Minibatch
from mosaicbench.view import View

CARD = {
    "label": "D-MMVAE, encoder critics",
    "kind": "model",
    "paper": "D-MMVAE, planned by its authors, step 3",
    "doi": "",
    "handles": ("unpaired",),
    "uses": (),
    "gives": ("single", "impute", "draws"),
    "claims": ("reconstructs", "generates", "random"),
    "paths": ("alone -> itself", "shared trunk", "critic of latents"),
    "advice": "Cells that are never paired, where no features are linked. Look at `types_matched` before anything "
    "else: critics align distributions, and may exchange cell types. With links, scmodal or links_mnn.",
    "summary": "Third step of the D-MMVAE: critics of the shared hidden layer and of the latent tell the modality; the "
    "encoders must surprise them.",
    "deviates": "As for dmmvae_experts. The last of the original's three versions, gradient reversal, with one head, the "
    "modality. Critics judge the posterior's mean, which is what is embedded, not a draw; they see detached activations (an "
    "earlier version let the critics' own gradient into the encoder), logits and not stacked sigmoids, the mean cross-entropy "
    "and not its sum.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "critic_weight": {"float": [0.3, 30.0], "log": True},
        "critic_steps": {"int": [1, 10]},
    },
}

WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)  # of which one may be chosen


@dataclass(kw_only=True)
class EncoderAdversarialDMMVAE(ExpertsDMMVAE):
    """{m} -> m, less lambda times the critics' surprise about m.

    Attributes
    ----------
    critic_weight
        Lambda, in nats of cost per nat of surprise; 0 leaves dmmvae_experts. "chosen" fits with each of `WEIGHTS` and keeps the
        one whose latents a fresh probe tells least, of those that explain 95 % of what lambda 0 explains: no truth takes part.
    critic_hidden
        Width of every critic's two hidden layers.
    critic_learning_rate
        Of the critics; they have to keep up with what they judge.
    critic_steps
        Steps of the critics before each of the model's.
    """

    critic_weight: Annotated[float, "at least 0"] | Literal["chosen"] = 3.0
    critic_hidden: Annotated[int, "at least 1"] = 128
    critic_learning_rate: Annotated[float, "above 0"] = 5e-3
    critic_steps: Annotated[int, "at least 1"] = 5

    def feedback(self, reading: Reading, progress: float) -> Cost:
        """Return -lambda times the surprise of the critics of the hidden layer and of the latent."""
        cost = super().feedback(reading, progress)
        if self.critic_weight == 0:
            return cost
        return cost + Cost(
            {
                f"feedback_{name}": -self.critic_weight
                * ramp(progress)
                * self._critic(name).surprise(seen, domain)
                for name, (seen, domain) in self._activations(reading).items()
            }
        )

    def critics(self, train: View) -> dict[str, Critic]:
        """Return the critics that take part."""
        widths = {"hidden": self.trunk, "latent": self.latent} if self.critic_weight else {}
        return {
            name: Critic(width, self.critic_hidden, len(train.features))
            for name, width in widths.items()
        }

    def critic_rates(self) -> dict[str, float]:
        """Return the critics' learning rates."""
        return (
            dict.fromkeys(("hidden", "latent"), self.critic_learning_rate)
            if self.critic_weight
            else {}
        )

    def evidence(
        self, minibatches: Sequence[Minibatch], readings: list[Reading], progress: float
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return what each critic sees of a step, and the domains."""
        if self.critic_weight == 0:
            return {}
        shown = [self._activations(reading) for reading in readings]
        return {
            name: tuple(torch.cat(parts) for parts in zip(*(s[name] for s in shown), strict=True))
            for name in shown[0]
        }

    def _activations(self, reading: Reading) -> dict[str, tuple[Tensor, Tensor]]:
        """Return critic -> what it sees of cells of one modality, and that modality's number."""
        domain = torch.full(
            (len(reading.z),), self.numbers[reading.modality], device=reading.z.device
        )
        return {"hidden": (reading.hidden, domain), "latent": (reading.q.mean, domain)}

    def _critic(self, name: str) -> Critic:
        return self.opponents.critics[name]

    # --- the method's contract ---

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Train on `train` and return the history; `remarks` says where a critic won or died, and which lambda was chosen."""
        if self.critic_weight == "chosen":
            return self._fit_best(train, seed)
        history = super().fit(train, seed)
        self.remarks = self.opponents.warnings(history[-1]) if self.opponents else []
        return history

    def build(self, train: View) -> None:
        """Make the networks, then the critics, who stand outside what the model trains."""
        super().build(train)
        self.numbers = {modality: number for number, modality in enumerate(train.features)}
        critics = nn.ModuleDict(self.critics(train)).to(training.device())
        self.opponents = (
            Opponents(critics, self._evidence, self.critic_rates(), self.critic_steps)
            if len(critics)
            else None
        )

    def rules(self) -> dict[str, object]:
        """Return how training differs: there are opponents."""
        return super().rules() | {"opponents": self.opponents}

    def _evidence(
        self, minibatches: Sequence[Minibatch], progress: float
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        return self.evidence(minibatches, [self.read(x) for x in minibatches], progress)

    def _fit_best(self, train: View, seed: int) -> list[dict[str, float]]:
        """Fit with every weight, and become the model of the chosen one."""
        fitted, histories = {}, {}
        for weight in WEIGHTS:
            fitted[weight] = replace(self, critic_weight=weight)
            histories[weight] = fitted[weight].fit(train, seed)
        shown = one_modality_each(train, seed)
        trials = {weight: model.trial(shown, seed) for weight, model in fitted.items()}
        best = chosen_weight(trials)
        made = {
            name: value
            for name, value in vars(fitted[best]).items()
            if name not in self.__dataclass_fields__
        }
        vars(self).update(made)
        found = ", ".join(
            f"{weight:g}: {trial.probe:.2f} and {trial.explained:.3f}"
            for weight, trial in trials.items()
        )
        chosen = f"lambda {best:g} was chosen (lambda: accuracy of a probe, explained variance of train cells: {found})"
        self.remarks = [chosen, *self.remarks]
        return histories[best]

    @torch.no_grad()
    def trial(self, shown: View, seed: int) -> Trial:
        """Return what a fresh probe tells of the train cells' latents, and the share of their variance that is explained."""
        latents, error, spread = [], 0.0, 0.0
        for block in shown.blocks:
            (modality,) = block.modalities
            latents.append(torch.from_numpy(self.embed(block)))
            error += np.square(block.values[modality] - self.impute(block, modality)).mean()
            spread += np.square(block.values[modality]).mean()
        with torch.enable_grad():
            return Trial(probe_accuracy(latents, seed), float(1 - error / spread))
