"""The section ``tracking:`` of a study file: to which trackers a search is sent. `outlast.config.settings` says how it is read.

Text may take its secrets from the environment, ``${NAME}``: so they stand in no record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct, to_builtins
from msgspec.structs import asdict

from outlast.config.chosen import ChosenSettings
from outlast.config.secrets import is_masked, variables_in, with_variables

if TYPE_CHECKING:
    from outlast.config.scalars import Text
    from outlast.config.sections import LABELS, SINKS, section
    from outlast.config.shapes import ListOf


class MlflowSettings(Struct, frozen=True, kw_only=True):
    """An MLflow server, or a local database or folder of MLflow's."""

    uri: Annotated[str | None, "MLflow's tracking URI; by default MLFLOW_TRACKING_URI, or what MLflow itself takes"] = (
        None
    )
    experiment: Annotated[
        str | None, "the experiment's name; by default NAME-hpo, with the backbone where there is one"
    ] = None
    run_name: Annotated[str | None, "the parent run's name; by default hpo_ and the time of the study's creation"] = (
        None
    )
    artifacts: Annotated[bool, "whether logs, configurations, tables and best files are uploaded"] = True
    log_best_checkpoint: Annotated[bool, "whether the best trial's checkpoint is uploaded at the end"] = False
    tags: Annotated[Mapping[str, str], LABELS, "tags of every run"] = {}
    config: Annotated[
        str | None, "a file such as config/mlflow.yaml: where it enables `azure_ml`, its workspace instead of this"
    ] = None  # followed when the study file is read, and not on record


class AzureSettings(Struct, frozen=True, kw_only=True):
    """An Azure ML workspace."""

    enabled: Annotated[bool, "false: as if it were not there"] = True
    workspace_name: Annotated[
        str | None, "the workspace; by default what config/mlflow.yaml, where the command runs, says"
    ] = None
    resource_group: Annotated[str | None, "its resource group; by default AZURE_RESOURCE_GROUP"] = None
    subscription_id: Annotated[str | None, "its subscription; by default AZURE_SUBSCRIPTION_ID"] = None
    experiment: Annotated[str | None, "as with mlflow"] = None
    run_name: Annotated[str | None, "as with mlflow"] = None
    artifacts: Annotated[bool, "as with mlflow"] = True
    log_best_checkpoint: Annotated[bool, "as with mlflow"] = False
    tags: Annotated[Mapping[str, str], LABELS, "as with mlflow"] = {}


class WandbSettings(Struct, frozen=True, kw_only=True):
    """Weights & Biases."""

    project: Annotated[str | None, "the project; by default WANDB_PROJECT, or the study's name"] = None
    entity: Annotated[str | None, "the team or user"] = None
    dir: Annotated[str | None, "where W&B keeps its files"] = None
    mode: Annotated[str | None, "online or offline, as WANDB_MODE"] = None
    tags: Annotated[tuple[str, ...], ListOf(Text()), "of every run"] = ()


class TensorboardSettings(Struct, frozen=True, kw_only=True):
    """Event files for TensorBoard."""

    dir: Annotated[str | None, "their folder; by default tensorboard/ in the study folder"] = None


class TrackingSettings(Struct, frozen=True, kw_only=True):
    """Where a search is sent: never waited for, and what was missed is sent later."""

    mlflow: Annotated[MlflowSettings | None, section(MlflowSettings), "an MLflow server or database"] = None
    azure_ml: Annotated[AzureSettings | None, section(AzureSettings), "an Azure ML workspace"] = None
    wandb: Annotated[WandbSettings | None, section(WandbSettings), "Weights & Biases"] = None
    tensorboard: Annotated[TensorboardSettings | None, section(TensorboardSettings), "event files"] = None
    sinks: Annotated[
        tuple[ChosenSettings, ...], SINKS, "classes of your own by their dotted paths, or mappings of name and options"
    ] = ()

    @classmethod
    def of(cls, given: Any) -> TrackingSettings:
        """What a study file says: a tracker's name, several, or a mapping. What only earlier versions took says nothing."""
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            given = [given]
        if isinstance(given, (list, tuple)):
            known: dict[str, Any] = {name: {} for name in given if name in TRACKERS}
            given = {**known, "sinks": [name for name in given if isinstance(name, str) and name not in TRACKERS]}
        found: dict[str, Any] = {}
        for name, value in given.items() if isinstance(given, Mapping) else ():
            if name == "sinks" and isinstance(value, (list, tuple)):
                found[name] = tuple(ChosenSettings.of(each) for each in value if isinstance(each, (str, Mapping)))
            elif name in TRACKERS and (value is None or isinstance(value, Mapping)):
                found[name] = _held(TRACKERS[name], value)
        return cls(**found)

    def __bool__(self) -> bool:
        """Whether it is sent anywhere."""
        return bool(self.chosen)

    @property
    def plain(self) -> dict[str, Any]:
        """The same as plain data that `of` reads, secrets included: for a process of ours, not for a record."""
        ours = {name: to_builtins(each) for name in TRACKERS if (each := getattr(self, name)) is not None}
        return {**ours, "sinks": [{"name": each.name, **each.options} for each in self.sinks]}

    @property
    def chosen(self) -> dict[str, Struct]:
        """Each tracker that is sent to, by its name, with its settings; a class of one's own by its path."""
        ours = {name: getattr(self, name) for name in TRACKERS}
        ours = {name: each for name, each in ours.items() if each is not None and getattr(each, "enabled", True)}
        return {**ours, **{each.name: each for each in self.sinks}}


#: The trackers that have a name, and their keys.
TRACKERS: Mapping[str, type[Struct]] = {
    "mlflow": MlflowSettings,
    "azure_ml": AzureSettings,
    "wandb": WandbSettings,
    "tensorboard": TensorboardSettings,
}


def _held(cls: type[Struct], given: Mapping[str, Any] | None) -> Struct | None:
    """A tracker's settings as far as this version knows its keys."""
    if given is None:
        return None
    known = {key: value for key, value in given.items() if key in cls.__struct_fields__ and value is not None}
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in known.items()})


def lacking_in(settings: Struct, environment: Mapping[str, str]) -> str:
    """Why a tracker's settings cannot be used as they are: a secret that is not on record, a variable that is not there."""
    texts = [*_texts(asdict(settings))]
    if any(is_masked(text) for text in texts):
        return "a secret in its settings is not on record: write it as ${NAME} of the environment"
    missing = sorted(name for name in variables_of(settings) if not environment.get(name))
    return f"needs {', '.join(missing)}, which the environment does not have" if missing else ""


def variables_of(settings: Struct) -> set[str]:
    """The variables of the environment that a tracker's settings name."""
    return {name for text in _texts(asdict(settings)) for name in variables_in(text)}


def filled_settings(value: Any, environment: Mapping[str, str]) -> Any:
    """The same settings, or text in them, with ``${NAME}`` of the environment in place."""
    if isinstance(value, str):
        return with_variables(value, environment)
    if isinstance(value, Struct):
        return type(value)(**{key: filled_settings(one, environment) for key, one in asdict(value).items()})
    if isinstance(value, Mapping):
        return {key: filled_settings(one, environment) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(filled_settings(one, environment) for one in value)
    return value


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in _texts(one)]
    return [text for one in value for text in _texts(one)] if isinstance(value, (list, tuple)) else []
