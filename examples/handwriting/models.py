"""Two small networks that turn a line of handwriting into an embedding, and the losses that train them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution and two pointwise layers around a residual (Liu et al. 2022, arXiv:2201.03545)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, width, h, w)`` to the same shape."""
        mixed = self.mix(self.norm(self.depthwise(x).movedim(1, -1)))
        return x + mixed.movedim(-1, 1)


class ConvNeXt(nn.Module):
    """Patches of 4×4 pixels, two stages of blocks, a mean over what is left."""

    def __init__(self, width: int, depth: int, dropout: float, embedding: int) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Conv2d(1, width, 4, stride=4)]
        stages += [ConvNeXtBlock(width, dropout) for _ in range(depth)]
        stages += [nn.Conv2d(width, 2 * width, 2, stride=2)]
        stages += [ConvNeXtBlock(2 * width, dropout) for _ in range(depth)]
        self.stages, self.head = nn.Sequential(*stages), nn.Linear(2 * width, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 1, height, width)`` to ``(n, embedding)``."""
        return self.head(self.stages(x).mean(dim=(2, 3)))


class ViT(nn.Module):
    """A transformer over patches of 8×8 pixels (Dosovitskiy et al. 2021, arXiv:2010.11929), a mean over their outputs."""

    def __init__(self, width: int, depth: int, dropout: float, embedding: int, patches: int = 80) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, 8, stride=8)
        self.place = nn.Parameter(torch.randn(1, patches, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width,
            nhead=4,
            dim_feedforward=2 * width,
            dropout=dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 1, height, width)`` to ``(n, embedding)``."""
        return self.head(self.layers(self.patch(x).flatten(2).transpose(1, 2) + self.place).mean(dim=1))


class WriterNet(nn.Module):
    """An embedding, and a score for each writer."""

    def __init__(self, arch: str, writers: int, *, width: int, depth: int, dropout: float, embedding: int = 64) -> None:
        super().__init__()
        backbone = {"convnext": ConvNeXt, "vit": ViT}[arch]
        self.backbone, self.writers = backbone(width, depth, dropout, embedding), nn.Linear(embedding, writers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings and scores."""
        embedding = self.backbone((x - 0.15) / 0.25)
        return embedding, self.writers(F.gelu(embedding))


def focal_loss(scores: Tensor, shares: Tensor, gamma: float) -> Tensor:
    """Cross-entropy that looks away from what is known already (Lin et al. 2017, arXiv:1708.02002); 0 is cross-entropy.

    Args:
        scores: ``(n, writers)``.
        shares: How much of each picture is whose, ``(n, writers)``: not 0 or 1 where two pictures were mixed.
        gamma: How far it looks away.
    """
    logs = F.log_softmax(scores, dim=1)
    return -(shares * (1 - logs.exp()) ** gamma * logs).sum(dim=1).mean()


def triplet_loss(embeddings: Tensor, writers: Tensor, margin: float) -> Tensor:
    """For each picture the farthest of the same writer and the nearest of another (Hermans et al. 2017, arXiv:1703.07737)."""
    unit = F.normalize(embeddings, dim=1)
    distance = (2 - 2 * unit @ unit.T).clamp_min(1e-6).sqrt()
    same = writers[:, None] == writers[None, :]
    farthest = distance.masked_fill(~same, -1.0).amax(dim=1)
    nearest = distance.masked_fill(same, 9.0).amin(dim=1)
    return F.relu(farthest - nearest + margin).mean()
