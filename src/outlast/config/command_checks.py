"""Command templates that cannot work are refused when the study file is read, not when a trial starts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator

from outlast.config.checks import missing_file
from outlast.config.command import (
    ARGS_MACROS,
    ENVVAR,
    FOLLOWUP_MACROS,
    GROUPED,
    MACRO,
    MACRO_ITSELF,
    VALUE_MACROS,
    macros,
)
from outlast.config.settings import Settings
from outlast.config.shapes import At
from outlast.config.yaml import names_in
from outlast.core.nearest import nearest

#: What a search's command may say.
_SEARCHED = tuple(name for name in VALUE_MACROS if all(name not in own for own in FOLLOWUP_MACROS.values()))
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "fish")
#: A value all in quotes, with its flag or without. In Hydra's overrides (``+x='a b'``) quotes are Hydra's own.
_QUOTED = re.compile(r"""(-{1,2}[\w.-]+=)?(["']).*\2""", re.DOTALL)
_OPERATORS = {"|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1", "|&"}


def check_command(settings: Settings, at: At, *, files: bool) -> tuple[str, ...]:
    """Refuse a template that cannot work; what is merely odd comes back as notes.

    Raises:
        StudyFileError: An unknown macro, one where it cannot stand, a shell's words, a program that is not there.
    """
    names = {parameter.name for parameter in settings.parameters}
    for item, place in _items(settings, at):
        for macro in macros(item):
            _check_macro(settings, item, macro, names, place, files)
    _check_followups(settings, names, at, files)
    if settings.command is None:
        if settings.check.args:
            raise at.child("check").child("args").error("belongs to a command: a function has no arguments")
        return ()
    _check_shell(settings.command, names, at)
    notes: list[str] = []
    if files:
        from outlast.config.flags import flag_notes  # which reads scripts; a record is read without them

        notes = [*_check_program(settings, at), *flag_notes(settings)]
    notes += [*_quoted(settings.command, at), *_unexpanded(settings.command)]
    clash = sorted(
        names & {macro for item, _ in _items(settings, at) for macro in macros(item)} & {*ARGS_MACROS, *_SEARCHED}
    )
    notes += [
        f"`${{{name}}}` in the command is the parameter of that name  (the macro: `${{{MACRO_ITSELF}{name}}}`)"
        for name in clash
    ]
    mentioned = {macro.removeprefix(MACRO_ITSELF) for item in settings.command for macro in macros(item)}
    handed = {"config", "args_json_file"} | names | {f"{m}{s}" for m in ARGS_MACROS for s in ("", GROUPED)}
    if names and not mentioned & handed:
        notes.append(
            "the command mentions no parameter: add ${args}, unless the script reads them itself "
            "(outlast.current_trial().params, or the file at WANDB_SWEEP_PARAM_PATH)"
        )
    return tuple(notes)


def _check_followups(settings: Settings, names: set[str], at: At, files: bool) -> None:
    """The commands of `refit` and `evaluate`, which know macros of their own."""
    for key, own in FOLLOWUP_MACROS.items():
        section, here = getattr(settings, key), at.child(key)
        if section.command is not None and section.arguments:
            raise here.child("arguments").error(
                "belongs to the search's command, and there is a `command` here", "keep one"
            )
        if section.arguments and settings.command is None:
            raise here.child("arguments").error("belongs to a command: a function has no arguments")
        for name in ("command", "arguments"):
            words = getattr(section, name) or ()
            for item in words:
                for macro in macros(item):
                    if macro.removeprefix(MACRO_ITSELF) not in own:
                        _check_macro(settings, item, macro, names, here.child(name), files)
        if section.command is not None:
            _check_shell(section.command, names, here)


def _quoted(command: tuple[str, ...], at: At) -> list[str]:
    """Notes on quotes and blanks inside a list item: without a shell nobody takes them away."""
    if not isinstance(at.document.data.get("command"), list):
        return []
    found = [item for item in command if _QUOTED.fullmatch(item)]
    notes = [
        f"`{item}` is one argument with a blank in it: write two items, or `{'='.join(item.split(None, 1))}`"
        for item in command
        if re.fullmatch(r"--?[A-Za-z][\w.-]* +[^\s=]\S*", item)
    ]
    return notes + [f"the quotes in `{item}` are part of the argument: no shell takes them away" for item in found]


def _unexpanded(command: tuple[str, ...]) -> list[str]:
    """Notes on what a shell would have filled in, and nobody does."""
    if any(os.path.basename(word) in _SHELLS for word in command):
        return []
    found = {match[1]: match[0] for word in command if (match := re.search(r"(?<![\\$\w])\$([A-Za-z_]\w*)", word))}
    notes = [f"`{text}` is text here: no shell fills it in  (${{envvar:{name}}})" for name, text in found.items()]
    homes = [word for word in command if re.search(r"(?:^|=)~/", word)]
    return notes + [f"`{word}` is text here: no shell knows ~  (${{envvar:HOME}}/…)" for word in homes]


def _items(settings: Settings, at: At) -> Iterator[tuple[str, At]]:
    listed = isinstance(at.document.data.get("command"), list)
    for index, item in enumerate(settings.command or ()):
        yield item, at.child("command").child(index) if listed else at.child("command")
    for index, item in enumerate(settings.trial.resume_args):
        yield item, at.child("trial").child("resume_args").child(index)
    for index, item in enumerate(settings.check.args):
        yield item, at.child("check").child("args").child(index)


def _check_macro(settings: Settings, item: str, macro: str, names: set[str], at: At, files: bool) -> None:
    if macro in names:
        return
    if variable := re.match(ENVVAR, macro):
        if files and variable[1] not in settings.env and variable[1] not in os.environ:
            raise at.error(
                f"the environment variable {variable[1]} is not set", f"export {variable[1]}=…, or put it under `env:`"
            )
        return
    macro = macro.removeprefix(MACRO_ITSELF)
    name = macro.removesuffix(GROUPED)
    if name in ARGS_MACROS:
        if MACRO.fullmatch(item) is None:
            raise at.error(
                f"`${{{macro}}}` stands for several arguments: it must be a whole item, not a part of `{item}`"
            )
        return
    if macro == "program":
        raise at.error("`${program}` is for W&B files, which have a `program`", "write the script's name")
    section = next((key for key, own in FOLLOWUP_MACROS.items() if macro in own), None)
    if section is not None and files:  # the record of a follow-up says it in its own command
        raise at.error(f"`${{{macro}}}` is known when a search is done: it belongs into `{section}.command`")
    if macro not in VALUE_MACROS:
        raise at.error(f"unknown macro `${{{macro}}}`", _macro_cure(macro, names))
    if macro == "config" and settings.config is None:
        raise at.error("`${config}` needs a base configuration", "add `config: base.yaml`")
    if macro in ("fold", "splits") and settings.trial.folds is None:
        raise at.error(f"`${{{macro}}}` needs folds", "add `trial: {folds: {n: 5}}`")


def _macro_cure(macro: str, names: set[str]) -> str:
    """What to write for a macro that is none of ours: a resolver of OmegaConf's, a variable of the shell's, a misspelling."""
    resolver, colon, variable = macro.partition(":")
    itself = f"`$${{{macro}}}`"
    if colon and resolver in ("oc.env", "env") and re.match(ENVVAR, f"envvar:{variable}"):
        return f"`${{envvar:{variable}}}` is the environment variable; {itself} is handed on as it is"
    if colon or macro.startswith((".", "hydra.")):
        return f"{itself} is handed on as it is, for Hydra to resolve (${{trial_dir}} is a folder of each trial's own)"
    if macro.isupper() and re.match(ENVVAR, f"envvar:{macro}"):
        return f"`${{envvar:{macro}}}` is the environment variable; {itself} is the text itself"
    known = (*ARGS_MACROS, *_SEARCHED, *sorted(names))
    cure = nearest(macro, known) or f"known: {', '.join(known)}"
    return f"{cure}  ({itself} is the text itself)"


def _check_shell(command: tuple[str, ...], names: set[str], at: At) -> None:
    here = at.child("command")
    for word in command:
        if word in _OPERATORS:
            raise here.error(
                f"`{word}` means nothing here: commands are not run by a shell", "put it into a script of your own"
            )
    first = command[0]
    if re.match(r"^[A-Za-z_][A-Za-z0-9_]*=", first):
        raise here.error(f"`{first}` is not a program", "environment variables go under `env:`")
    if os.path.basename(first) in _SHELLS and "-c" in command[:-1]:
        script = command[command.index("-c") + 1]
        inside = [macro for macro in macros(script) if macro in names]
        if inside:
            raise here.error(
                f"`${{{inside[0]}}}` inside a shell's script: its value would be run as shell text",
                f"""hand it over as an argument: bash -c '… "$1"' _ ${{{inside[0]}}}""",
            )


def _check_program(settings: Settings, at: At) -> list[str]:
    """Whether the program is there, and the script that an interpreter is given."""
    words = [word for word in settings.command or () if word != "${env}"]
    here, folder = at.child("command"), settings.working_directory
    if not words or (macros(words[0]) and words[0] != "${interpreter}"):
        return []
    notes = [] if words[0] == "${interpreter}" else _check_executable(words[0], settings, here)
    name = "python" if words[0] == "${interpreter}" else os.path.basename(words[0])
    if not (re.fullmatch(r"python[0-9.]*|pypy[0-9.]*", name) or name in _SHELLS):
        return notes
    for word in words[1:]:
        if word in ("-m", "-c") or macros(word):
            break
        if word.startswith("-"):
            continue
        if not os.path.exists(os.path.join(folder, word)):
            raise missing_file(here, word, folder)
        break
    return notes


def _check_executable(program: str, settings: Settings, at: At) -> list[str]:
    if "/" in program:
        path = os.path.join(settings.working_directory, program)
        if not os.path.exists(path):
            raise missing_file(at, program, settings.working_directory)
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            raise at.error(f"`{program}` cannot be run: it is not executable", f"chmod +x {program}")
        return []
    if shutil.which(program) is not None:
        return []
    if program.endswith((".py", ".sh")) and os.path.exists(os.path.join(settings.working_directory, program)):
        runner = "python" if program.endswith(".py") else "bash"
        raise at.error(f"`{program}` is not a program", f"write `{runner} {program} …`")
    if " " in program:
        words = ", ".join(program.split())
        raise at.error(f"there is no program `{program}`: each word is an item of its own", f"write `[{words}, …]`")
    if settings.slurm is None and "PATH" not in settings.env:
        raise at.error(
            f"there is no program `{program}` on PATH", _nearest_program(program, settings.working_directory)
        )
    return [f"there is no program `{program}` on PATH here"]


def _nearest_program(program: str, folder: str) -> str:
    """The cure for a program that is not there: the one that was meant, or how to name one."""
    from difflib import get_close_matches  # loaded only where something is amiss

    runner = {".py": "python ", ".sh": "bash "}.get(os.path.splitext(program)[1], "")
    places = [folder] if runner else os.get_exec_path()
    names = {name for place in places for name in names_in(place)}
    close = get_close_matches(program, sorted(names), n=1, cutoff=0.7)
    return f"did you mean `{runner}{close[0]}`?" if close else "name it with its path, or put its folder on PATH"
