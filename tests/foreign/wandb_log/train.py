"""Arguments in, `wandb.log` out; nothing is printed."""

import argparse

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--depth", type=int, required=True)
args = parser.parse_args()

wandb.init(project="foreign", config=vars(args))
for epoch in range(3):
    wandb.log({"epoch": epoch, "val_loss": (args.lr - 0.1) ** 2 + 1 / (epoch + args.depth)})
wandb.finish()
