"""D-MMVAE, in four steps: VAEs of single modalities, experts around one trunk, discriminators of latents, discriminators of outputs.

    base, experts: loss = - E_{q_m} [ log p(x_m | z) ] + beta KL(q_m || p)
    encadv:        loss = loss of experts - lambda ramp(t) sum_{h in (hidden, latent)} cross_entropy_h(h(x_m), m)
    outadv:        loss = loss of encadv - lambda_out ramp(t - t_0) sum_n cross_entropy_n(x_hat_{m -> n}, generated)

x_hat_{m -> n} is what expert decoder n makes of a cell of modality m: reconstructed for n = m, cross-generated for all others.
Discriminator n sees as many real cells of modality n as generated ones, of which each source gives the same share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mosaicbench.contract import Split
from mosaicbench.models import training
from mosaicbench.models.diagonal import DiagonalVAE, Reading, Trunk
from mosaicbench.models.discriminators import (
    Discriminator,
    Opponents,
    Trial,
    chosen_weight,
    probe_accuracy,
    ramp,
)
from mosaicbench.models.linked import one_modality_each
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch

CARDS = {
    "dmmvae_base": {
        "label": "D-MMVAE, base",
        "kind": "model",
        "paper": "D-MMVAE, planned by its authors, step 1",
        "scenarios": ("unpaired",),
        "inputs": (),
        "tested_for": ("reconstructs", "generates", "random"),
        "paths": ("alone -> itself",),
        "advice": "Never for results: nothing aligns its latents. It is the control of the later steps.",
        "summary": "First step of the D-MMVAE: one VAE per modality with nothing in common, the control of the later steps.",
        "deviates": "The original is a VAE of one modality. Here every modality has one, and latents and cross-generation between "
        "VAEs that share nothing stand where chance stands. The evidence lower bound (the original's sum over cells makes its KL "
        "weigh about 1/128: `beta: 0.0078`); experts normalise each cell (`normalisation: minibatch` is the original), the trunk "
        "too, since running means of minibatches of one modality would mix modalities; no dropout; a learned Gaussian likelihood "
        "and no squared error; widths for thousands of cells, not for millions (`hidden: 1024`, `trunk: 256`, `latent: 128`).",
        "space": ("latent", "hidden", "learning_rate", "beta", "trunk"),
    },
    "dmmvae_experts": {
        "like": "dmmvae_base",
        "label": "D-MMVAE, experts",
        "paper": "D-MMVAE, planned by its authors, step 2",
        "paths": ("alone -> itself", "shared trunk"),
        "advice": "Never for results: a shared trunk alone aligns little. It is the control of the steps with discriminators.",
        "summary": "Second step of the D-MMVAE: an expert encoder and decoder per modality around one shared VAE, no cell paired.",
        "deviates": "As for dmmvae_base; one optimiser for experts and trunk, not one each; no layers per metadata field (donor, "
        "assay).",
    },
    "dmmvae_encadv": {
        "like": "dmmvae_base",
        "label": "D-MMVAE, encoder discriminators",
        "paper": "D-MMVAE, planned by its authors, step 3",
        "paths": ("alone -> itself", "shared trunk", "discriminator of latents"),
        "advice": "Cells that are never paired, where no features are linked. Look at `types_matched` before anything "
        "else: discriminators align distributions, and may exchange cell types. With links, scmodal or linked_mnn.",
        "summary": "Third step of the D-MMVAE: discriminators of the shared hidden layer and of the latent tell the modality; the "
        "encoders must surprise them.",
        "deviates": "As for dmmvae_experts. The last of the original's three versions, gradient reversal, with one head, the "
        "modality. Discriminators judge the posterior's mean, which is what is embedded, not a draw; they see detached activations (an "
        "earlier version let the discriminators' own gradient into the encoder), logits and not stacked sigmoids, the mean cross-entropy "
        "and not its sum.",
        "space": ("latent", "learning_rate", "beta", "discriminator_weight", "discriminator_steps"),
    },
    "dmmvae_outadv": {
        "like": "dmmvae_encadv",
        "label": "D-MMVAE, output discriminators",
        "paper": "D-MMVAE, planned by its authors, step 4",
        "paths": (
            "alone -> itself",
            "shared trunk",
            "discriminator of latents",
            "discriminator of outputs",
        ),
        "advice": "As dmmvae_encadv, at more time; in config/studies/split_transcriptome.yaml discriminators of outputs added "
        "nothing that scores see.",
        "summary": "Fourth step of the D-MMVAE: a discriminator per modality tells real from reconstructed and cross-generated profiles; "
        "the model must surprise it.",
        "deviates": "As for dmmvae_encadv. The discriminators see standardised values, not sparse ones, with spectral norms of 1 and "
        "noise that fades. The original's first version never showed its discriminators a real cell, so they had nothing to tell apart: "
        "`shows_real: false`. Its least-squares version and its ceiling on the discriminator's AUC are left out.",
        "space": (
            "latent",
            "learning_rate",
            "beta",
            "discriminator_weight",
            "discriminator_steps",
            "output_weight",
            "instance_noise",
        ),
    },
}


@dataclass(kw_only=True)
class BaseDMMVAE(DiagonalVAE):
    """Step 1, {m} -> m: every modality has a trunk of its own.

    Nothing is shared, so nothing can be aligned: it is the control of the later steps.
    """

    def trunks(self, modalities: tuple[str, ...]) -> dict[str, Trunk]:
        """Return a trunk for each modality."""
        return {modality: Trunk(self.hidden, self.trunk, self.latent) for modality in modalities}


@dataclass(kw_only=True)
class ExpertsDMMVAE(DiagonalVAE):
    """Step 2, {m} -> m, through the one trunk of all modalities.

    At inference a cell of modality m is decoded by the expert of another one. Nothing in training asks for it.
    """

    def trunks(self, modalities: tuple[str, ...]) -> dict[str, Trunk]:
        """Return the same trunk for all modalities."""
        return dict.fromkeys(modalities, Trunk(self.hidden, self.trunk, self.latent))


WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)  # of which one may be chosen


@dataclass(kw_only=True)
class EncoderAdversarialDMMVAE(ExpertsDMMVAE):
    """Step 3, {m} -> m, less lambda times the discriminators' cross-entropy about m.

    The discriminators tell the modality from the trunk's activations, and the model surprises them.

    Attributes
    ----------
    discriminator_weight
        Lambda, in nats of loss per nat of cross-entropy; 0 leaves dmmvae_experts. "chosen" fits with each of `WEIGHTS` and keeps the
        one whose latents a fresh probe tells least, of those that explain 95 % of what lambda 0 explains: no truth takes part.
    discriminator_hidden
        Width of every discriminator's two hidden layers.
    discriminator_learning_rate
        Of the discriminators; they have to keep up with what they judge.
    discriminator_steps
        Steps of the discriminators before each of the model's.
    """

    discriminator_weight: (
        Annotated[float, "at least 0", {"float": [0.3, 30.0], "log": True}] | Literal["chosen"]
    ) = 3.0
    discriminator_hidden: Annotated[int, "at least 1"] = 128
    discriminator_learning_rate: Annotated[float, "above 0"] = 5e-3
    discriminator_steps: Annotated[int, "at least 1", {"int": [1, 10]}] = 5

    def feedback(self, reading: Reading, progress: float) -> Loss:
        """Return -lambda times the cross-entropy of the discriminators of the hidden layer and of the latent."""
        loss = super().feedback(reading, progress)
        if self.discriminator_weight == 0:
            return loss
        return loss + Loss(
            {
                f"feedback_{name}": -self.discriminator_weight
                * ramp(progress)
                * self._discriminator(name).cross_entropy(seen, domain)
                for name, (seen, domain) in self._activations(reading).items()
            }
        )

    def discriminators(self, train: Split) -> dict[str, tuple[Discriminator, float]]:
        """Return the discriminators that take part, each with its learning rate."""
        widths = {"hidden": self.trunk, "latent": self.latent} if self.discriminator_weight else {}
        return {
            name: (
                Discriminator(width, self.discriminator_hidden, len(train.features)),
                self.discriminator_learning_rate,
            )
            for name, width in widths.items()
        }

    def evidence(
        self, minibatches: Sequence[Minibatch], readings: list[Reading], progress: float
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return what each discriminator sees of a step, and the domains."""
        if self.discriminator_weight == 0:
            return {}
        shown = [self._activations(reading) for reading in readings]
        return {
            name: tuple(torch.cat(parts) for parts in zip(*(s[name] for s in shown), strict=True))
            for name in shown[0]
        }

    def _activations(self, reading: Reading) -> dict[str, tuple[Tensor, Tensor]]:
        """Return discriminator -> what it sees of cells of one modality, and that modality's number."""
        domain = torch.full(
            (len(reading.z),), self.numbers[reading.modality], device=reading.z.device
        )
        return {"hidden": (reading.hidden, domain), "latent": (reading.q.mean, domain)}

    def _discriminator(self, name: str) -> Discriminator:
        return self.opponents.discriminators[name]

    # --- the method's contract ---

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on `train` and return the history; `remarks` says where a discriminator won or died, and which lambda was chosen."""
        if self.discriminator_weight == "chosen":
            return self._fit_best(train, seed)
        history = super().fit(train, seed)
        self.remarks = self.opponents.warnings(history[-1]) if self.opponents else []
        return history

    def build(self, train: Split) -> None:
        """Make the networks, then the discriminators, who stand outside what the model trains."""
        super().build(train)
        self.numbers = {modality: number for number, modality in enumerate(train.features)}
        made = self.discriminators(train)
        discriminators = nn.ModuleDict(
            {name: discriminator for name, (discriminator, _) in made.items()}
        )
        rates = {name: rate for name, (_, rate) in made.items()}
        self.opponents = (
            Opponents(
                discriminators.to(training.device()),
                self._evidence,
                rates,
                self.discriminator_steps,
            )
            if made
            else None
        )

    def rules(self) -> dict[str, object]:
        """Return how training differs: there are opponents."""
        return super().rules() | {"opponents": self.opponents}

    def _evidence(
        self, minibatches: Sequence[Minibatch], progress: float
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        return self.evidence(minibatches, [self.read(x) for x in minibatches], progress)

    def _fit_best(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Fit with every weight, and become the model of the chosen one."""
        fitted, histories = {}, {}
        for weight in WEIGHTS:
            fitted[weight] = replace(self, discriminator_weight=weight)
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
    def trial(self, shown: Split, seed: int) -> Trial:
        """Return what a fresh probe tells of the train cells' latents, and the share of their variance that is explained."""
        latents, error, spread = [], 0.0, 0.0
        for block in shown.blocks:
            (modality,) = block.modalities
            latents.append(torch.from_numpy(self.embed(block)))
            error += np.square(block.values[modality] - self.impute(block, modality)).mean()
            spread += np.square(block.values[modality]).mean()
        with torch.enable_grad():
            return Trial(probe_accuracy(latents, seed), float(1 - error / spread))


REAL, GENERATED = 0, 1
BEGINS = 0.4  # progress at which lambda_out begins to rise


@dataclass(kw_only=True)
class OutputAdversarialDMMVAE(EncoderAdversarialDMMVAE):
    """Step 4: as step 3, less lambda_out times the cross-entropy about what is decoded from m.

    A discriminator of each modality's output tells real from generated profiles, and the model surprises it too.

    Attributes
    ----------
    output_weight
        Lambda of the output discriminators; 0 leaves dmmvae_encadv.
    instance_noise
        Standard deviation of what is added to all that output discriminators see, at first; it fades over the warm-up.
    shows_real
        Whether output discriminators see real cells.
    """

    output_weight: Annotated[float, "at least 0", {"float": [0.01, 1.0], "log": True}] = 0.1
    instance_noise: Annotated[float, "at least 0", {"float": [0.0, 0.3]}] = 0.1
    shows_real: bool = True

    def feedback(self, reading: Reading, progress: float) -> Loss:
        """Return the feedback of dmmvae_encadv, and -lambda_out times the output discriminators' cross-entropy."""
        loss = super().feedback(reading, progress)
        if self.output_weight == 0:
            return loss
        weight = -self.output_weight * ramp(max(0.0, (progress - BEGINS) / (1 - BEGINS)))
        domain = torch.full((len(reading.z),), GENERATED, device=reading.z.device)
        for target in self.numbers:
            seen = self._noisy(self.decoded(reading.z, target), progress)
            loss += Loss(
                {
                    f"feedback_output_{target}": weight
                    * self._discriminator(f"output_{target}").cross_entropy(seen, domain)
                }
            )
        return loss

    def discriminators(self, train: Split) -> dict[str, tuple[Discriminator, float]]:
        """Return the discriminators of dmmvae_encadv, and one per modality that learns at a quarter of their rate."""
        widths = train.features if self.output_weight else {}
        return super().discriminators(train) | {
            f"output_{modality}": (
                Discriminator(width, self.discriminator_hidden, 2, spectral=True),
                self.discriminator_learning_rate / 4,
            )
            for modality, width in widths.items()
        }

    def evidence(
        self, minibatches: Sequence[Minibatch], readings: list[Reading], progress: float
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return what the discriminators of dmmvae_encadv see, and for each modality real and generated profiles."""
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
