"""The one LightningModule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from forecast.batch import Batch
from forecast.config import build
from forecast.data.windows import step_seed
from forecast.model import Model
from forecast.training.divergence import divergence
from forecast.training.settings import Training
from forecast.training.trainer import VALID


class ForecastModule(pl.LightningModule):
    """Trains any `Model`: each step's loss, schedule and random numbers are functions of seed and step.

    Parameters
    ----------
    model : Model
        Scaler, network and loss.
    training : Training
        Settings; its learning rate is a number here.
    seed : int
        Draws dropout.
    ids : sequence of str
        Names of the series, for messages: the first is that of series number 1.
    """

    def __init__(self, model: Model, training: Training, *, seed: int, ids: Sequence[str] = ()) -> None:
        super().__init__()
        self.model, self.training_settings, self.seed, self.ids = model, training, seed, ids
        self.losses: list[Tensor] = []
        self.norms: list[Tensor] = []  # of gradient, before it is clipped, and weights: (2,) each
        self.valid_losses: dict[int, float] = {}
        self.start = 0
        rate = training.learning_rate if training.learning_rate == "find" else float(training.learning_rate)
        self.peaks: dict[int, float] = {0: rate}  # by the step from which they hold
        self.lowered = 0
        self.moments: dict[int, Any] = {}
        self._batch: Batch

    @property
    def done(self) -> int:
        """Steps done, those before a resumption included."""
        return self.start + self.global_step

    @property
    def learning_rate(self) -> float:
        """The peak of the schedule from here on."""
        return self.peaks[max(self.peaks)]

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, the first of which is 1."""
        peak = self.peaks[max(begin for begin in self.peaks if begin < step)]
        return peak * FACTORS[self.training_settings.schedule]((step - 1) / self.training_settings.steps)

    def seed_step(self) -> None:
        """Seed what is random in this step, such as dropout."""
        seed = step_seed(self.seed, self.done)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed formats a stack trace for each absent device
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed the step, and tell the model how far training has come."""
        self.seed_step()
        self.model.progress(self.done / self.training_settings.steps)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Return the batch as it is: windows are cut on the device where the panel lies."""
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        self._batch = batch
        loss = self.model.training_loss(*batch)
        self.losses.append(loss.detach())
        return loss

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradient; refuse one that is not finite, or such a loss, before the optimiser moves.

        Raises
        ------
        Diverged
            Names the step and the series; the weights are still those before it.
        """
        told = self.losses[-1]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        self.norms.append(torch.stack([norm, nn.utils.get_total_norm([weight.detach() for weight in weights])]))
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            # Where losses are scaled, gradients overflow now and then, and the scaler leaves out such a step.
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:
            if gradient_clip_val and gradient_clip_algorithm == "value":
                self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            elif gradient_clip_val:
                nn.utils.clip_grads_with_norm_(weights, gradient_clip_val, norm)
            told = told + norm  # one number, read from the device in one go
        if not math.isfinite(told):
            self.seed_step()
            place = f"at step {self.done + 1} of {self.training_settings.steps}"
            raise divergence(self, self._batch, place=place, is_whole=True)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the loss over what a held-back batch observed."""
        loss = self.model.training_loss(*batch)
        if not math.isfinite(loss):
            place = f"on the steps held back, after step {self.done} of {self.training_settings.steps}"
            raise divergence(self, batch, place=place, is_whole=False)
        self.log(VALID, loss, batch_size=int(batch[1].observed.sum()), logger=False)

    def on_validation_epoch_end(self) -> None:
        """Note the validation loss of this step, and hand it to the logger."""
        self.valid_losses[self.done] = float(self.trainer.callback_metrics[VALID])
        if self.trainer.logger is not None:
            self.trainer.logger.log_metrics({VALID: self.valid_losses[self.done]}, self.done)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and the schedule, which moves each step."""
        settings = self.training_settings
        optimizer = self._optimizer(self._trained(), self.learning_rate)
        if self.moments:
            optimizer.load_state_dict({**optimizer.state_dict(), "state": self.moments})
        factor, start = FACTORS[settings.schedule], self.start
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor((start + step) / settings.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def first_moments(self) -> dict[int, Any]:
        """Return what the optimiser holds after one step of copies of the weights: what its state looks like."""
        copies = [weights.detach().clone() for weights in self._trained()]
        for weights in copies:
            weights.grad = torch.zeros_like(weights)
        optimizer = self._optimizer(copies, 1.0)
        optimizer.step()
        return optimizer.state_dict()["state"]

    def _trained(self) -> list[Tensor]:
        return [weights for weights in self.model.parameters() if weights.requires_grad]

    def _optimizer(self, weights: list[Tensor], rate: float) -> Any:
        return build("optimizer", self.training_settings.optimizer, weights, lr=rate)


FACTORS = {  # share of the peak learning rate, by the share of the steps done
    "constant": lambda done: 1.0,
    "cosine": lambda done: _cosine(1.0, 0.001, done),
    "one_cycle": lambda done: _cosine(0.04, 1.0, done / 0.2) if done < 0.2 else _cosine(1.0, 0.001, (done - 0.2) / 0.8),
}


def _cosine(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
