"""D-MMVAE, in four steps: VAEs, experts around a trunk, discriminators of latents, of outputs.

    base, experts: loss = - E_{q_m} [ log p(x_m | z) ] + beta KL(q_m || p)
    encadv: loss = experts' - lambda ramp(t) sum_{h in (hidden, latent)} cross_entropy_h(h(x_m), m)
    outadv: loss = encadv's
                   - lambda_out ramp(t - t_0) sum_n cross_entropy_n(x_hat_{m -> n}, generated)

x_hat_{m -> n} is the output of expert decoder n for a cell of modality m: reconstructed for n = m,
cross-generated for all others. Discriminator n sees as many real cells of modality n as generated
ones, equally many from each source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mosaicbench.contract import History, Split
from mosaicbench.models import training
from mosaicbench.models.diagonal import DiagonalVAE, Reading, Trunk
from mosaicbench.models.discriminators import (
    Discriminator,
    Examples,
    Opponents,
    Trial,
    all_of,
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
        "summary": "First step of the D-MMVAE: one VAE per modality, nothing shared; the control of the later steps.",
        "deviates": "The original is a VAE of one modality. Here every modality has one; latents and cross-generation between VAEs "
        "that share nothing score as chance. The evidence lower bound (the original's sum over cells gives its KL a weight of "
        "about 1/128: `beta: 0.0078`); experts normalise each cell (`normalisation: minibatch` is the original), the trunk "
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
        "advice": "Cells that are never paired, if no features are linked. Look at `types_matched` before anything "
        "else: discriminators align distributions, and may exchange cell types. With links, scmodal or linked_mnn.",
        "summary": "Third step of the D-MMVAE: discriminators predict the modality from the shared hidden layer and from the latent; "
        "the encoders raise their cross-entropy.",
        "deviates": "As for dmmvae_experts. The last of the original's three versions, gradient reversal, with one head, the "
        "modality. Discriminators see the posterior's mean, the embedding, not a draw; their activations are detached (an "
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
        "advice": "As dmmvae_encadv, at more time; in config/studies/split_transcriptome.yaml discriminators of outputs changed "
        "no score.",
        "summary": "Fourth step of the D-MMVAE: a discriminator per modality tells real from reconstructed and cross-generated profiles; "
        "the model raises its cross-entropy.",
        "deviates": "As for dmmvae_encadv. The discriminators see standardised values, not sparse ones, with spectral norms of 1 and "
        "noise that fades. The discriminators of the original's first version never see a real cell, so they have nothing to tell apart: "
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
    """Step 1, {m} -> m: every modality has a trunk of its own, so nothing can be aligned."""

    def trunks(self, modalities: tuple[str, ...]) -> dict[str, Trunk]:
        """Return a trunk for each modality."""
        return {modality: Trunk(self.hidden, self.trunk, self.latent) for modality in modalities}


@dataclass(kw_only=True)
class ExpertsDMMVAE(DiagonalVAE):
    """Step 2, {m} -> m, through the one trunk of all modalities; m -> n is not trained."""

    def trunks(self, modalities: tuple[str, ...]) -> dict[str, Trunk]:
        """Return the same trunk for all modalities."""
        return dict.fromkeys(modalities, Trunk(self.hidden, self.trunk, self.latent))


WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)  # lambdas to choose from


@dataclass(kw_only=True)
class EncoderAdversarialDMMVAE(ExpertsDMMVAE):
    """Step 3, {m} -> m, less lambda times the discriminators' cross-entropy about m.

    Attributes
    ----------
    discriminator_weight
        Lambda, in nats of loss per nat of cross-entropy; 0 is dmmvae_experts. "chosen" fits with
        each of `WEIGHTS` and keeps the one with the lowest accuracy of a fresh probe of the
        modality, of those that explain 95 % of the variance that lambda 0 explains; no truth takes
        part.
    discriminator_hidden
        Width of every discriminator's two hidden layers.
    discriminator_learning_rate
        Of the discriminators.
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
        """Return -lambda times the discriminators' cross-entropy about the modality."""
        loss = Loss()
        for name, (x, domain) in self._activations(reading).items():
            weight = -self.discriminator_weight * ramp(progress)
            loss += weight * self._cross_entropy(name, x, domain)
        return loss

    def discriminators(self, train: Split) -> dict[str, tuple[Discriminator, float]]:
        """Return the discriminators that take part, each with its learning rate."""
        widths = {"hidden": self.trunk, "latent": self.latent} if self.discriminator_weight else {}
        rate, domains = self.discriminator_learning_rate, len(train.features)
        return {
            name: (Discriminator(width, self.discriminator_hidden, domains), rate)
            for name, width in widths.items()
        }

    def examples(
        self, minibatches: Sequence[Minibatch], readings: list[Reading], progress: float
    ) -> Examples:
        """Return what the discriminators learn from in a step."""
        activations, examples = [self._activations(reading) for reading in readings], {}
        for name in activations[0]:
            x, domain = zip(*(each[name] for each in activations), strict=True)
            examples[name] = torch.cat(x), torch.cat(domain)
        return examples

    def _activations(self, reading: Reading) -> Examples:
        if self.discriminator_weight == 0:
            return {}
        domain = all_of(reading.z, self.numbers[reading.modality])
        return {"hidden": (reading.hidden, domain), "latent": (reading.q.mean, domain)}

    def _cross_entropy(self, name: str, x: Tensor, domain: Tensor) -> Loss:
        discriminator = self.opponents.discriminators[name]
        return Loss({f"feedback_{name}": discriminator.cross_entropy(x, domain)})

    # --- the method's contract ---

    def fit(self, train: Split, seed: int) -> History:
        """Train and return the history; `remarks` names the lambda if it was chosen."""
        if self.discriminator_weight != "chosen":
            return super().fit(train, seed)
        models, histories, trials = {}, {}, {}
        cells = one_modality_each(train, seed)
        for weight in WEIGHTS:
            models[weight] = replace(self, discriminator_weight=weight)
            histories[weight] = models[weight].fit(train, seed)
            trials[weight] = models[weight].trial(cells, seed)
        best = chosen_weight(trials)
        vars(self).update(vars(models[best]) | {"discriminator_weight": "chosen"})
        tried = ", ".join(f"{w:g}: {t.probe:.2f} and {t.explained:.3f}" for w, t in trials.items())
        chosen = f"lambda {best:g} was chosen (lambda: accuracy of a probe, explained variance of train cells: {tried})"
        self.remarks = [chosen, *getattr(self, "remarks", [])]
        return histories[best]

    def build(self, train: Split) -> None:
        """Make the networks, then the discriminators, which the model does not train."""
        super().build(train)
        self.numbers = {modality: number for number, modality in enumerate(train.features)}
        made, self.opponents = self.discriminators(train), None
        if made:
            discriminators = nn.ModuleDict({name: d for name, (d, _) in made.items()})
            self.opponents = Opponents(
                discriminators.to(training.device()),
                lambda x, progress: self.examples(x, [self.read(each) for each in x], progress),
                {name: rate for name, (_, rate) in made.items()},
                self.discriminator_steps,
            )

    def trial(self, cells: Split, seed: int) -> Trial:
        """Return the accuracy of a probe of the train cells, and the explained variance."""
        latents, error, spread = [], 0.0, 0.0
        for block in cells.blocks:
            ((modality, x),) = block.values.items()
            latents.append(torch.from_numpy(self.embed(block)))
            error += np.square(x - self.impute(block, modality)).mean()
            spread += np.square(x).mean()
        return Trial(probe_accuracy(latents, seed), float(1 - error / spread))


REAL, GENERATED = 0, 1
BEGINS = 0.4  # progress at which lambda_out begins to rise


@dataclass(kw_only=True)
class OutputAdversarialDMMVAE(EncoderAdversarialDMMVAE):
    """Step 4: as step 3, less lambda_out times the cross-entropy about what is decoded from m.

    A discriminator of each modality's output tells real from generated profiles.

    Attributes
    ----------
    output_weight
        Lambda of the output discriminators; 0 is dmmvae_encadv.
    instance_noise
        Standard deviation of the noise on the input of output discriminators, which fades over the
        warm-up.
    shows_real
        Whether output discriminators see real cells.
    """

    output_weight: Annotated[float, "at least 0", {"float": [0.01, 1.0], "log": True}] = 0.1
    instance_noise: Annotated[float, "at least 0", {"float": [0.0, 0.3]}] = 0.1
    shows_real: bool = True

    def feedback(self, reading: Reading, progress: float) -> Loss:
        """Return dmmvae_encadv's, and that of the output discriminators."""
        loss = super().feedback(reading, progress)
        weight = -self.output_weight * ramp(max(0.0, (progress - BEGINS) / (1 - BEGINS)))
        domain = all_of(reading.z, GENERATED)
        for target in self.numbers if self.output_weight else ():
            profiles = self._noisy(self.decoded(reading.z, target), progress)
            loss += weight * self._cross_entropy(f"output_{target}", profiles, domain)
        return loss

    def discriminators(self, train: Split) -> dict[str, tuple[Discriminator, float]]:
        """Return dmmvae_encadv's, and one per modality that learns at a quarter of their rate."""
        made, rate = super().discriminators(train), self.discriminator_learning_rate / 4
        for modality, width in train.features.items() if self.output_weight else ():
            discriminator = Discriminator(width, self.discriminator_hidden, 2, spectral=True)
            made[f"output_{modality}"] = discriminator, rate
        return made

    def examples(
        self, minibatches: Sequence[Minibatch], readings: list[Reading], progress: float
    ) -> Examples:
        """Return dmmvae_encadv's, and for each modality real and generated profiles."""
        examples = dict(super().examples(minibatches, readings, progress))
        for x in minibatches if self.output_weight else ():
            ((target, real),) = x.items()
            each = max(1, len(real) // len(readings))
            generated = torch.cat([self.decoded(reading.z[:each], target) for reading in readings])
            profiles, domain = generated, all_of(generated, GENERATED)
            if self.shows_real:
                profiles = torch.cat([real, generated])
                domain = torch.cat([all_of(real, REAL), domain])
            examples[f"output_{target}"] = self._noisy(profiles, progress), domain
        return examples

    def _noisy(self, x: Tensor, progress: float) -> Tensor:
        return x + self.instance_noise * (1 - progress) * torch.randn_like(x)
