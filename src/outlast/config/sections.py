"""From a settings class to the shape that reads it from a study file, and the shapes that its keys name.

`outlast.config.settings` says what each key is; here is what its annotations mean. Loaded where a person's file is read.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec.structs import replace

from outlast.config import scalars
from outlast.config.chosen import ChosenSettings
from outlast.config.scalars import DOTTED, SHELL_WORDS, Anything, Flag, Number, Text, Word
from outlast.config.shapes import At, ByType, Checked, Fields, ListOf, MapOf, Shape


def real(**bounds: float) -> Checked:
    """A number that is kept as a float even where it is typed as a whole one."""
    return Checked(Number(**bounds), lambda value, at: float(value))  # type: ignore[arg-type]


#: What becomes a word of the command.
ARGUMENT = Checked(ByType(text=Anything(), scalar=Anything()), lambda value, at: str(value))


class ShellWords(Shape, frozen=True):
    """Text that a shell would take for one word or more; read as a tuple of them, by nobody's shell."""

    def read(self, value: Any, at: At) -> tuple[str, ...]:
        """The words."""
        text = Text().read(value, at)
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise at.error(f"cannot be split into words: {error}", "close the quote, or write a list") from None
        if not words:
            raise at.error("is empty")
        return tuple(words)

    def _schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "pattern": SHELL_WORDS}


COMMAND = ByType(text=ShellWords(), items=ListOf(ARGUMENT, least=1))

FOLDS = Fields(
    {
        "n": Number(whole=True, least=2, description="how many"),
        "ids": Text(description="a text file with an id a line, or a CSV with a column id"),
        "stratify": ByType(
            text=Text(), scalar=Flag(), description="a column whose values are spread evenly; true: label"
        ),
        "group": Text(description="the column whose equal values stay together in one fold"),
        "shuffle": Flag(description="before they are split"),
        "seed": Number(whole=True, description="of the split"),
    },
    required=("n",),
)

SHRINK = ByType(
    text=Word(("infeasible",)),
    mapping=Fields(
        {
            "shrink": ByType(
                text=Text(), items=ListOf(Text(), least=1), description="the parameters that are made smaller"
            ),
            "factor": Number(above=0, description="0.5 by default"),
        },
        required=("shrink",),
    ),
)


def hyperband(*, whole: bool) -> Fields:
    """The figures of W&B's hyperband, which there are `whole`; our own study files never asked for that."""
    steps = {name: Number(whole=whole, least=1) for name in ("min_iter", "max_iter", "s")}
    return Fields({**steps, "eta": Number(above=1), "strict": Flag()})


_GLOB = Text(
    r"^(?![/~])(?!(?:.*/)?\.\.(?:/|$))(?!.*\$\{)[^\n]+$",
    "a glob below the trial's checkpoint folder, such as *.ckpt or run/step_*",
)
CHECKPOINT_GLOBS = ByType(text=Checked(_GLOB, lambda one, at: (one,)), items=ListOf(_GLOB, least=1))

_CLASS = Text(DOTTED, "package.module.Class", description="package.module.Class")
#: Trackers of a person's own.
SINKS = ListOf(
    Checked(
        ByType(text=_CLASS, mapping=Fields({"name": _CLASS}, required=("name",), open=True)),
        lambda given, at: ChosenSettings.of(given),
    )
)
LABELS = MapOf(ARGUMENT)


def section(
    cls: Callable[..., Any],
    description: str = "",
    *,
    required: tuple[str, ...] = (),
    hints: Mapping[str, str] | None = None,
) -> Checked:
    """The shape of a part of the study file whose keys are the attributes of a class, read as one of these.

    Args:
        cls: A settings class. Each attribute is annotated with what it is for and, where its type does not say it all, with
            its shape in between.
        description: For the reference page.
        required: Keys that a file has to give although the class has a default.
        hints: See `Fields`.
    """
    shapes: dict[str, Shape] = {}
    for name, hint in get_type_hints(cls, localns={**vars(scalars), **globals()}, include_extras=True).items():
        *given, says = hint.__metadata__
        shapes[name] = replace(given[0] if given else _shape(hint.__origin__), description=says)
    keys = Fields(shapes, required=required, hints=hints or {}, description=description)
    return Checked(keys, lambda values, at: cls(**values))


def _shape(hint: Any) -> Any:
    """The shape that a type says by itself; where ``None`` is allowed as well, the key may be left out."""
    if get_origin(hint) is Literal:
        return Word(get_args(hint))
    kind = next(iter(get_args(hint)), hint)
    return Flag() if kind is bool else Text()
