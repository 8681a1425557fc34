"""An application for Hydra's sweepers: its main function returns what is optimised, and prints nothing."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.1", config_path="conf", config_name="config")  # changes the working directory
def main(config: DictConfig) -> float:
    return (config.optimizer.lr - 0.01) ** 2 + 1 / config.model.width


if __name__ == "__main__":
    main()
