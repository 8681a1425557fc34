"""An application with hydra's `key=value` arguments."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    penalty = 0.0 if config.optimizer.name == "adam" else 0.1
    loss = (config.optimizer.lr - 0.01) ** 2 + 1 / config.model.width + penalty
    print(f"loss: {loss:.6f}")


if __name__ == "__main__":
    main()
