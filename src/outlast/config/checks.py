"""What single keys cannot say: whether the parts of a study file fit each other, and the files that it names."""

from __future__ import annotations

import os
import select
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from outlast.config.command import GROUPED, MACRO
from outlast.config.key_hints import SBATCH
from outlast.config.range_notes import range_notes
from outlast.config.secrets import secret_in
from outlast.config.sections import hyperband
from outlast.config.settings import Settings
from outlast.config.shapes import At
from outlast.config.yaml import names_in
from outlast.core.nearest import nearest
from outlast.errors import StudyFileError
from outlast.space.parameters import SpaceError
from outlast.space.space import Space, flat

#: Macros that hand the parameters over nested.
_NESTING = ("args_json", "args_json_file")

#: Keys that reach a trial through the study's record.
_RECORDED = ("command", "trial", "check", "parameters", "enqueue", "executor", "slurm")


def refuse_secrets(at: At) -> None:
    """Refuse secrets that only the record could hand on: it leaves them out.

    Raises:
        StudyFileError: At the value.
    """
    for key in _RECORDED:
        _secrets(at.document.data.get(key), at.child(key))


def enqueued(settings: Settings, at: At) -> Settings:
    """The settings with `enqueue` by dotted names, each value checked against its parameter.

    An objective that draws its parameters as it goes has none to check them against: it gets what fits when it asks.
    """
    if settings.function is not None and not settings.parameters:
        return settings
    space = _space(settings, at)
    entries = []
    for index, entry in enumerate(settings.enqueue):
        place = at.child("enqueue").child(index)
        names = {parameter.name for parameter in space.parameters}
        given = flat(entry, names).items()
        values = {name: value for name, value in given if value != {} or name in names}  # an empty group says nothing
        for name, value in values.items():
            try:
                space.encode({name: value})
            except SpaceError as error:
                raise place.child(name).error(error.fact, error.cure) from None
            except ValueError as error:
                raise place.child(name).error(str(error).removeprefix(f"{name}: ")) from None
        entries.append(values)
    return replace(settings, enqueue=tuple(entries))


def check(settings: Settings, at: At, *, files: bool) -> tuple[str, ...]:
    """Refuse impossible pairs and missing files; what is merely odd comes back as notes.

    Raises:
        StudyFileError: The parts do not fit each other.
    """
    space = _space(settings, at)
    if settings.command is not None and at.document.data.get("parameters") is None:
        raise at.error("says no parameters", "add `parameters:`, such as `lr: log(1e-5, 1e-1)`")
    notes = range_notes(at.document.data.get("parameters"), settings.parameters)
    notes += [*_constraints(settings, space, at), *_sampler(settings, space, at), *_budget(settings, space, at)]
    if files:
        _sbatch_words(settings.slurm or {}, at.child("slurm"))
        _enqueued_hold(settings, space, at)
    _nesting(settings, space, at)
    _pruner(settings, at)
    _oom(settings, at)
    _isolation(settings, at, here=files)
    _sinks(settings, at.child("tracking"))
    if files and settings.config is not None:
        notes += _config_file(settings, at)
    notes += _empty_trackers(at.document.data.get("tracking"))
    if settings.index.in_memory and settings.index.url is not None:
        notes.append("`index.url`: without effect beside `index.in_memory`, which keeps nothing")
    if settings.later.get("selection") is not None:
        notes.append("`selection`: without effect; `confirm.prefer` says how the best is chosen")
    return tuple(notes)


def _sinks(settings: Settings, at: At) -> None:
    """Of a class of one's own, one sink: they are told apart by its path."""
    names = [each.name for each in settings.tracking.sinks]
    if twice := next((name for name in names if names.count(name) > 1), None):
        cure = "one sink that sends to both, or a subclass for the second one"
        raise at.error(f"`{twice}` is there {names.count(twice)} times", cure)


def _isolation(settings: Settings, at: At, *, here: bool) -> None:
    mode, place = settings.isolation.mode, at.child("isolation")
    if mode == "process":
        return
    if settings.function is None:
        raise place.error(f"{mode} is for a function: a command is a process of its own", "isolation: process")
    if settings.executor.plugged:
        raise place.error(f"{mode} is for trials of this machine: a job imports for itself", "leave it out")
    if mode == "kept" and here and not hasattr(select, "epoll"):
        raise place.error(
            "kept workers need Linux: nothing elsewhere ends them with their coordinator", "isolation: worker"
        )
    if mode == "kept" and settings.resources.gpus:
        fact = "kept workers stay, and a process cannot be given another card: `resources.gpus` needs processes"
        raise place.error(fact, "isolation: worker")
    if mode == "kept" and any(metric.file is not None for metric in settings.metrics):
        raise place.error(
            "trials of kept workers leave no files of scores: `metric.file` needs processes", "isolation: worker"
        )


def parameter_place(at: At, name: str) -> At:
    """Where a parameter is defined, dotted or nested."""
    here, data = at.child("parameters"), at.document.data.get("parameters")
    while isinstance(data, Mapping):
        if name in data:
            return here.child(name)
        head = next((key for key in data if name.startswith(f"{key}.")), None)
        if head is None or not isinstance(data[head], Mapping):
            return here
        here, data, name = here.child(head).child("parameters"), data[head].get("parameters"), name[len(head) + 1 :]
    return here


def missing_file(at: At, name: str, folder: str) -> StudyFileError:
    """The error for a file that is named and is not there."""
    from difflib import get_close_matches  # loaded only where something is amiss

    parent, base = os.path.split(os.path.join(folder, name))
    close = [os.path.join(os.path.dirname(name), one) for one in get_close_matches(base, names_in(parent), n=1)]
    cure = f"did you mean `{close[0]}`?" if close else "paths start at the study file"
    return at.error(f"`{name}` does not exist", _elsewhere(name, at.document.file) or cure)


def _elsewhere(name: str, file: str) -> str | None:
    """The `cwd` from which a file that is named is there: a folder above the study file's, or where the person is."""
    home = os.path.dirname(os.path.abspath(file))
    if os.path.isabs(name) or not os.path.isfile(file):
        return None
    above = [os.path.normpath(os.path.join(home, *[os.pardir] * depth)) for depth in range(1, 7)]
    found = next((place for place in (os.getcwd(), *above) if os.path.exists(os.path.join(place, name))), None)
    if found is None or found == home:
        return None
    there = os.path.relpath(found, home)
    return f"it is in `{there}`, seen from the study file: write `cwd: {there}`, where the command is to run"


def _space(settings: Settings, at: At) -> Space:
    try:
        return settings.space
    except SpaceError as error:
        if error.constraint is not None:
            place = at.child("constraints")
            if isinstance(at.document.data.get("constraints"), list):
                place = place.child(settings.constraints.index(error.constraint))
            raise place.error(f"`{error.constraint}`: {error.fact}", error.cure) from None
        place = parameter_place(at, error.name or "")
        raise place.error(error.fact, error.cure) from None


def _constraints(settings: Settings, space: Space, at: At) -> list[str]:
    if not space.constraints:
        return []
    sample = {p.name: p.value for p in space.parameters if p.constant}
    for parameter in space.parameters:  # one that can never be active may be mentioned all the same
        values, latent = parameter.choices, parameter.latent
        if latent is None:
            continue
        sample[parameter.name] = (
            values[len(values) // 2] if values else parameter.decode((latent.low + latent.high) / 2)
        )
    for constraint in space.constraints:
        try:
            constraint.evaluate({name.replace("-", "_"): value for name, value in sample.items()})
        except TypeError as error:
            raise at.child("constraints").error(f"`{constraint.text}`: {error}") from None
        except ArithmeticError:
            continue  # this sample only: division by zero elsewhere is no fault
    if space.size == 0:
        raise at.child("constraints").error("no configuration satisfies them")
    return []


def _enqueued_hold(settings: Settings, space: Space, at: At) -> None:
    """Whether what is enqueued whole satisfies the constraints; the rest of a partial one is drawn so that it does."""
    for index, entry in enumerate(settings.enqueue if settings.parameters else ()):
        params = space.decode(space.encode(entry))
        if all(p.name in params for p in space.active(params)) and not space.satisfies(params):
            raise at.child("enqueue").child(index).error(space.fits(params) or "breaks a constraint", "change a value")


def _sampler(settings: Settings, space: Space, at: At) -> list[str]:
    name, place = settings.sampler.name, at.child("sampler")
    if name == "grid":
        for parameter in space.sampled:
            if parameter.choices is None:
                raise parameter_place(at, parameter.name).error(
                    f"is continuous ({parameter.distribution}): a grid needs `values`, whole numbers, or steps of `q`",
                    "give `values: […]`, or another sampler",
                )
    if name == "cmaes":
        if len(settings.metrics) > 1:
            raise place.error("cmaes takes one objective", "nsga2 or tpe take several")
        if space.sampled and all(p.latent is not None and p.latent.kind == "categorical" for p in space.sampled):
            return ["cmaes searches numbers only: with nothing but choices it draws at random"]
        if any(p.when for p in space.sampled):
            return ["cmaes leaves conditional parameters to random sampling"]
    return []


def _nesting(settings: Settings, space: Space, at: At) -> None:
    """A nested configuration holds a value at a name, or names below it, but not both."""
    words = [macro for item in settings.command or () for macro in MACRO.findall(item)]
    macro = next((word for word in words if word in _NESTING or word.endswith(GROUPED)), None)
    takes = "a function" if settings.function else "`config:`" if settings.config else f"${{{macro}}}" if macro else ""
    if takes and settings.nested is None:
        for name, other in space.inside_others.items():
            raise parameter_place(at, name).error(
                f"`{other}` has a value of its own, and {takes} nests: it cannot hold `{name}` as well",
                f"`{other}.name` beside it, or hand both over flat: ${{args}}, or ${{{other}}} and ${{{name}}}",
            )


def _sbatch_words(section: Mapping[str, Any], at: At) -> None:
    """Refuse other batch systems' words, which sbatch would refuse when the study is submitted."""
    for key, value in section.items():
        if key in SBATCH:
            written = next(
                (word for word in (key, key.replace("_", "-")) if (*at.path, word) in at.document.places), key
            )
            raise at.child(written).error("is no option of sbatch", SBATCH[key])
        if key == "controller" and isinstance(value, Mapping):
            _sbatch_words(value, at.child(key))


def _pruner(settings: Settings, at: At) -> None:
    pruner, place = settings.pruner, at.child("pruner")
    if pruner.name != "none" and len(settings.metrics) > 1:
        raise place.error("pruning takes one objective; this study has several", "pruner: none")
    if pruner.name == "wandb_hyperband":
        options = hyperband(whole=False).read(pruner.options, place)
        if "min_iter" not in options and not {"max_iter", "s"} <= options.keys():
            raise place.error("hyperband needs `min_iter`, or `max_iter` and `s`")


def _budget(settings: Settings, space: Space, at: At) -> list[str]:
    budget = settings.budget
    size = None if settings.function is not None and not settings.parameters else space.size
    no_cards = budget.gpu_hours is not None and not settings.resources.gpus and settings.slurm is None
    endless = size is None and budget.trials is None and budget.time is None
    if endless and no_cards:
        raise (
            at.child("budget")
            .child("gpu_hours")
            .error("limits nothing: the trials of this study use no GPUs", "say how many: `resources: {gpus: 1}`")
        )
    if endless and budget.gpu_hours is None:
        raise at.child("budget").error(
            "this search would never end: the space has no end, and neither trials nor time are limited",
            "add `budget: {trials: 50}` (in a W&B sweep file: `run_cap: 50`), or give --trials 50",
        )
    notes = ["budget.gpu_hours limits nothing: no trial uses a GPU (resources.gpus)"] if no_cards else []
    if size is not None and budget.trials is not None and budget.trials > size:
        many = f"{size} configuration{'' if size == 1 else 's'}"
        return [*notes, f"the space has {many}: the study ends there, before {budget.trials} trials"]
    return notes


def _oom(settings: Settings, at: At) -> None:
    oom, place = settings.trial.oom, at.child("trial").child("oom")
    if isinstance(oom, str) or not settings.parameters:
        return
    shrink = oom["shrink"]
    known = [parameter.name for parameter in settings.parameters]
    for name in [shrink] if isinstance(shrink, str) else shrink:
        if name not in known:
            raise place.child("shrink").error(f"`{name}` is not a parameter", nearest(name, known))
    if oom.get("factor", 0.5) >= 1:
        raise place.child("factor").error(f"must be below 1, not {oom['factor']:g}", "0.5 halves the value")


def _empty_trackers(tracking: Any) -> list[str]:
    """A key without a value is one that is not there; here it looks like an order."""
    names = [name for name, value in tracking.items() if value is None] if isinstance(tracking, Mapping) else []
    return [f"`tracking.{name}` is empty, so nothing is sent there: write `{name}: {{}}`" for name in names]


def _config_file(settings: Settings, at: At) -> list[str]:
    place, name = at.child("config"), settings.config or ""
    path = os.path.join(settings.working_directory, name)
    if not os.path.exists(path):
        raise missing_file(place, name, settings.working_directory)
    if not os.access(path, os.R_OK):
        raise place.error(f"`{name}` may not be read: no permission")
    return [f"`config: {name}`: a trial's own configuration is written as YAML"] if name.endswith(".toml") else []


def _secrets(value: Any, at: At, name: str = "") -> None:
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    )
    for key, item in items:
        told = name if isinstance(key, int) or key in ("value", "values") else key
        _secrets(item, at.child(key), told)
    if secret_in(value, name):
        raise at.error(
            "holds a secret (a password, a token or the address in a URL), which is never recorded and so never reaches"
            " a trial",
            "hand it over in `env:` and read it in the script; in the command: ${envvar:NAME}",
        )
