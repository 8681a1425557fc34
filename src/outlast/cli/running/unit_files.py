"""What keeps a command running on a machine that is started anew: a user unit of systemd, or a line of a crontab."""

from __future__ import annotations

import math
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from outlast.cli.targets.search_request import SearchRequest
from outlast.config.secrets import mask_text
from outlast.errors import UsageError

_OURS = ("--detach", "--fresh", "--unless-over")
_HANDED_ON = (
    *("PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH"),  # by which trainings find their programs
    # Which cards are ours, and where all that run here meet: begun by the clock, it is to be among the others.
    *("CUDA_VISIBLE_DEVICES", "OUTLAST_GPU_LOCK_DIR", "OUTLAST_LOCK_DIR", "XDG_STATE_HOME"),
)
_BEYOND = 60  # seconds over the longest grace: words, tables, plots

_UNIT = """\
# {command}
# as a service of yours. It goes on after a logout and a reboot, and is begun again when it dies:
#   mkdir -p ~/.config/systemd/user
#   {again} > ~/.config/systemd/user/{name}.service
#   systemctl --user daemon-reload
#   systemctl --user enable --now {name}.service
#   loginctl enable-linger
# systemctl --user stop {name} ends it until it is started again: running trials may save a checkpoint first.
# What outlast stop ended is only begun again by: {command}
[Unit]
Description=Outlast: {what}
StartLimitIntervalSec=1h
StartLimitBurst=20

[Service]
Type=exec
WorkingDirectory={place}
{environment}
ExecStart={words}
# 2: it cannot be run so; 3: it has halted; 4: a person stopped it. Anything else is a death.
Restart=on-failure
RestartSec=30
RestartPreventExitStatus=0 2 3 4
SuccessExitStatus=4
# Only the first process is told to end: it gives each training its grace. Should it die, they live, and are taken over.
KillMode=process
TimeoutStopSec={patience}

[Install]
WantedBy=default.target
"""
_LINE = """\
# {command}
# looked after every five minutes, also after a reboot: begun where it does not run, unless it is over or was stopped. Add it by:
#   (crontab -l; {again}) | crontab -
*/5 * * * * {line}
"""


def systemd_unit(search: SearchRequest) -> str:
    """A user unit (systemd.service(5)) that runs this command as it was typed, in this folder, by this interpreter."""
    variables = {**_environment(), "OUTLAST_DETACHED": "1"}
    words = [sys.executable, "-m", "outlast", *_command(search, "--unless-over")]
    return _UNIT.format(
        command=_typed(_command(search)),
        again=_typed(_command(search, "--print-unit", "systemd")),
        name=f"outlast-{re.sub(r'[^A-Za-z0-9:_.-]', '-', _name(search))}",
        what=_name(search).replace("%", "%%"),
        place=os.getcwd().replace("%", "%%"),
        environment="\n".join(f"Environment={_for_systemd(f'{key}={text}')}" for key, text in variables.items()),
        words=" ".join(_for_systemd(word, command=True) for word in words),
        patience=_patience(search),
    )


def crontab_line(search: SearchRequest) -> str:
    """A line of a crontab (crontab(5)) that begins this command where it is due."""
    words = [sys.executable, "-m", "outlast", *_command(search, "--detach", "--unless-over")]
    variables = " ".join(f"{key}={shlex.quote(text)}" for key, text in _environment().items())
    line = f"cd {shlex.quote(os.getcwd())} && {variables} {shlex.join(words)} >/dev/null"
    return _LINE.format(
        command=_typed(_command(search)),
        again=_typed(_command(search, "--print-unit", "cron")),
        line=line.replace("%", r"\%"),  # a bare one would be the end of the line
    )


def _command(search: SearchRequest, *more: str) -> list[str]:
    """The words behind ``outlast``, without what is not for every time.

    Raises:
        UsageError: One of them is a secret.
    """
    ours, words = [], iter(search.invocation.before)
    for word in words:
        if word == "--print-unit":
            next(words, None)
        elif word not in _OURS and not word.startswith("--print-unit="):
            ours.append(word)
    behind = search.invocation.command
    if any(mask_text(word) != word for word in [*ours, *behind]):
        raise UsageError(
            "--print-unit: the command has a password or token in it, which the unit and the list of processes would show",
            cure="write it as '${NAME}' in single quotes, and set NAME where the service begins (systemd: EnvironmentFile=)",
        )
    return [*ours, *more, "--", *behind] if behind else [*ours, *more]


def _typed(words: Sequence[str]) -> str:
    return " ".join(shlex.join(["outlast", *words]).split("\n"))


def _name(search: SearchRequest) -> str:
    return search.settings.name if search.campaign is None else search.campaign.campaign.name


def _environment() -> Mapping[str, str]:
    found = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    found = {name: text for name, text in found.items() if text or name == "CUDA_VISIBLE_DEVICES"}  # empty: no card
    if "PATH" in found:  # a line of a crontab may have a thousand characters only
        found["PATH"] = os.pathsep.join(dict.fromkeys(found["PATH"].split(os.pathsep)))
    return found


def _patience(search: SearchRequest) -> int:
    """Seconds within which everything has stopped."""
    plan = search.campaign
    all_of_them = [search.settings] if plan is None else [each.settings for each in plan.planned]
    return math.ceil(max((each.trial.grace for each in all_of_them if each is not None), default=0.0)) + _BEYOND


def _for_systemd(word: str, *, command: bool = False) -> str:
    """A word of a unit's line: quoted, without specifiers, and in a command without variables (systemd.syntax(7))."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    text = text.replace("$", "$$") if command else text
    return f'"{text}"'
