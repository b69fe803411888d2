"""MVAE, MMVAE and MoPoE of the package `multivae`, with the networks of this project's methods.

A difference in scores comes from the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal
from torch.nn.functional import softplus

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import Diverged
from mosaicbench.models.likelihoods import GaussianDecoder
from mosaicbench.models.minibatch import Minibatch, by_pieces
from mosaicbench.models.networks import mlp
from mosaicbench.models.training import device, seeded
from mosaicbench.peers._package import apart, history, need, split_off

CARDS = {
    "multivae_mvae": {
        "label": "MVAE (multivae)",
        "kind": "model",
        "paper": "Wu & Goodman 2018",
        "doi": "10.48550/arXiv.1802.05335",
        "scenarios": ("paired",),
        "inputs": ("pairs",),
        "wraps": {
            "package": "multivae",
            "module": "multivae",
            "version": "1.0.3",
            "licence": "Apache-2.0",
        },
        "environment": "multivae",
        "summary": "The package's MVAE, to check this project's `mvae` against.",
        "deviates": "Networks and the decoders' learned sd are those of this project's `mvae`, so that bounds are compared. "
        "A tenth of the train cells decides which epoch is kept; the package does not stop early. "
        "The posterior's sd is the exponential of half a linear output, here a softplus.",
        "space": ("latent", "learning_rate", "beta"),
    },
    "multivae_mmvae": {
        "like": "multivae_mvae",
        "label": "MMVAE (multivae)",
        "paper": "Shi et al. 2019",
        "doi": "10.48550/arXiv.1911.03393",
        "summary": "The package's MMVAE, to check this project's `mmvae` against.",
        "deviates": "Networks and the decoders' learned sd are those of this project's `mmvae`, so that bounds are compared. "
        "A tenth of the train cells decides which epoch is kept; the package does not stop early. "
        "The joint latent is the mean of the modalities'.",
        "space": ("latent", "learning_rate", "samples"),
    },
    "multivae_mopoe": {
        "like": "multivae_mvae",
        "label": "MoPoE (multivae)",
        "paper": "Sutter et al. 2021",
        "doi": "10.48550/arXiv.2105.02470",
        "summary": "The package's MoPoE, to check this project's `mopoe` against.",
        "deviates": "Networks and the decoders' learned sd are those of this project's `mopoe`, so that bounds are compared. "
        "A tenth of the train cells decides which epoch is kept; the package does not stop early. "
        "The joint latent is the mean over all subsets of their posterior means; here it is the product of all experts.",
    },
}

BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"  # of torchvision's operators


@dataclass(kw_only=True)
class MultiVae:
    """A model of the package and its trainer; the epoch with the best validation loss is kept.

    Attributes
    ----------
    latent, hidden
        Dimensions of the latent; width of the one hidden layer of every encoder and decoder.
    epochs, learning_rate
        Of the package's trainer, which uses Adam.
    """

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 20
    hidden: Annotated[int, "at least 1"] = 128
    epochs: Annotated[int, "at least 1"] = 100
    learning_rate: Annotated[float, "above 0", {"float": [0.0003, 0.003], "log": True}] = 1e-3

    model_name = ""  # the package's name of the model
    options = {}  # keyword of the package's configuration -> hyperparameter

    def fit(self, train: Split, seed: int) -> History:
        """Train the package's model; return its history."""
        need(CARDS["multivae_mvae"])
        losses, validation_losses = [], []
        with apart(seed, silent=True), seeded(seed):
            Distribution.set_default_validate_args(False)  # the package looks for NaN in the loss
            _load_torchvision()
            from multivae import models
            from multivae.data import MultimodalBaseDataset
            from multivae.trainers import BaseTrainer, BaseTrainerConfig
            from multivae.trainers.base.callbacks import TrainingCallback

            class Recorder(TrainingCallback):
                def on_log(self, config: object, logs: dict[str, float], **others: object) -> None:
                    losses.append(logs["train_epoch_loss"])
                    validation_losses.append(logs["eval_epoch_loss"])

            def dataset(cells: Cells) -> MultimodalBaseDataset:
                return MultimodalBaseDataset(
                    {modality: torch.as_tensor(x) for modality, x in cells.values.items()}
                )

            chosen, validating = split_off(train.observing(*train.modalities), seed)
            self.features = dict(train.features)
            config = getattr(models, f"{self.model_name}Config")(
                n_modalities=len(self.features),
                latent_dim=self.latent,
                input_dims={m: (width,) for m, width in self.features.items()},
                **{key: getattr(self, name) for key, name in self.options.items()},
            )
            networks = _networks(self.features, self.hidden, self.latent)
            model = getattr(models, self.model_name)(config, **networks)
            for modality, decoder in networks["decoders"].items():
                model.recon_log_probs[modality] = decoder.log_likelihood
            trainer = BaseTrainer(
                model,
                train_dataset=dataset(chosen),
                eval_dataset=dataset(validating),
                training_config=BaseTrainerConfig(
                    output_dir=".",
                    num_epochs=self.epochs,
                    learning_rate=self.learning_rate,
                    per_device_eval_batch_size=1024,
                    seed=seed,
                ),
                callbacks=[Recorder()],
            )
            try:
                trainer.train()
            except ArithmeticError as error:  # the package's, of a loss that is not finite
                raise Diverged(str(error)) from error
        self.model = trainer._best_model.eval()  # otherwise the package only writes it to a file
        return history(loss=losses, validation_loss=validation_losses)

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior mean given the observed modalities, (cells, latent)."""
        return by_pieces(
            lambda x: self.model.encode(**self._inputs(x), return_mean=True).z, cells, device()
        )

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the target's decoded mean, (cells, features), standardised."""

        def imputed(x: Minibatch) -> Tensor:
            return self.model.predict(**self._inputs(x), gen_mod=target, return_mean=True)[target]

        return by_pieces(imputed, cells, device())

    def _inputs(self, x: Minibatch) -> dict[str, object]:
        from multivae.data import MultimodalBaseDataset

        observed = dict(x.items())
        of_device = next(iter(observed.values())).device
        absent = {
            m: torch.zeros(x.cells, width, device=of_device)
            for m, width in self.features.items()
            if m not in observed
        }
        return {"inputs": MultimodalBaseDataset(observed | absent), "cond_mod": list(observed)}


def _load_torchvision() -> None:
    """Import torchvision, which multivae needs, also beside another build of torch.

    The import then fails for want of two compiled operators, which nothing here uses.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", BOXES)
        import torchvision  # noqa: F401


def _networks(
    features: dict[str, int], hidden: int, latent: int
) -> dict[str, dict[str, nn.Module]]:
    from multivae.models.base import BaseDecoder, BaseEncoder, ModelOutput

    class Encoder(BaseEncoder):
        def __init__(self, width: int):
            BaseEncoder.__init__(self)
            self.latent_dim = latent
            self.network = mlp(width, hidden, 2 * latent)

        def forward(self, x: Tensor) -> ModelOutput:
            mean, log_variance = self.network(x).chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self, width: int):
            BaseDecoder.__init__(self)
            self.latent_dim = latent
            self.own = GaussianDecoder(latent, hidden, width)

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.own.expected(z))

        def log_likelihood(self, mean: Tensor, x: Tensor) -> Tensor:
            sd = softplus(self.own.spread) + self.own.smallest_sd
            return Normal(mean, sd, validate_args=False).log_prob(x)

    return {
        "encoders": {modality: Encoder(width) for modality, width in features.items()},
        "decoders": {modality: Decoder(width) for modality, width in features.items()},
    }


@dataclass(kw_only=True)
class MultiVaeMVAE(MultiVae):
    """The package's MVAE, without random subsets beyond the single modalities.

    Its products of experts contain the prior, as in this project's `mvae`.

    Attributes
    ----------
    beta
        Weight of the divergence from the prior.
    warmup
        Epochs over which it rises from 0.
    """

    beta: Annotated[float, "at least 0", {"float": [0.03, 10.0], "log": True}] = 1.0
    warmup: Annotated[int, "at least 0"] = 10

    model_name = "MVAE"
    options = {"beta": "beta", "warmup": "warmup"}


@dataclass(kw_only=True)
class MultiVaeMMVAE(MultiVae):
    """The package's MMVAE: importance weighted, Laplace posteriors, a prior with a learned width.

    Gradients are doubly reparameterised.

    This project's `mmvae` with `objective: dreg` is `posterior: normal, learn_prior: false` here.

    Attributes
    ----------
    posterior
        Distribution of posteriors and prior.
    learn_prior
        Whether the prior's width is learned.
    samples
        Draws per expert.
    """

    posterior: Literal["laplace_with_softmax", "normal"] = "laplace_with_softmax"
    learn_prior: bool = True
    samples: Annotated[int, "at least 1", {"int": [5, 20], "log": True}] = 10

    model_name = "MMVAE"
    options = {
        "K": "samples",
        "prior_and_posterior_dist": "posterior",
        "learn_prior": "learn_prior",
    }


@dataclass(kw_only=True)
class MultiVaeMoPoE(MultiVae):
    """The package's MoPoE: only the product of all modalities contains the prior as an expert.

    In this project's `mopoe` no product does.

    Attributes
    ----------
    beta
        Weight of the divergence from the prior.
    """

    beta: Annotated[float, "at least 0", {"float": [0.03, 10.0], "log": True}] = 1.0

    model_name = "MoPoE"
    options = {"beta": "beta"}
