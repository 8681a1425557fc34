"""Which line of a program's last words says what went wrong, and when two of them say the same. Pure functions over text.

Patterns are text: `re` compiles one when a training has failed and it is first used.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

_FRAME = r'^\s*File "([^"]+)", line (\d+)(?:, in (\S+))?'
_HEADER = r"(?m)^.{0,80}Traceback \(most recent call last\):"
_GROUP = "Exception Group Traceback (most recent call last):"
_MARGIN = r"(?m)^ *(?:\+-[+-].*$|\+ (?=Exception Group)|(?:\| ?)+|\+-+$)"
_NOT_SAID = (
    r"During handling of the above|The above exception was|\S*Traceback \(most recent|Original Traceback|\"\"\"$"
)
_GROUP_ITSELF = r"\S*Group: .*\(\d+ sub-exceptions?\)$"
_NAMED = r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Group)\b"
#: What launchers say when their child has failed: the same for every failure.
_LAUNCHER = r"(?m)^torch\.distributed\.elastic\S*ChildFailedError|accelerate/commands/launch\.py|deepspeed/launcher/"
_CLOSING = (
    r"Set the environment variable HYDRA_FULL_ERROR|See https?://\S+ for more info"  # Hydra
    r"|wandb: (?!ERROR|Error|\w+Error)|🏃|🧪|COMET (?:INFO|WARNING)|\[neptune\] \[info"  # trackers
    r"|[EWI]\d{4} .*torch/distributed/elastic|(?:ERROR|WARNING|INFO):torch\.distributed\.elastic|.*\[launch\.py:\d+:"
    r"|srun: (?:error: )?\S*:? ?(?:tasks? [\d,-]+: (?:Exited|Terminated|Killed)|Terminating|launch/slurm)"
    r"|mpirun (?:detected|noticed)|Primary job +terminated|a non-zero exit code\. Per user|Process name: \[\[|Exit code: +\d+$"
    r"|make(?:\[\d+\])?: \*\*\* |Command exited with non-zero|ERROR conda\.cli\.main_run|Extension modules: "
    r"|Exception ignored in|.*resource_tracker: There appear|(?i:usage: )|Try '.*--help|For (?:more|further) information"
    r"|(?:Aborted|Segmentation fault|Killed|Terminated)(?: \(core dumped\))?$|note: run with `RUST_BACKTRACE"
    r"|.*\d%\||.*\d(?:it/s|s/it)\b"  # a progress bar
)
_ERROR = (
    r"(?i)(?:error|exception|fatal|assert\w*|panic\w*)\b(?!\s*[:=]\s*[-+.\d])"
    r"|\b(?:could not|cannot|can't|failed|failure|invalid|unrecogni[sz]ed|no such|not found|denied|must|missing|required"
    r"|illegal|unknown|unexpected|out of memory|terminate called)\b|\bwhat\(\):"
)
_MOST_LETTERS = 500  # of a line
_BOX = "│┃|╭╮╰╯─━═ \t"
_VALUES = (
    r"(?<!\w)'(?:[^'\\]|\\.)*'(?!\w)|\"(?:[^\"\\]|\\.)*\"|`[^`]*`"  # quoted
    r"|[^\s'\":,()\[\]=]*/[^\s'\":,()\[\]]*"  # a path
    r"|0x[0-9a-fA-F]+|\b(?=[a-z]*\d)(?=\d*[a-z])[0-9a-z]{8,}\b"  # an address, an id
    r"|[-+]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:True|False|None|nan|inf)\b"
)
_OPTION = r"(?<=[\w-])=[^\s,)\]]+"
_SEQUENCE = r"#(?:\s*[,x×*]\s*#)+,?"


class Raised(NamedTuple):
    """An exception as a traceback tells it: where, and its line."""

    place: str
    line: str


def is_launchers(text: str) -> bool:
    """Whether a launcher speaks in it of a child that failed."""
    return re.search(_LAUNCHER, text) is not None


def without_launcher(text: str) -> str:
    """What was said before a launcher reported that its child has failed; the whole text if nothing was."""
    if not is_launchers(text):
        return text
    headers = [header.start() for header in re.finditer(_HEADER, text)]
    for header, following in pairwise([*headers, len(text)]):
        if is_launchers(text[header:following]):
            before = text[:header]
            return before if _candidates(before) else text
    return text


def raised(text: str) -> list[Raised]:
    """The exceptions of a traceback in their order: the causes, the sub-exceptions of a group, at last what ended it."""
    group = _GROUP in text
    plain = re.sub(_MARGIN, "", text) if group else text
    found: list[Raised] = []
    told = plain.lstrip().startswith('File "')  # of a script that does not compile, or a traceback that was cut
    place, waiting = "", False
    for line in plain.splitlines():
        told = (told or "Traceback (most recent call last)" in line) and "(most recent call first)" not in line
        frame = re.match(_FRAME, line) if told else None
        if frame is not None:
            place, waiting = f"{frame[1].rsplit('/', 1)[-1]}:{frame[2]}", True
        elif line and not line[0].isspace() and re.match(_NOT_SAID, line) is None:
            if (waiting or (group and re.match(_NAMED, line))) and not (group and re.match(_GROUP_ITSELF, line)):
                found.append(Raised(place, line.strip()[:_MOST_LETTERS]))
            waiting = False
    return found


def error_line(text: str) -> str:
    """Of text that is no traceback: the last line that speaks of an error, else the last that is no closing formula."""
    lines = _candidates(text)
    if not lines:
        return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    return next((line for line in reversed(lines) if re.search(_ERROR, line)), lines[-1])


def speaks_of_an_error(line: str) -> bool:
    """Whether a line, whatever stands around it, says that something went wrong."""
    return any(re.search(_ERROR, each) is not None for each in _candidates(line))


def _candidates(text: str) -> list[str]:
    lines = (line.strip(_BOX)[:_MOST_LETTERS] for line in text.splitlines())
    return [line for line in lines if any(map(str.isalpha, line)) and re.match(_CLOSING, line) is None]


def alike(line: str) -> str:
    """The line without what differs between equal failures: numbers, paths, addresses, quoted values."""
    masked = re.sub(_VALUES, "#", re.sub(_OPTION, "=#", line[:_MOST_LETTERS]))
    return re.sub(_SEQUENCE, "#", masked)
