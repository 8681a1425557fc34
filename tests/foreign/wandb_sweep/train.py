"""A script made for W&B's sweeps: it takes no argument; its configuration comes through WANDB_SWEEP_PARAM_PATH."""

import wandb

with wandb.init() as run:
    for epoch in range(3):
        run.log({"val_loss": (run.config.lr - 0.1) ** 2 + 1 / (epoch + run.config.depth)})
