"""What error messages mean, whatever framework wrote them, and what a person can do about them. Pure.

What follows for a trial is decided in `outlast.core.faults`. Patterns are text: `re` compiles one when it is first used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import Enum

from outlast.core.error_lines import Raised, alike, error_line, is_launchers, raised, without_launcher


class Symptom(Enum):
    """What a message speaks of, where that is more than "it crashed"."""

    GPU_MEMORY = "gpu_memory"
    HOST_MEMORY = "host_memory"
    DISK_FULL = "disk_full"
    TRANSIENT = "transient"


_MESSAGES: dict[Symptom, str] = {
    Symptom.GPU_MEMORY: (
        r"torch(\.cuda)?\.OutOfMemoryError|(CUDA|HIP|XPU) out of memory|MPS backend out of memory|CUDA error: out of memory"
        r"|CU(BLAS|DNN|SOLVER)_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation|hipErrorOutOfMemory"
        r"|RESOURCE_EXHAUSTED: (Out of memory|.{0,40}OOM)|OOM when allocating tensor"
    ),
    Symptom.HOST_MEMORY: (
        r"(?m)^(\w+\.)*(MemoryError|_ArrayMemoryError)\b|DefaultCPUAllocator: (can't allocate|not enough) memory|std::bad_alloc"
        r"|Cannot allocate memory|\[Errno 12\]|\boom_kill event|java\.lang\.OutOfMemoryError"
    ),
    Symptom.DISK_FULL: (
        r"No space left on device|Disk quota exceeded|\[Errno (28|122)\]|PytorchStreamWriter failed writing file"
        r"|database or disk is full"
    ),
    Symptom.TRANSIENT: (
        r"(?i)(HTTP Error |status[ _]code[:=]? ?|(Client|Server) [Ee]rror:? '?)(429|50[0234])\b"  # urllib; many; httpx
        r"|\b(429|50[0234]) (Client|Server) Error"  # requests, huggingface_hub
        r"|Too Many Requests|Connection reset by peer|Temporary failure in name resolution"
        r"|Stale (NFS )?file handle|\[Errno 116\]"
        r"|Address already in use|EADDRINUSE|\[Errno 98\]"
        r"|NCCL.{0,80}(timeout|timed out)|Watchdog caught collective|Timed out waiting \d+ms for (recv|send) operation"  # gloo
        r"|uncorrectable ECC error|NVRM: Xid|GPU has fallen off the bus|GPU is lost"
    ),
}
#: argparse, click and getopt about a flag that got a value although it takes none.
_NO_VALUE = (
    r"argument .+: ignored explicit argument '(True|False|None)'"
    r"|Option '?--\S+? does not take a value"
    r"|option --\S+ must not have an argument"
    r"|unrecognized arguments:.* (True|False)\b"
)
_KILLED = r"(?m)killed by signal: Killed|[Ss]ignal 9\b|SIGKILL|^Killed$|exitcode\W+-9\b"
_FRAME_AND_CODE = r'(?m)^\s*File "[^"]+", line \d+.*\n?(?:[ \t]{4,}.*\n?)*'


def symptom_of(text: str) -> Symptom | None:
    """What a traceback, or the end of an output, speaks of. Memory comes first: a later message may be its consequence."""
    said = _said(text)
    return next((symptom for symptom, pattern in _MESSAGES.items() if re.search(pattern, said)), None)


def line_about(symptom: Symptom, text: str) -> str:
    """The first line that speaks of it, with its numbers; empty if none does."""
    text = _said(text)
    found = re.search(_MESSAGES[symptom], text)
    if found is None:
        return ""
    begin = text.rfind("\n", 0, found.start()) + 1
    return text[begin:].split("\n", 1)[0].strip()[:400]


def was_killed(text: str) -> bool:
    """Whether a message says that a process was ended by SIGKILL: of a data loader, of a rank."""
    return re.search(_KILLED, text) is not None


def told_story(traceback: str, tail: Sequence[str]) -> str:
    """What the training said about its end: its traceback if that is what the output ends with, else its last lines.

    A traceback that was printed and survived (of a download that was tried again, hours ago) is not what ended it, and a
    launcher's only says that its child has failed.
    """
    last = last_words(traceback)
    current = (
        bool(last) and not (tail and is_launchers(traceback)) and (not tail or any(last[:200] in line for line in tail))
    )
    return traceback if current else "\n".join(tail)


def _said(text: str) -> str:
    """The text without its stack frames: what a line of code mentions has not happened."""
    return re.sub(_FRAME_AND_CODE, "", text)


def last_words(text: str) -> str:
    """The line that says it: of a traceback the one with the exception, of other text the one that speaks of an error."""
    text = without_launcher(text)
    said = raised(text)
    if said:
        return said[-1].line[:300]
    return error_line(text)[:300]


def signature_of(text: str) -> str:
    """A short name that is equal for equal failures: exceptions and places in the code, without the values they speak of."""
    text = without_launcher(text)
    said = raised(text) or [Raised("", error_line(text))]
    last = said[-1]
    if not last.line:
        return ""
    digest = hashlib.sha256("|".join(f"{each.place}|{alike(each.line)}" for each in said).encode()).hexdigest()[:8]
    name = alike(last.line)[:60]
    return f"{name.split(':', 1)[0]} {last.place} {digest}" if last.place else f"{name} {digest}"


def advice(message: str) -> str:
    """What a person can do about a failure whose message says it, with the blank before it; empty where nothing is known here."""
    if re.search(_NO_VALUE, message):
        return "  (that flag takes no value: ${args_no_boolean_flags} in the command writes it, or nothing)"
    return ""
