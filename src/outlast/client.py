"""What a training script imports: ``import outlast``.

One file, standard library only, Python 3.8 or newer. The runner puts it on ``PYTHONPATH`` under the name ``outlast``,
so the training's Python environment needs nothing installed. It speaks the protocol of ``docs/protocol.md``:
environment variables in, lines appended to ``reports.jsonl`` out, ``stop.json`` as the one message back.

Run by hand, without Outlast, everything here is harmless: reports go nowhere, nobody asks to stop, and checkpoints lie
in ``./checkpoints``. Modules that cost milliseconds are imported where they are first needed.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, BinaryIO, Dict, Iterable, List, Optional, Sequence, Set, Tuple, TypeVar

    T = TypeVar("T")

__all__ = [
    "StopRequest",
    "Trial",
    "checkpoints_in",
    "current_trial",
    "newest_checkpoint",
    "random_states",
    "restore_random_states",
]

PROTOCOL = 1
_STOP_POLL_S = 0.05
_RANK_VARIABLES = ("RANK", "OMPI_COMM_WORLD_RANK")
_LOCAL_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK")  # Lightning's launcher sets these two and no RANK
_CHECKPOINT_PREFIX = "checkpoint-"
_SUFFIXES = {"pickle": ".pkl", "torch": ".pt", "safetensors": ".safetensors"}  # format → of its files
# What nobody resumes from, in a checkpoint folder that has everything else in it as well.
_UNFINISHED = (".tmp", ".temp", ".new", ".part", ".partial", ".incomplete", ".lock", ".lck", ".swp", ".crdownload", "~")
_OTHER_SUFFIXES = (
    ".log .out .err .csv .tsv .jsonl .ndjson .md .rst .html .htm .xml .pdf .png .jpg .jpeg .gif .svg .bmp .webp .eps .mp4"
    " .webm .avi .wav .mp3 .yaml .yml .toml .ini .cfg .conf .py .pyc .ipynb .sh .bash .sbatch .diff .patch .pid .sock .prof"
    " .wandb"
)
_TEXT_SUFFIXES = (".json", ".txt")  # a state may be kept in these, unless the name says that it is something else
_OTHER_WORDS = (
    "config configs cfg conf arg args arguments opt opts option options hparams hyperparams hyperparameters params"
    " parameters setting settings metric metrics result results history log logs score scores summary eval evaluation report"
    " reports stats trace profile vocab tokenizer tokens labels classes names dataset metadata meta info requirements"
    " environment env readme license notes stdout stderr output console description"
)
_OTHER_NAMES = (
    "trainer_state.json training_args.bin core readme license done success _success finished stdout stderr log nohup"
)
_OTHER_FOLDERS = frozenset(["wandb", "mlruns", "__pycache__"])
_STEP_FOLDER = (  # a folder that is one checkpoint by its name: checkpoint-500, epoch=3, global_step100, 500, last
    r"(?:.*[^a-z])?(?:checkpoint|ckpt|global_?step|step|epoch|ep|iter|iteration|update|round|batch|snapshot|state|model|weights|save)"
    r"s?[-_=.]?\d+(?:[^a-z].*)?|\d+|(?:.*[-_.])?(?:last|latest|best|final)"
)
_MODEL_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".keras", ".orbax", ".distcp", ".tf", ".zarr", ".safetensors")
_MARKS = (".metadata", "_checkpoint_metadata", "saved_model.pb", "manifest.ocdbt", "model.safetensors", "pytorch_model.bin",
          "model.safetensors.index.json", "adapter_model.safetensors", "optimizer.bin")  # fmt: skip
_DEEPEST = 8
_FOOTER_BYTES = 256
_FOOTER_MAGIC = b"\nOUTLAST-CHECKPOINT "
_BLOCK_BYTES = 1 << 20
_REMEMBERED_BYTES = 1 << 20
_BLANK = "0" * 64  # in a checksum's place until it is known


class StopRequest:
    """Whether somebody asks this script to stop. True in a condition exactly when they do.

    Attributes:
        reason: ``pruned``, ``user``, ``halted``, ``budget``, ``deadline``, ``walltime``, ``timeout``, ``diverged`` or
            ``preempted``; the empty string while nobody asks.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str = "") -> None:
        self.reason = reason

    def __bool__(self) -> bool:
        return bool(self.reason)

    def __repr__(self) -> str:
        return "StopRequest({!r})".format(self.reason)


_GO_ON = StopRequest()


class Trial:
    """The trial that this script trains. Made by `current_trial`."""

    def __init__(self) -> None:
        env = os.environ
        folder = env.get("OUTLAST_TRIAL_DIR", "")
        self._by_hand = not folder
        self._folder = folder or "."
        self._number = _integer(env.get("OUTLAST_TRIAL"), 0)
        self._attempt = _integer(env.get("OUTLAST_ATTEMPT"), 1)
        self._seed = _integer(env.get("OUTLAST_SEED"), 0)
        self._resumed = bool(env.get("OUTLAST_RESUME"))
        self._attempt_folder = os.path.join(self._folder, "attempts", str(self._attempt))
        self._reports_fd = -1
        self._reports_id: Optional[Tuple[int, int]] = None
        self._reports_end = 0  # where the file ended after our last line
        self._said: List[bytes] = []  # the lines of this process: what is written again if the file goes
        self._said_bytes = self._said_by = 0
        self._line_torn = False
        self._complained = False
        self._params: Optional[Dict[str, Any]] = None
        self._stop = _GO_ON
        self._listens = self._by_hand
        self._next_look = 0.0
        self._saved_here = False
        self._saving = _new_lock()

    # What this trial is

    @property
    def number(self) -> int:
        """The trial's number for life; 0 when run by hand."""
        return self._number

    @property
    def attempt(self) -> int:
        """Which attempt at this trial this is, from 1."""
        return self._attempt

    @property
    def resumed(self) -> bool:
        """Whether there is something to resume from: an earlier attempt left a checkpoint."""
        return self._resumed

    @property
    def seed(self) -> int:
        """The trial's seed, the same in every attempt; 0 when run by hand."""
        return self._seed

    @property
    def params(self) -> Dict[str, Any]:
        """The trial's parameters by name; empty when run by hand."""
        if self._params is None:
            path = os.environ.get("OUTLAST_PARAMS")
            if self._by_hand or not path:
                self._params = {}
            else:
                import json

                with open(path, encoding="utf-8") as file:
                    self._params = dict(json.load(file))
        return self._params

    @property
    def dir(self) -> Path:
        """The trial's own folder, kept with the study; the working directory when run by hand."""
        from pathlib import Path

        return Path(self._folder)

    @property
    def checkpoint_dir(self) -> Path:
        """Where checkpoints belong, made if missing. Kept across attempts; ``./checkpoints`` when run by hand."""
        from pathlib import Path

        path = os.environ.get("OUTLAST_CHECKPOINT_DIR") or os.path.join(self._folder, "checkpoints")
        _make_folder(path)
        return Path(path)

    @property
    def last_checkpoint(self) -> Optional[Path]:
        """The newest checkpoint, the script's own kind included (see `newest_checkpoint`), or ``None``."""
        from pathlib import Path

        if self._by_hand and not (self._resumed or self._saved_here):
            return None
        found = newest_checkpoint(str(self.checkpoint_dir))
        return None if found is None else Path(found)

    def __repr__(self) -> str:
        return "<Trial {} attempt {}{}>".format(self._number, self._attempt, " by hand" if self._by_hand else "")

    # What it tells

    def report(self, *, step: Optional[int] = None, **metrics: Any) -> None:
        """Report metrics. With ``step`` it is a point of the curve, which pruning looks at; without, the final score.

        In a distributed training only rank 0 reports; the others' calls do nothing.

        Args:
            step: How far the training is, in epochs or steps: a whole number from 0, rising, counted on after a resume.
            **metrics: Numbers by name. NumPy scalars and tensors of one element are numbers too.

        Raises:
            TypeError: No metric, or a value that is not a number.
            ValueError: A step that is negative or not whole.
        """
        if not metrics:
            raise TypeError("report() needs a metric, for example report(step=3, val_accuracy=0.93)")
        self._report(step, {name: _number(name, value) for name, value in metrics.items()})

    def done(self) -> None:
        """Say that the result counts as it is: no stop request, earlier or later, changes the outcome."""
        self._append({"v": PROTOCOL, "done": True})

    @property
    def should_stop(self) -> StopRequest:
        """Whether to stop now: save a checkpoint and leave. Its ``reason`` says why.

        Reading it as true tells Outlast that the script has seen the request. It costs next to nothing (a look at the
        folder at most every 50 ms, and always right after a report), so ask after every step. Works on every rank; let
        one rank decide for all.
        """
        if self._stop or self._by_hand:
            return self._stop
        if not self._listens:
            self._listens = True
            self._append({"v": PROTOCOL, "listens": True}, from_any_rank=True)
        now = time.monotonic()
        if now < self._next_look:
            return self._stop
        self._next_look = now + _STOP_POLL_S
        reason = self._read_stop()
        if reason:
            self._stop = StopRequest(reason)
            self._append({"v": PROTOCOL, "acknowledged": reason}, from_any_rank=True)
        return self._stop

    def _report(self, step: Optional[int], metrics: Dict[str, float], via: str = "") -> None:
        line: Dict[str, Any] = {"v": PROTOCOL}
        if step is not None:
            line["step"], line["at"] = _step(step), round(time.time(), 3)
        line["metrics"] = {name: _json_number(value) for name, value in metrics.items()}
        if via:
            line["via"] = via
        self._append(line)
        if not via:
            self._next_look = 0.0

    def _append(self, line: Dict[str, Any], from_any_rank: bool = False) -> None:
        """One line, one write: with O_APPEND neither threads nor forked workers tear each other's lines."""
        if self._by_hand or not (from_any_rank or _is_first_rank()):
            return
        import json

        data = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            self._remember(data)
            fd, again = self._open_reports()
            self._line_torn = self._line_torn and not again
            data = again or (b"\n" + data if self._line_torn else data)
            while data:
                written = os.write(fd, data)
                data = data[written:]
                self._line_torn = bool(data)
            self._reports_end = os.lseek(fd, 0, os.SEEK_CUR)
        except OSError as error:
            if not self._complained:
                self._complained = True
                _say("cannot report ({}); the training goes on".format(error))

    def _remember(self, line: bytes) -> None:
        if self._said_by != os.getpid():  # a fork's parent speaks for itself
            self._said, self._said_bytes, self._said_by = [], 0, os.getpid()
        self._said.append(line)
        self._said_bytes += len(line)
        while self._said_bytes > _REMEMBERED_BYTES:
            self._said_bytes -= len(self._said.pop(0))

    def _open_reports(self) -> Tuple[int, bytes]:
        """The file's descriptor; and where the file went, was replaced or cut off since our last line, all that we know."""
        path = os.path.join(self._attempt_folder, "reports.jsonl")
        gone = False
        before, end = self._reports_fd, self._reports_end  # other threads may be reporting just now
        if before >= 0:
            # A daemonising script closes descriptors behind our back, and their numbers are given to other files.
            try:
                found = os.fstat(before)
                ours = (found.st_dev, found.st_ino) == self._reports_id
            except OSError:
                ours = False
            try:
                named = os.stat(path)
                gone = (named.st_dev, named.st_ino) != self._reports_id or (ours and found.st_size < end)
            except FileNotFoundError:
                gone = True
            if ours and not gone:
                return before, b""
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        found = os.fstat(fd)
        self._reports_id = (found.st_dev, found.st_ino)
        self._reports_fd = fd
        if not gone:
            return fd, b""
        _say("{} was deleted, replaced or cut off meanwhile: what was reported is written again".format(path))
        return fd, b"\n" * bool(found.st_size) + b"".join(self._said)

    def _read_stop(self) -> str:
        """The reason in ``stop.json``; empty while there is none."""
        # Opened rather than stat'ed: it may come from another host, and network filesystems answer stat from a cache.
        try:
            fd = os.open(os.path.join(self._attempt_folder, "stop.json"), os.O_RDONLY)
        except OSError:
            return ""
        try:
            content = os.read(fd, 1 << 16)
        finally:
            os.close(fd)
        import json

        try:
            return str(json.loads(content.decode("utf-8")).get("reason") or "user")
        except (ValueError, AttributeError):
            return ""  # being written

    # Checkpoints

    def save_checkpoint(
        self, obj: Any, *, step: Optional[int] = None, keep: int = 2, rng: bool = False
    ) -> Optional[Path]:
        """Save a state to resume from: whole or not at all, whenever the power goes.

        The file is written under a temporary name, checksummed, fsynced and renamed; then older ones beyond ``keep``
        are removed, so there is room needed for ``keep + 1``. It is a plain pickle, or ``torch.save`` format where
        torch is loaded and the object holds tensors, with 256 bytes behind; a plain dict of tensors becomes a
        safetensors file where ``safetensors.torch`` is loaded. On ranks other than the first nothing is saved.

        Args:
            obj: Anything that can be pickled, usually a dict of state dicts and the epoch.
            step: How far the training is; kept beside the state.
            keep: How many of these checkpoints to keep, at least 1.
            rng: Save the states of Python's, NumPy's and torch's random generators too; `load_checkpoint` restores
                them.

        Returns:
            The file, or ``None`` on ranks other than the first.

        Raises:
            OSError: The disk refused; the checkpoints from before are untouched.
            ValueError: ``keep`` below 1, or a step that is negative or not whole.
        """
        from pathlib import Path

        if keep < 1:
            raise ValueError("save_checkpoint(keep={!r}): keep at least 1".format(keep))
        if not _is_first_rank():
            return None
        with self._saving:
            folder = str(self.checkpoint_dir)
            existing = _own_checkpoints(folder)
            number = existing[-1][0] + 1 if existing else 1
            payload = {"object": obj, "rng": random_states()} if rng else obj
            about = {"step": None if step is None else _step(step), "rng": rng}
            _remove_leftovers(folder)
            final = _write_checkpoint(
                os.path.join(folder, "{}{:06d}".format(_CHECKPOINT_PREFIX, number)), payload, about
            )
            self._saved_here = True
            paths = [os.path.join(folder, old) for _, old in _own_checkpoints(folder)]
            whole = [path for path in paths if _read_about(path)[0] is not None]
            for path in paths:
                if path not in whole[-keep:]:
                    _remove(path)
        return Path(final)

    def load_checkpoint(self, *, rng: bool = True, map_location: Any = None) -> Any:
        """The newest good state that `save_checkpoint` saved, or ``None``.

        A file that is truncated or fails its checksum is passed over, with a line on stderr, for the one before. Run by
        hand, only what this very process saved is loaded, unless ``OUTLAST_RESUME=1`` is set: a second run by hand
        starts from the beginning. Loading unpickles: the checkpoint folder must be yours.

        Args:
            rng: Restore the random generators where their states were saved.
            map_location: For ``torch.load``; without it tensors go where they were, or to the CPU where no GPU is left.
        """
        if self._by_hand and not (self._resumed or self._saved_here):
            return None
        folder = str(self.checkpoint_dir)
        for _, name in reversed(_own_checkpoints(folder)):
            path = os.path.join(folder, name)
            about, fault = _verify(path)
            if about is None:
                _say("checkpoint {} is not used: {}".format(path, fault))
                continue
            payload = _read_payload(path, about, map_location)
            if not about.get("rng"):
                return payload
            if rng:
                restore_random_states(payload["rng"])
            return payload["object"]
        return None

    # Folds

    def split(self, ids: Sequence[T]) -> Tuple[List[T], List[T]]:
        """Part ids into (training, validation) for this trial's fold, each in the order given.

        The folds are those of ``splits.json``, drawn once for the whole study. Where the study has none, and by hand,
        every fifth id is for validation.

        Raises:
            ValueError: Ids that the splits do not know.
        """
        chosen = _fold_of(ids, os.environ.get("OUTLAST_SPLITS"))
        return [x for i, x in enumerate(ids) if i not in chosen], [x for i, x in enumerate(ids) if i in chosen]


_current: Optional[Tuple[Tuple[Optional[str], Optional[str]], Trial]] = None


def current_trial() -> Trial:
    """The trial that this process belongs to; a harmless stand-in when run by hand. The same object on every call."""
    global _current
    key = (os.environ.get("OUTLAST_TRIAL_DIR"), os.environ.get("OUTLAST_ATTEMPT"))
    if _current is None or _current[0] != key:  # one process may work through several trials
        _current = (key, Trial())
    return _current[1]


def newest_checkpoint(folder: str, patterns: Optional[Sequence[str]] = None) -> Optional[str]:
    """The newest checkpoint in a folder, by one rule for scripts and for ``${last_checkpoint}``.

    What `Trial.save_checkpoint` wrote comes first (the highest number that is whole by its size). Otherwise it is what
    was modified last of `checkpoints_in`; of equally old ones the one with the higher number in its name.

    Args:
        folder: The checkpoint folder; it may be missing.
        patterns: What a checkpoint is called; by default what the study file says.

    Returns:
        A path, or ``None`` where there is nothing.
    """
    for _, name in reversed(_own_checkpoints(folder)):
        path = os.path.join(folder, name)
        if _read_about(path)[0] is not None:
            return path
    found = checkpoints_in(folder, patterns)
    return max(found, key=lambda path: (found[path][0], _by_number(path)), default=None)


def checkpoints_in(folder: str, patterns: Optional[Sequence[str]] = None) -> Dict[str, Tuple[int, int]]:
    """Every checkpoint in a folder and the folders below it.

    With patterns, whatever they match. Without, everything that is not certainly something else: not hidden or
    unfinished names, event files, logs, tables, pictures, configurations, code, nor JSON and text whose name says that
    it holds settings, metrics or notes. A folder is one checkpoint if it is called like one (``checkpoint-500``,
    ``epoch=3``, ``500``, ``last.ckpt``) or holds what frameworks leave in one; any other folder is looked into.

    Args:
        folder: The checkpoint folder; it may be missing.
        patterns: Globs below the folder; one without a slash is a name at any depth. Without them, those of the study
            file; without these, the rule above.

    Returns:
        Path → when it was modified, in nanoseconds, and its size: what changes when it is written again. Of a folder, the
        newest time of what it holds, and the sum.
    """
    if patterns is None:
        patterns = [line for line in os.environ.get("OUTLAST_CHECKPOINT_PATTERN", "").split("\n") if line]
    found: Dict[str, Tuple[int, int]] = {}
    if not patterns:
        _look_into(folder, found, set(), 0)
        return found
    wanted = [(pattern if "/" in pattern else "**/" + pattern).strip("/").split("/") for pattern in patterns]
    for path in _everything(folder, set(), 0):
        parts = os.path.relpath(path, folder).split(os.sep)
        stamp = _stamp(path, True, set(), 0) if any(_matches(parts, pattern) for pattern in wanted) else None
        if stamp is not None:
            found[path] = stamp
    return found


def __getattr__(name: str) -> Any:
    if name == "optimize" and __name__ == "outlast":
        raise AttributeError("outlast.optimize needs the whole package in this Python environment: pip install outlast")
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))


def _say(text: str) -> None:
    print("outlast: " + text, file=sys.stderr, flush=True)


def _new_lock() -> Any:
    import _thread

    return _thread.allocate_lock()


def _integer(text: Optional[str], default: int) -> int:
    try:
        return int(text or "")
    except ValueError:
        return default


def _is_first_rank() -> bool:
    """Whether this process speaks for its training. Read each time: launchers set the variables late."""
    env = os.environ
    for name in _RANK_VARIABLES:
        if name in env:
            return _integer(env[name], 0) == 0
    return not any(_integer(env.get(name), 0) for name in _LOCAL_RANK_VARIABLES)


def _number(name: str, value: Any) -> float:
    if type(value) is float:
        return value
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        # float() of an array or of a tensor with a gradient warns, and a training may turn warnings into errors
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: torch, of several elements
        kind = type(value).__name__
        raise TypeError("report({}=...) takes a number, not {} ({!r:.80})".format(name, kind, value)) from error


def _json_number(value: float) -> Any:
    """JSON knows no NaN or infinity; the protocol writes them as strings."""
    return value if value - value == 0 else str(value)


def _fold_of(ids: Sequence[Any], path: Optional[str]) -> Set[int]:
    """The places of the ids that are for validation; see `Trial.split`."""
    if not path:
        return set(range(0, len(ids), 5))
    import json

    with open(path, encoding="utf-8") as file:
        splits = json.load(file)
    fold = _integer(os.environ.get("OUTLAST_FOLD"), 0)
    if "folds" not in splits:  # the study file names no ids: these are drawn from, in the study's own order
        order = list(range(len(ids)))
        if splits.get("shuffle", True):
            import random

            random.Random(splits["seed"]).shuffle(order)
        return {at for rank, at in enumerate(order) if rank % splits["n"] == fold}
    folds = splits["folds"]
    known = _as_read(item for part in folds for item in part)
    strangers = [item for item in ids if not (item in known or str(item) in known)]
    if strangers:
        raise ValueError(
            "split(): {} of the ids are not in {}, for example {!r}".format(len(strangers), path, strangers[0])
        )
    held_out = _as_read(folds[fold])
    return {at for at, item in enumerate(ids) if item in held_out or str(item) in held_out}


def _as_read(ids: Iterable[Any]) -> Set[Any]:
    """Ids and their texts: a file of ids holds text where a script may count with numbers."""
    return {form for item in ids for form in (item, str(item))}


def _step(step: Any) -> int:
    whole = int(step)
    if whole != step or whole < 0:
        raise ValueError("step must be a whole number from 0, not {!r}".format(step))
    return whole


def _make_folder(path: str) -> None:
    """``os.makedirs`` whose new folders survive a power loss."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(os.path.abspath(path))
    _make_folder(parent)
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    _sync_folder(parent)


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError:
        return  # some network and FUSE filesystems refuse to fsync a folder; the rename is as durable as it gets there
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _look_into(folder: str, found: Dict[str, Tuple[int, int]], seen: Set[Tuple[int, int]], depth: int) -> None:
    """Take in the checkpoints of a folder that is none itself."""
    for name in _entries(folder, seen, depth):
        path = os.path.join(folder, name)
        whole = os.path.isfile(path) or _is_one_checkpoint(path, name)
        stamp = _stamp(path, False, set(seen), depth + 1) if whole else None
        if stamp is not None:
            found[path] = stamp
        elif not whole and name.lower() not in _OTHER_FOLDERS:
            _look_into(path, found, seen, depth + 1)


def _entries(folder: str, seen: Set[Tuple[int, int]], depth: int) -> List[str]:
    """The finished names in a folder, each folder once: links may lead in circles."""
    try:
        status = os.stat(folder)
        if depth > _DEEPEST or (status.st_dev, status.st_ino) in seen:
            return []
        seen.add((status.st_dev, status.st_ino))
        return sorted(name for name in os.listdir(folder) if not _is_unfinished(name))
    except OSError:
        return []


def _everything(folder: str, seen: Set[Tuple[int, int]], depth: int) -> Iterable[str]:
    for name in _entries(folder, seen, depth):
        path = os.path.join(folder, name)
        yield path
        if os.path.isdir(path):
            yield from _everything(path, seen, depth + 1)


def _matches(parts: List[str], pattern: List[str]) -> bool:
    """Whether a path below a folder is meant by a glob, both in parts."""
    import fnmatch

    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[at:], pattern[1:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _stamp(path: str, named: bool, seen: Set[Tuple[int, int]], depth: int) -> Optional[Tuple[int, int]]:
    """When something was modified and its size; ``None`` where it is not there, or cannot hold a state.

    A link whose target is gone, as after a kill between two steps of a framework's rotation, is not there.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not os.path.isdir(path):
        return (status.st_mtime_ns, status.st_size) if named or _may_hold_state(os.path.basename(path)) else None
    inside = [_stamp(os.path.join(path, name), named, seen, depth + 1) for name in _entries(path, seen, depth)]
    there = [stamp for stamp in inside if stamp is not None]
    return (max(at for at, _ in there), sum(size for _, size in there)) if there else None


def _is_unfinished(name: str) -> bool:
    import re

    lower = name.lower()
    return (
        name.startswith(".")
        or lower.endswith(_UNFINISHED)
        or bool(re.search(r"(?:^|[^a-z0-9])(?:tmp|incomplete)(?:[^a-z0-9]|$)|^tmp[a-z0-9_]{8}(?:\.|$)", lower))
    )


def _may_hold_state(name: str) -> bool:
    """Whether a file of this name may be what a training resumes from; see `checkpoints_in`."""
    import re

    lower = name.lower()
    if "tfevents" in lower or lower in _OTHER_NAMES.split() or re.search(r"\.log\.|^core\.\d+$|\.xplane\.pb$", lower):
        return False
    stem, suffix = os.path.splitext(lower)
    if suffix in (".gz", ".bz2", ".xz", ".zst"):
        stem, suffix = os.path.splitext(stem)
    if suffix and suffix in _OTHER_SUFFIXES.split():
        return False
    return suffix not in _TEXT_SUFFIXES or set(_OTHER_WORDS.split()).isdisjoint(re.split(r"[^a-z]+", stem))


def _is_one_checkpoint(path: str, name: str) -> bool:
    """Whether a folder is one checkpoint and not a place where some lie; see `checkpoints_in`."""
    import re

    if re.fullmatch(_STEP_FOLDER, name.lower()) or name.lower().endswith(_MODEL_SUFFIXES):
        return True
    try:
        names = os.listdir(path)
    except OSError:
        return False
    marked = any(inner.lower() in _MARKS or inner.lower().endswith(".distcp") for inner in names)
    return marked and not any(re.fullmatch(_STEP_FOLDER, inner.lower()) for inner in names)


def _by_number(path: str) -> List[Tuple[int, str]]:
    """Sorts ``epoch=10`` behind ``epoch=9``."""
    import re

    return [(int(part or 0), "") if at % 2 else (-1, part) for at, part in enumerate(re.split(r"(\d+)", path))]


def _own_number(name: str) -> int:
    """The running number in the name of a checkpoint of ours; 0 for any other name."""
    stem, suffix = os.path.splitext(name)
    digits = stem[len(_CHECKPOINT_PREFIX) :]
    if suffix in _SUFFIXES.values() and stem.startswith(_CHECKPOINT_PREFIX) and len(digits) >= 6 and digits.isdigit():
        return int(digits)
    return 0


def _own_checkpoints(folder: str) -> List[Tuple[int, str]]:
    """(number, name) of what `Trial.save_checkpoint` wrote, oldest first."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted((number, name) for number, name in ((_own_number(name), name) for name in names) if number)


def _remove_leftovers(folder: str) -> None:
    """Temporary files of attempts that died while saving."""
    for name in os.listdir(folder):
        if name.startswith("." + _CHECKPOINT_PREFIX) and name.endswith(".tmp"):
            _remove(os.path.join(folder, name))


class _Hashing:
    """A binary file being written, with the length and SHA-256 of what went through."""

    def __init__(self, file: BinaryIO) -> None:
        import hashlib

        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B") if not isinstance(data, bytes) else data
        self.sha256.update(view)
        self.size += len(view)
        self._file.write(view)
        return len(view)

    def flush(self) -> None:
        self._file.flush()


def _write_checkpoint(stem: str, payload: Any, about: Dict[str, Any]) -> str:
    """Write a checkpoint whose name begins like this. Returns its path."""
    folder, name = os.path.split(stem)
    temporary = os.path.join(folder, ".{}.{}.tmp".format(name, os.getpid()))
    try:
        if _is_flat(payload) and _write_safetensors(temporary, payload, about):
            final = stem + _SUFFIXES["safetensors"]
        else:
            kind = "torch" if _holds_tensors(payload) else "pickle"
            final = stem + _SUFFIXES[kind]
            _write_stream(temporary, payload, dict(about, format=kind))
        os.replace(temporary, final)
    except BaseException:
        _remove(temporary)
        raise
    _sync_folder(folder)
    return final


def _write_stream(path: str, payload: Any, about: Dict[str, Any]) -> None:
    """A pickle, or what ``torch.save`` writes, and the footer behind it."""
    with open(path, "wb") as file:
        through = _Hashing(file)
        if about["format"] == "torch":
            sys.modules["torch"].save(payload, through)
        else:
            import pickle

            # 4 is the newest that every Python from 3.8 reads and writes alike
            pickle.dump(payload, through, protocol=4)
        file.write(_footer(dict(about, bytes=through.size, sha256=through.sha256.hexdigest())))
        file.flush()
        os.fsync(file.fileno())


def _write_safetensors(path: str, tensors: Dict[str, Any], about: Dict[str, Any]) -> bool:
    """A file that every reader of safetensors takes; what the footer says elsewhere is in its metadata.

    Returns:
        Whether this format can hold them: not where tensors share their memory.
    """
    import json

    text = json.dumps(dict(about, format="safetensors", v=PROTOCOL, sha256=_BLANK), separators=(",", ":"))
    try:
        sys.modules["safetensors.torch"].save_file(tensors, path, metadata={"outlast": text})
    except (RuntimeError, ValueError, TypeError):
        return False
    found, fault = _read_header(path)
    if found is None:
        raise OSError("{}: {}".format(path, fault))
    with open(path, "r+b") as file:
        head = file.read(found["start"])
        file.seek(head.index(_BLANK.encode()))
        file.write(_digest(path, found).encode())
        file.flush()
        os.fsync(file.fileno())
    return True


def _is_flat(obj: Any) -> bool:
    """Whether this is a dict of names and tensors, as ``state_dict()`` gives, and safetensors is loaded."""
    if not (obj and isinstance(obj, dict) and "safetensors.torch" in sys.modules and "torch" in sys.modules):
        return False
    is_tensor = sys.modules["torch"].is_tensor
    return all(isinstance(name, str) and is_tensor(value) for name, value in obj.items())


def _footer(about: Dict[str, Any]) -> bytes:
    import json

    text = _FOOTER_MAGIC + json.dumps(dict(about, v=PROTOCOL), separators=(",", ":")).encode()
    return text.ljust(_FOOTER_BYTES - 1) + b"\n"


def _read_about(path: str) -> Tuple[Optional[Dict[str, Any]], str]:
    """What a checkpoint says of itself, or ``None`` and what is wrong. It is whole by its size; `_verify` reads it all."""
    return _read_header(path) if path.endswith(_SUFFIXES["safetensors"]) else _read_footer(path)


def _read_header(path: str) -> Tuple[Optional[Dict[str, Any]], str]:
    """Of a safetensors file: the length of a JSON object, that object, and the tensors behind it."""
    import json

    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            if not 8 < start <= size:
                return None, "truncated"
            header = json.loads(file.read(start - 8).decode())
        about = json.loads(header.pop("__metadata__")["outlast"])
        about["sha256"] = str(about["sha256"])
        about["start"], about["bytes"] = start, max(entry["data_offsets"][1] for entry in header.values())
    except OSError as error:
        return None, str(error)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, "its header is damaged"
    return (about, "") if start + about["bytes"] == size else (None, "truncated")


def _read_footer(path: str) -> Tuple[Optional[Dict[str, Any]], str]:
    """What the footer says, or ``None`` and what is wrong."""
    import json

    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            file.seek(max(0, size - _FOOTER_BYTES))
            tail = file.read()
    except OSError as error:
        return None, str(error)
    if not tail.startswith(_FOOTER_MAGIC):
        return None, "truncated"
    try:
        about = json.loads(tail[len(_FOOTER_MAGIC) :].decode())
        whole = about["bytes"] + _FOOTER_BYTES == size
    except (ValueError, KeyError, TypeError):
        return None, "its footer is damaged"
    return (about, "") if whole else (None, "truncated")


def _verify(path: str) -> Tuple[Optional[Dict[str, Any]], str]:
    """The footer of a checkpoint whose content matches its checksum, or ``None`` and what is wrong."""
    about, fault = _read_about(path)
    if about is None:
        return None, fault
    try:
        if about.get("sha256") == _digest(path, about):
            return about, ""
    except OSError as error:
        return None, str(error)
    return None, "its checksum does not match its content"


def _digest(path: str, about: Dict[str, Any]) -> str:
    """The SHA-256 of a checkpoint: of what stands before its footer, or of all with the checksum itself blanked out."""
    import hashlib

    digest, left = hashlib.sha256(), about["bytes"]
    with open(path, "rb") as file:
        if "start" in about:
            digest.update(file.read(about["start"]).replace(about["sha256"].encode(), _BLANK.encode()))
        while left:
            block = file.read(min(left, _BLOCK_BYTES))
            if not block:
                break
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def _read_payload(path: str, about: Dict[str, Any], map_location: Any) -> Any:
    if about.get("format") == "torch":
        torch = __import__("torch")
        if map_location is None and not torch.cuda.is_available():
            map_location = "cpu"
        return torch.load(path, map_location=map_location, weights_only=False)
    if about.get("format") == "safetensors":
        import importlib

        return importlib.import_module("safetensors.torch").load_file(path, device=str(map_location or "cpu"))
    import pickle

    with open(path, "rb") as file:
        return pickle.load(file)  # noqa: S301  the checkpoint folder is the user's own


def _holds_tensors(obj: Any, depth: int = 6) -> bool:
    """Whether ``torch.save`` should write this: torch is loaded and there is a tensor or a module within reach."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "is_tensor"):
        return False
    if torch.is_tensor(obj) or isinstance(obj, torch.nn.Module):
        return True
    if depth == 0:
        return False
    if isinstance(obj, dict):
        return any(_holds_tensors(item, depth - 1) for item in obj.values())
    if isinstance(obj, (list, tuple)):
        return any(_holds_tensors(item, depth - 1) for item in obj)
    return False


def random_states() -> Dict[str, Any]:
    """The states of Python's random generator, and of NumPy's and torch's where they are loaded.

    Made of tuples, lists, numbers and tensors only, so that ``torch.load(weights_only=True)`` reads them too.
    """
    import random

    states: Dict[str, Any] = {"python": random.getstate()}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        name, keys, position, has_gauss, gauss = numpy.random.get_state()
        states["numpy"] = (str(name), keys.tolist(), int(position), int(has_gauss), float(gauss))
    if torch is not None:
        states["torch"] = torch.get_rng_state()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def restore_random_states(states: Dict[str, Any]) -> None:
    """Go on drawing where `random_states` was called."""
    import random

    random.setstate(states["python"])
    if "numpy" in states:
        __import__("numpy").random.set_state(states["numpy"])
    if "torch" in states:
        torch = __import__("torch")
        torch.set_rng_state(states["torch"].cpu())
        for device, state in enumerate(states.get("cuda", ())[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state.cpu(), device)
