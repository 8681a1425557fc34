"""Trainings of small networks with torch: parameters and a seed in, the curve of losses out."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from training.data_sets import scaled, split

Params = dict[str, Any]
EPOCHS = 27
_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def _network(p: Params, inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(p["depth"]):
        layers += [nn.Linear(inputs, p["width"]), _ACTIVATIONS[p.get("activation", "relu")]()]
        if p.get("dropout"):
            layers.append(nn.Dropout(p["dropout"]))
        inputs = p["width"]
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _optimizer(p: Params, net: nn.Module) -> torch.optim.Optimizer:
    decay = p.get("weight_decay", 0.0)
    match p.get("optimizer", "sgd"):
        case "sgd":
            return torch.optim.SGD(net.parameters(), lr=p["lr"], momentum=p["momentum"], weight_decay=decay)
        case "adam":
            return torch.optim.Adam(net.parameters(), lr=p["lr"], weight_decay=decay)
    return torch.optim.RMSprop(net.parameters(), lr=p["lr"], weight_decay=decay)


def _factor(p: Params, epoch: int) -> float:
    match p.get("schedule", "constant"):
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * epoch / EPOCHS))
        case "step":
            return float(p["gamma"]) ** (epoch // 5)
    return 1.0


def _train(p: Params, seed: int, data: str, train: int, loss: Any, outputs: int) -> list[float]:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    x, y, x_valid, y_valid = split(data, seed, train)
    x, x_valid = (torch.tensor(each, dtype=torch.float32) for each in scaled("standard", x, x_valid))
    y, y_valid = (torch.tensor(each, dtype=torch.long if outputs > 1 else torch.float32) for each in (y, y_valid))
    if outputs == 1:  # targets in spreads around their middle
        middle, spread = y.mean(), y.std()
        y, y_valid = ((each.unsqueeze(1) - middle) / spread for each in (y, y_valid))
    net = _network(p, x.shape[1], outputs)
    optimizer, losses = _optimizer(p, net), []
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: _factor(p, epoch))
    for _ in range(EPOCHS):
        net.train()
        for rows in torch.randperm(len(x)).split(p["batch_size"]):
            optimizer.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
        net.eval()
        with torch.no_grad():
            losses.append(float(loss(net(x_valid), y_valid)))
        if not math.isfinite(losses[-1]):
            break
    return losses


def net_digits(p: Params, seed: int) -> list[float]:
    """A cross-entropy an epoch."""
    return _train(p, seed, "digits", 250, nn.functional.cross_entropy, 10)


def net_diabetes(p: Params, seed: int) -> list[float]:
    """A mean squared error an epoch, in the spread of the target."""
    return _train(p, seed, "diabetes", 200, nn.functional.mse_loss, 1)


def net_diverges(p: Params, seed: int) -> list[float]:
    """As `net_diabetes`, with rates so high that the loss overflows, and networks that do not fit the memory."""
    if p["depth"] * p["width"] ** 2 > 200_000:
        raise MemoryError("the network does not fit")
    return _train(p, seed, "diabetes", 200, nn.functional.mse_loss, 1)
