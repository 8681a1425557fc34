"""Bringing home what is new in a live folder on scratch.

Contract:

- *Home is whole.* Each file at home appears by rename and is durable; the ledger goes before what follows from it, and holds
  whole lines up to the seals of the segments that are there. So home is a study folder that can be read, reported on, and
  gone on with at any moment, without what has happened since the last sync. Only what kept workers print is appended to.
- *One way.* A sync never writes into the live folder and never takes anything away at home but the checkpoints of a trial that
  is the best no longer, once those of the new best are there, and the ``error.log`` of a trial that was retried and did not fail
  again (or its ``reports.jsonl``, if now it did). What was purged from scratch stays at home.
- *No going back.* A home that knows decisions which the live folder lacks is not written: the two have parted.

On a mounted drive, which may tear, forget or give back late what was written, there is more to it: whatever is copied is read
back and compared; the ledger and what else a study cannot do without are kept as snapshots (`outlast.study.snapshots`), from
which a lost study goes on; and trials without an outcome have their checkpoints there (`outlast.study.unfinished`).

Whoever syncs holds the lease of the live folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from outlast._system.files import (
    copy_file,
    copy_what_is_new,
    remove,
    remove_temporaries,
    remove_tree,
    rename,
    symlink_atomic,
    write_atomic,
)
from outlast._system.mounts import NOT_SUPPORTED
from outlast._system.reading import read_bytes, read_json, read_link
from outlast._system.syncing import fsync_file, make_dir, settle_tree
from outlast._system.wary import copy_tree, copy_verified, digest_of, require_digest, write_verified
from outlast.core.file_names import FOLLOWUPS, TrialPaths
from outlast.core.file_names import StudyNames as _At
from outlast.study.home import entries, files_below, finish_replacing, is_on_a_drive, require_extension
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import is_whole
from outlast.study.segments import read_ledger, segment_path
from outlast.study.snapshots import Snapshot, Snapshots, read_snapshots
from outlast.study.unfinished import Unfinished

_DERIVED = (*(n.name for n in (_At.trials_table, _At.summary, _At.best_config, _At.best_results, _At.report)),)
#: What a study needs before it can be gone on with.
_FIRST = tuple(n.name for n in (_At.study_file, _At.splits, _At.objective))
#: A trial's record last: with it, the trial is there.
_OF_A_TRIAL = tuple(
    n.name for n in (TrialPaths.script, TrialPaths.log, TrialPaths.reports, TrialPaths.error_log, TrialPaths.record)
)
#: Small files that a snapshot holds, beside ledger and revisions.
_SMALL = (_At.study_file.name, _At.splits.name)
_MANIFEST = ".synced.json"


class HomeSync:
    """Brings home what is new in a live folder. Cheap where nothing is: files are compared by size and time.

    Its `fence` raises where somebody else holds the study by now; it is asked right before each file appears at home.
    """

    def __init__(self, live: StudyPaths, home: StudyPaths, *, fence: Callable[[], object] | None = None) -> None:
        self._live, self._home, self._fence = live, home, fence or (lambda: None)
        self._known: dict[str, list[int]] = {}  # what lies at home: path → size and time of what it was copied from
        self._begun = False
        self._drive = is_on_a_drive(live)
        self._snapshots, self._sums = Snapshots(home.snapshots), dict[str, str]()
        self._unfinished = Unfinished(live, home)
        self._heavy_at, self._torn_copies = 0.0, 0

    def sync(self, *, last: bool = False) -> list[str]:
        """Copy home what is new. Repeating it after a crash at any moment is harmless.

        Args:
            last: The run ends: nothing waits for a later one.

        Returns:
            What was changed at home, by its path in the study folder.

        Raises:
            UsageError: Home knows decisions that the live folder lacks.
            OSError: A disk refused; what is at home is whole, and the next sync goes on.
            LeaseLost: From the fence.
        """
        self._require_mount()
        if not self._begun:
            self._begin()
        finished = self._finished()  # before the ledger is read: it knows about each of them
        going = self._unfinished.going() if self._drive else []  # likewise
        ledger = self._ledger_text()
        self._snapshot(ledger)
        copied = [*self._outputs(), *self._ledger(ledger), *self._files(_FIRST)]
        copied += self._tree(_At.revisions.name)
        for commit in entries(self._live.code):
            copied += self._folder(f"{_At.code.name}/{commit}", once=True)
        for name in finished:
            copied += self._outdated(name)
            copied += self._files(tuple(os.path.join(_At.trials.name, name, file) for file in _OF_A_TRIAL))
        if not self._drive:  # before the tables that name them
            copied += self._best_checkpoint()
        copied += self._files(_DERIVED) + self._tree(_At.plots.name) + self._index()
        if copied:
            self._remember(ledger)
        return copied + (self._heavy(ledger, going, last) if self._drive else [])

    @property
    def too_large(self) -> frozenset[int]:
        """Trials without an outcome whose checkpoints are not brought home, for their size."""
        return frozenset(map(int, self._unfinished.too_large))

    def _remember(self, ledger: Mapping[str, bytes]) -> None:
        self._snapshot(ledger)  # it knows what was copied
        self._write(_MANIFEST, json.dumps({"version": 1, "files": self._known}).encode())

    # -- on a drive ---------------------------------------------------------------------------------------------------

    def _heavy(self, ledger: Mapping[str, bytes], going: Sequence[str], last: bool) -> list[str]:
        """What may be large: it takes a twentieth of the time, and nothing else waits for it."""
        began = time.monotonic()
        if began < self._heavy_at and not last:
            return []
        copied: list[str] = []
        trouble: OSError | None = None
        try:
            copied = self._tree(_At.outputs.name)
            copied += self._best_checkpoint()
        except OSError as error:  # the others' come home all the same
            trouble = error
        self._heavy_at = time.monotonic() + 20 * (time.monotonic() - began)
        if copied:
            self._remember(ledger)
        copied += self._unfinished.bring(going, last=last, still_ours=self._fence)
        if trouble is not None:
            raise trouble
        return copied

    def _require_mount(self) -> None:
        """A drive that was unmounted is a folder of this machine's, or none: nothing is written there."""
        if self._drive and not self._home.root.is_dir():
            raise OSError(errno.ENOTCONN, "the drive is not mounted", str(self._home.root))

    def _snapshot(self, ledger: Mapping[str, bytes]) -> None:
        if not self._drive:
            return
        files = {name: data.decode() for name, data in ledger.items()}
        for name in (*_SMALL, *files_below(self._live.root, _At.revisions.name)):
            if (data := read_bytes(self._live.root / name)) is not None:
                files[name] = data.decode()
        whole = hashlib.sha256(json.dumps([files, self._sums]).encode()).hexdigest()
        if whole != self._in_snapshot:
            self._fence()
            self._snapshots.write(files, self._sums)
            self._in_snapshot = whole

    _in_snapshot = ""

    def _copy(self, name: str) -> None:
        """One file; on a drive it is read back, and its checksum kept where it counts."""
        source, target = self._live.root / name, self._home.root / name
        if not self._drive:
            copy_file(source, target, fence=self._fence)
            return
        self._fence()
        digest = copy_verified(source, target)
        if name == _At.objective.name:
            self._sums[name] = digest

    def _write(self, name: str, data: bytes) -> None:
        if not self._drive:
            write_atomic(self._home.root / name, data, fence=self._fence)
            return
        self._fence()
        write_verified(self._home.root / name, data)

    def _begin(self) -> None:
        make_dir(self._home.root)
        for folder, below, _ in os.walk(self._home.root):
            if folder == str(self._home.root):
                below[:] = [name for name in below if name not in FOLLOWUPS]  # studies of their own, perhaps run now
            remove_temporaries(folder)  # so that nobody who was held up can make an old file appear over a new one
        finish_replacing(self._home.root)
        if self._drive:
            from outlast.study.drive_home import require_one_story

            require_one_story(self._live, self._home)
            self._sums = dict(next(iter(read_snapshots(self._home.snapshots)[0]), Snapshot(0, "", "")).sums)
        else:
            require_extension(self._live, self._home)
        manifest = read_json(self._home.root / _MANIFEST)
        if isinstance(manifest, dict):
            self._known = {
                path: known for path, known in manifest["files"].items() if (self._home.root / path).exists()
            }
        self._begun = True

    def _finished(self) -> list[str]:
        """Trials whose files are put away and not at home yet, or not as they are now."""
        found = []
        for name in entries(self._live.trials):
            trial = TrialPaths.of(self._live.trials / name)
            mark = _mark(trial.record)
            if mark is None or self._known.get(str(trial.record.relative_to(self._live.root))) == mark:
                continue
            if is_whole(trial.record) and not trial.attempts.exists():
                found.append(name)
        return found

    def _ledger_text(self) -> Mapping[str, bytes]:
        """Every segment up to its seal, whole lines only. Later ones are read first, so that none is shorter than its seal."""
        marks = {path.name: _mark(path) for path in self._live.ledger.glob("*.jsonl")}
        self._marks = {f"ledger/{name}": mark for name, mark in marks.items() if mark is not None}
        if all(self._known.get(name) == mark for name, mark in self._marks.items()) and not self._drive:
            return {}
        if self._marks == self._marks_read:
            return self._text
        found = {}
        for segment in read_ledger(self._live.ledger).segments:
            path = segment_path(self._live.ledger, segment.number)
            found[f"ledger/{path.name}"] = (read_bytes(path) or b"")[: segment.length]
        if self._drive:
            self._marks_read, self._text = dict(self._marks), found
        return found

    _marks: Mapping[str, list[int]] = {}  # of the segments, before they were read
    _marks_read: Mapping[str, list[int]] = {}  # likewise, of those that are kept
    _text: Mapping[str, bytes] = {}

    def _ledger(self, text: Mapping[str, bytes]) -> list[str]:
        copied = []
        for name, data in text.items():
            if name not in self._marks or self._known.get(name) == self._marks[name]:
                continue
            make_dir(self._home.ledger)
            self._write(name, data)
            self._known[name] = self._marks[name]
            copied.append(name)
        return copied

    def _files(self, names: tuple[str, ...]) -> list[str]:
        copied = []
        for name in names:
            mark = _mark(self._live.root / name)
            if mark is None or self._known.get(name) == mark:
                continue
            make_dir((self._home.root / name).parent)
            with contextlib.suppress(FileNotFoundError):  # replaced or purged meanwhile
                self._copy(name)
                self._known[name] = mark
                copied.append(name)
        return copied

    def _outputs(self) -> list[str]:
        """What kept workers printed: files that grow as long as the study goes on, and of which only what is new goes home."""
        copied = []
        for name in sorted(files_below(self._live.root, _At.outputs.name)) if not self._drive else ():
            mark, known = _mark(self._live.root / name), self._known.get(name)
            if mark is None or mark == known:
                continue
            with contextlib.suppress(FileNotFoundError):
                source, target = self._live.root / name, self._home.root / name
                if known and copy_what_is_new(source, target, known=known[0], size=mark[0], fence=self._fence):
                    self._known[name] = mark
                    copied.append(name)
                    continue
            copied += self._files((name,))
        return copied

    def _tree(self, name: str) -> list[str]:
        return self._files(tuple(sorted(files_below(self._live.root, name))))

    def _folder(self, name: str, *, once: bool = False) -> list[str]:
        """A folder as it is now, replaced whole: at home there is the old one or the new one, or for a moment neither.

        With `once` it is brought home at once or not at all, and never again.
        """
        source, target = self._live.root / name, self._home.root / name
        if once and target.exists():
            return []
        marks = {path: _mark(self._live.root / path) for path in sorted(files_below(self._live.root, name))}
        new = json.dumps(marks)
        if not marks or (target.exists() and self._known.get(f"{name}/") == _digest(new)):
            return []
        make_dir(target.parent)
        making, aside = (target.with_name(f".{target.name}.{word}") for word in ("new", "old"))
        remove_tree(making)
        if self._drive:
            copy_tree(source, making, hidden=once)
        else:
            shutil.copytree(source, making, symlinks=True, ignore=None if once else shutil.ignore_patterns(".*"))
        settle_tree(making)
        sums: dict[str, str] = {}
        for path in marks if self._drive else ():
            inner = os.path.relpath(path, name)
            if (making / inner).is_file() and not (making / inner).is_symlink():
                sums[path] = digest_of(source / inner)
                require_digest(making / inner, sums[path])
        self._fence()
        remove_tree(aside)
        if target.exists():
            rename(target, aside)
        try:
            rename(making, target)
        except (
            OSError
        ):  # whoever took over removed it, since the fence was asked, or the disk failed: what lay there stays
            if aside.exists() and not target.exists():
                rename(aside, target)
            raise
        self._sums.update(sums)  # not before: the next snapshot tells what is there
        remove_tree(aside)
        self._known[f"{name}/"] = _digest(new)
        return [f"{name}/"]

    def _outdated(self, name: str) -> list[str]:
        """Remove what tells of an end that a retried trial no longer has: its record says which end it has now."""
        record = read_json(TrialPaths.of(self._live.trials / name).record)
        failed = isinstance(record, dict) and record.get("state") == "failed"
        gone = TrialPaths.reports if failed else TrialPaths.error_log
        path = f"{_At.trials.name}/{name}/{gone.name}"
        if not (self._home.root / path).exists():
            return []
        self._fence()
        remove(self._home.root / path)
        self._known.pop(path, None)
        return [path]

    def _best_checkpoint(self) -> list[str]:
        """The weights of the best trial, where they lie in the study folder; then the link; then those of the last best go."""
        pointed = read_link(self._live.best_checkpoint)
        if pointed is None:
            return []
        inside = not os.path.isabs(pointed)
        try:
            copied = self._folder(pointed) if inside else []
            self._torn_copies = 0
        except FileNotFoundError:  # the best has changed meanwhile, or a purge is at work: next time
            return []
        except shutil.Error as error:  # likewise; but not again and again
            self._torn_copies += 1
            if self._drive and self._torn_copies > 1:
                _, there, why = error.args[0][0]
                raise OSError(errno.EIO, str(why), there) from error
            return []
        if inside and not (self._home.root / pointed).is_dir():
            return copied
        if read_link(self._home.best_checkpoint) != pointed:
            try:
                symlink_atomic(pointed, self._home.best_checkpoint, fence=self._fence)
                copied.append(_At.best_checkpoint.name)
            except OSError as error:
                if error.errno not in NOT_SUPPORTED:
                    raise
        for name in [key.rstrip("/") for key in self._known if key.endswith("/checkpoints/")]:
            if name != pointed:
                remove_tree(self._home.root / name)
                del self._known[f"{name}/"]
                self._sums = {path: digest for path, digest in self._sums.items() if not path.startswith(f"{name}/")}
                copied.append(f"{name}/")
        return copied

    def _index(self) -> list[str]:
        """A consistent copy, also of an index that is being written (SQLite's backup API)."""
        name = self._live.index.name
        mark = _mark(self._live.index)
        if mark is None:
            return []
        mark += _mark(self._live.index.with_name(f"{name}-wal")) or []
        if self._known.get(name) == mark:
            return []
        making = (self._live if self._drive else self._home).root / f".{name}.{os.getpid()}.0.tmp"
        try:
            _back_up(self._live.index, making)
            self._fence()
            if self._drive:
                copy_verified(making, self._home.index)
            else:
                rename(making, self._home.index)
        except sqlite3.Error:  # busy, or being rebuilt: next time; it is only derived
            return []
        finally:
            remove(making, durable=False)
        self._known[name] = mark
        return [name]


def _mark(path: Path) -> list[int] | None:
    """What tells that a file has changed."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [status.st_size, status.st_mtime_ns]


def _digest(text: str) -> list[int]:
    return [int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")]


def _back_up(source: Path, target: Path) -> None:
    address = f"{source.as_uri()}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(address, uri=True, timeout=1.0)) as original,
        contextlib.closing(sqlite3.connect(target, timeout=1.0)) as copy,
    ):
        original.backup(copy, pages=1000)
        copy.execute("PRAGMA journal_mode=DELETE")  # home may be a network filesystem, which WAL does not go with
    fsync_file(target)
