"""A sink by the name of its tracker, or of any class by its dotted path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from outlast.config.chosen import ChosenSettings
from outlast.config.plugins import build, check_options, load_class
from outlast.config.tracking_section import MlflowSettings, filled_settings, lacking_in
from outlast.errors import StudyFileError
from outlast.tracking.sink import Sink, SinkError

#: Each is made with its section of the study file; `mlflow`, whose sink others build on, with the section's keys by name.
_OURS: Mapping[str, str] = {
    "mlflow": "outlast.tracking.mlflow_sink:MlflowSink",
    "azure_ml": "outlast.tracking.azure_sink:AzureSink",
    "wandb": "outlast.tracking.wandb_sink:WandbSink",
    "tensorboard": "outlast.tracking.tensorboard_sink:TensorboardSink",
}
#: The package that each needs.
PACKAGES: Mapping[str, str] = {
    "mlflow": "mlflow",
    "azure_ml": "azureml.mlflow",
    "wandb": "wandb",
    "tensorboard": "tensorboard",
}
#: What installs it.
EXTRAS: Mapping[str, str] = {
    "mlflow": "pip install 'outlast[mlflow]'",
    "azure_ml": "pip install 'outlast[azure]'",
    "wandb": "pip install 'outlast[wandb]'",
    "tensorboard": "pip install 'outlast[tensorboard]'",
}


def make_sink(name: str, settings: Struct, environment: Mapping[str, str]) -> Sink:
    """The sink of a tracker, not opened yet.

    Args:
        name: As `TrackingSettings.chosen` has it.
        settings: Its own.
        environment: Where ``${NAME}`` in them is taken from.

    Raises:
        SinkError: It cannot be used as it is: it does not last to try again.
    """
    if lacking := lacking_in(settings, environment):
        raise SinkError(lacking, lasting=True)
    written, settings = settings, filled_settings(settings, environment)
    if isinstance(settings, ChosenSettings):
        return _own(name, settings.options)
    module, _, attribute = _OURS[name].partition(":")
    try:
        made: Callable[..., Sink] = getattr(import_module(module), attribute)
        if isinstance(settings, MlflowSettings):
            options = {key: value for key, value in asdict(settings).items() if key != "config"}
            return made(**options, handed_uri=getattr(written, "uri", None))
        return made(settings)
    except ImportError as error:
        missing = f"needs {error.name or module}, which is not installed here"
        raise SinkError(missing, cure=EXTRAS[name], lasting=True) from error


def _own(name: str, options: Mapping[str, Any]) -> Sink:
    """A class of a person's own, made with its options by name."""
    try:
        cls: type[Any] = load_class(name, object, "tracking.sinks", "a class")
        lacking = [each for each in ("open", "send", "close") if not callable(getattr(cls, each, None))]
        if lacking:
            raise SinkError(f"{name} is no sink: it lacks {', '.join(lacking)}", lasting=True)
        check_options(name, options, "tracking.sinks", of=cls)
        made: Sink = build(cls, name, options, "tracking.sinks")
    except StudyFileError as error:
        raise SinkError(error.fact, cure=error.cure or "", lasting=True) from error
    return made
