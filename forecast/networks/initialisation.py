"""How weights begin."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


def initialise(network: nn.Module) -> None:
    """Set recurrent weights orthogonal, gate by gate, input weights Xavier, and an LSTM's forget bias 1.

    References
    ----------
    Saxe et al. (2014), Exact solutions to the nonlinear dynamics of learning (orthogonal); Gers et al.
    (2000), Learning to forget, and Jozefowicz et al. (2015), An empirical exploration of recurrent network
    architectures (forget bias). torch adds two biases, so one holds the 1 and the other 0.
    """
    for module in network.modules():
        if isinstance(module, nn.RNNBase):
            for name, weight in module.named_parameters():
                if name.startswith("weight_hh"):
                    for gate in weight.data.split(weight.shape[1]):
                        nn.init.orthogonal_(gate)
                elif name.startswith("weight_ih"):
                    for gate in weight.data.split(module.hidden_size):
                        nn.init.xavier_uniform_(gate)
                else:
                    nn.init.zeros_(weight)
                    if isinstance(module, nn.LSTM) and name.startswith("bias_ih"):
                        weight.data[module.hidden_size : 2 * module.hidden_size] = 1.0


def orthogonal_heads(weight: Tensor) -> None:
    """Set the weights (heads, D, gates D) of a cell of ours orthogonal, head by head and gate by gate."""
    for head in weight.data:
        for gate in head.split(weight.shape[1], dim=1):
            nn.init.orthogonal_(gate)


def forget_logits(count: int, *, longest: int) -> Tensor:
    """Return biases (count,) of forget gates: units begin to remember from 1 to `longest` steps, evenly on a log scale.

    References
    ----------
    Tallec and Ollivier (2018), Can recurrent neural networks warp time?, section 3.2 (there evenly, and at random).
    """
    return torch.linspace(0.0, float(np.log(max(longest, 1))), count)
