"""What touches the machine: durable files, locks, processes, the clock.

Lives here: the only places that fsync, link, lock and signal. Must not: anything that knows what a study is.
Standard library only, and quick to import: a runner starts once per attempt.
"""

from outlast._system.capped_log import CappedLog, LogReader, copy_log, is_one_file
from outlast._system.clock import Clock, utc_now
from outlast._system.files import (
    append_durable,
    copy_file,
    fsync_dir,
    fsync_file,
    list_names,
    make_dir,
    read_bytes,
    read_json,
    remove,
    remove_temporaries,
    remove_tree,
    rename,
    settle,
    settle_tree,
    symlink_atomic,
    unstale,
    write_atomic,
    write_once,
)
from outlast._system.locks import FileLock, clear_locks, is_locked
from outlast._system.mounts import is_shared
from outlast._system.processes import (
    Identity,
    adopts_orphans,
    descendants,
    die_with_parent,
    end_processes,
    identity_of,
    is_running,
    lock_holders,
    my_identity,
    processes_with,
    reap_orphans,
)

__all__ = [
    "CappedLog",
    "Clock",
    "FileLock",
    "Identity",
    "LogReader",
    "adopts_orphans",
    "append_durable",
    "clear_locks",
    "copy_file",
    "copy_log",
    "descendants",
    "die_with_parent",
    "end_processes",
    "fsync_dir",
    "fsync_file",
    "identity_of",
    "is_locked",
    "is_one_file",
    "is_running",
    "is_shared",
    "list_names",
    "lock_holders",
    "make_dir",
    "my_identity",
    "processes_with",
    "read_bytes",
    "read_json",
    "reap_orphans",
    "remove",
    "remove_temporaries",
    "remove_tree",
    "rename",
    "settle",
    "settle_tree",
    "symlink_atomic",
    "unstale",
    "utc_now",
    "write_atomic",
    "write_once",
]
