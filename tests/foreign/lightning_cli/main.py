"""A line fitted to noise, through Lightning's own command line."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningCLI
from torch.utils.data import DataLoader, TensorDataset


class Line(LightningModule):
    def __init__(self, lr: float = 0.1, batch_size: int = 16) -> None:
        super().__init__()
        self.lr, self.batch_size = lr, batch_size
        self.layer = torch.nn.Linear(4, 1)
        inputs = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
        self.data = TensorDataset(inputs, inputs.sum(dim=1, keepdim=True))

    def training_step(self, batch, _index):
        inputs, targets = batch
        return torch.nn.functional.mse_loss(self.layer(inputs), targets)

    def validation_step(self, batch, _index):
        inputs, targets = batch
        self.log("val_loss", torch.nn.functional.mse_loss(self.layer(inputs), targets))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self):
        return DataLoader(self.data, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.data, batch_size=96)


if __name__ == "__main__":
    LightningCLI(Line, seed_everything_default=1)
