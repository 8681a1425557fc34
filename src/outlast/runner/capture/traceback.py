"""The last Python traceback in a stream of lines, chained and multi-line ones in full."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^(?P<prefix>.*?)(?:Exception Group )?Traceback \(most recent call last\):\s*$")
_SYNTAX_HEADER = re.compile(r'^  File ".*", line \d+$')  # of a script that does not compile: no header before it
#: Of torchrun, srun -l, mpirun --tag-output and Ray: on every line of that process.
_RANK_PREFIX = re.compile(r"(?:\[\w+\]:?\s?|\d+: |\[\d+,\d+\]<\w+>:\s?|\([\w.]+ pid=\d+(?:, ip=[\d.]+)?\) )+")
_AT_EXIT = ("Exception ignored in", "Error in atexit._run_exitfuncs", "Error in sys.excepthook")
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
#: A launcher's own last word. It is the same for every failure; the story is the one that its child told before.
_LAUNCHER = re.compile(r"^torch\.distributed\.elastic\S*ChildFailedError|accelerate/commands/launch\.py", re.MULTILINE)
#: Of a script that starts the training: its own last word says what the child has told better.
_WRAPPER = re.compile(
    r"^subprocess\.CalledProcessError: Command .*(?:returned non-zero exit status|died with)", re.MULTILINE
)
_HEAD_LINES, _TAIL_LINES = 100, 300
_MOST_AFTER = 20  # lines of a message that goes on below its exception; more than that is ordinary output


class TracebackCatcher:
    """Fed with every line of the output, in order; holds at most some hundred of them.

    A traceback ends with the line of its exception. Lines below it belong to the message only if the output ends soon
    after: a script that printed a traceback and went on was not ended by it.
    """

    def __init__(self) -> None:
        self.active = False  # inside a traceback: every line is wanted
        self._head: list[str] = []
        self._tail: list[str] = []
        self._dropped = 0
        self._prefix = ""  # torchrun's "[rank0]: "
        self._after: list[str] = []
        self._may_chain = False
        self._child = ""  # what was caught before a launcher's traceback
        self._just_before = False  # and no more than a few lines lie between

    @staticmethod
    def starts(line: str) -> bool:
        """Whether a traceback begins with this line. Cheap: asked for every line."""
        return "Traceback (most recent call last):" in line or (
            line.startswith('  File "') and _SYNTAX_HEADER.match(line) is not None
        )

    @property
    def wants_lines(self) -> bool:
        """Whether the next line may belong to what was caught."""
        return self.active or (bool(self._head) and len(self._after) <= _MOST_AFTER)

    def feed(self, line: str) -> bool:
        """Take the next line, without its end. Returns whether it is a part of a traceback."""
        header = _HEADER.match(line)
        if header is not None or (not self.active and self.starts(line)):
            prefix = "" if header is None or not _RANK_PREFIX.fullmatch(header["prefix"]) else header["prefix"]
            if not self.active and self._after and self._after[-1].startswith(_AT_EXIT):
                self._after.append(line)
                return True  # Python is leaving already: this ended nothing
            if not self.active:
                self._begin(line, prefix)
                return True
            if prefix != self._prefix:
                return True  # another process fails at the same time; one story is enough
        if not self.active:
            self._after.append(line)
            self._may_chain = self._may_chain or line.removeprefix(self._prefix).startswith(_CHAINED)
            return False
        if not line.startswith(self._prefix):
            return False  # another process talks in between
        self._keep(line)
        body = line[len(self._prefix) :]
        if body and not body[0].isspace():
            self.active, self._after = False, []
        return True

    def _begin(self, line: str, prefix: str) -> None:
        if self._may_chain and prefix == self._prefix:
            for each in self._after:
                self._keep(each)
        else:
            self._child, self._just_before = self.text(), len(self._after) <= _MOST_AFTER
            self._head, self._tail, self._dropped = [], [], 0
        self.active, self._prefix, self._after, self._may_chain = True, prefix, [], False
        self._keep(line)

    def _keep(self, line: str) -> None:
        if len(self._head) < _HEAD_LINES:
            self._head.append(line)
            return
        self._tail.append(line)
        if len(self._tail) > 2 * _TAIL_LINES:
            self._drop()

    def _drop(self) -> None:
        self._dropped += len(self._tail) - _TAIL_LINES
        del self._tail[:-_TAIL_LINES]

    def text(self) -> str:
        """The last traceback, or the empty string."""
        if len(self._tail) > _TAIL_LINES:
            self._drop()
        gap = [f"  … {self._dropped} lines left out …"] if self._dropped else []
        end = next((at for at, line in enumerate(self._after) if line.startswith(_AT_EXIT)), len(self._after))
        after = [line for line in self._after[:end] if line.startswith(self._prefix)] if end <= _MOST_AFTER else []
        lines = [line.removeprefix(self._prefix) for line in [*self._head, *gap, *self._tail, *after]]
        text = "\n".join(lines).rstrip()
        retold = _LAUNCHER.search(text) or (self._just_before and _WRAPPER.search(text))
        return self._child if self._child and retold else text
