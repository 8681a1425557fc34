"""What a run says first of its trackers: where it is sent. No tracker's package is loaded, and none is asked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from outlast.config.secrets import mask_text
from outlast.config.settings import Settings
from outlast.core.file_names import StudyNames

if TYPE_CHECKING:
    from msgspec import Struct

    from outlast.config.tracking_section import WandbSettings


def tracked_where(settings: Settings, folder: str) -> list[tuple[str, str]]:
    """A label and text for each tracker: ``tracking``, ``MLflow http://tracker:5000, experiment digits-hpo``.

    Args:
        settings: The study's; ``${NAME}`` in them stays as it is.
        folder: The study folder.
    """
    chosen = settings.tracking.chosen
    said = [mask_text(_said(name, its, settings, folder)) for name, its in chosen.items()]
    return [("" if at else "tracking", f"{text} (sent behind the run)") for at, text in enumerate(said)]


def _said(name: str, its: Struct, settings: Settings, folder: str) -> str:
    from outlast.config.tracking_section import AzureSettings, MlflowSettings, TensorboardSettings, WandbSettings

    env, cwd = {**os.environ, **settings.env}, os.path.abspath(settings.working_directory)
    if isinstance(its, MlflowSettings):
        from outlast.tracking.mlflow_place import tracking_uri

        return f"MLflow {_bare(tracking_uri(its.uri, cwd, env))}, experiment {its.experiment or _experiment(settings)}"
    if isinstance(its, AzureSettings):
        return f"Azure ML workspace {its.workspace_name}, experiment {its.experiment or _experiment(settings)}"
    if isinstance(its, WandbSettings):
        return ", ".join(_of_wandb(its, settings.name, env))
    if isinstance(its, TensorboardSettings):
        return f"TensorBoard {its.dir or os.path.join(folder, StudyNames.tensorboard.name, '')}"
    return name


def _of_wandb(its: WandbSettings, name: str, env: Mapping[str, str]) -> Iterator[str]:
    yield f"W&B project {its.project or env.get('WANDB_PROJECT') or name}"
    if entity := its.entity or env.get("WANDB_ENTITY"):
        yield f"entity {entity}"
    if (its.mode or env.get("WANDB_MODE")) == "offline":
        yield "offline"


def _experiment(settings: Settings) -> str:
    from outlast.tracking.mlflow_content import experiment_named

    return experiment_named(settings.name, settings.space.constants, settings.resolved)


def _bare(uri: str) -> str:
    """An address without who asks there: ``http://tracker:5000``."""
    return re.sub(r"//[^/]*@", "//", uri)
