"""What touches the machine: durable files, locks, processes, the clock.

Lives here: the only places that fsync, link, lock and signal. Must not: anything that knows what a study is.
Standard library only, and quick to import: a runner starts once per attempt.
"""

from outlast._system.capped_log import CappedLog as CappedLog
from outlast._system.capped_log import LogReader as LogReader
from outlast._system.capped_log import copy_log as copy_log
from outlast._system.capped_log import is_one_file as is_one_file
from outlast._system.clock import Clock as Clock
from outlast._system.clock import say_with_time as say_with_time
from outlast._system.clock import utc_now as utc_now
from outlast._system.files import append_durable as append_durable
from outlast._system.files import copy_file as copy_file
from outlast._system.files import remove as remove
from outlast._system.files import remove_temporaries as remove_temporaries
from outlast._system.files import remove_tree as remove_tree
from outlast._system.files import rename as rename
from outlast._system.files import symlink_atomic as symlink_atomic
from outlast._system.files import write_atomic as write_atomic
from outlast._system.files import write_once as write_once
from outlast._system.locks import FileLock as FileLock
from outlast._system.locks import clear_locks as clear_locks
from outlast._system.locks import is_locked as is_locked
from outlast._system.mounts import is_shared as is_shared
from outlast._system.processes import Identity as Identity
from outlast._system.processes import adopts_orphans as adopts_orphans
from outlast._system.processes import descendants as descendants
from outlast._system.processes import die_with_parent as die_with_parent
from outlast._system.processes import end_processes as end_processes
from outlast._system.processes import identity_of as identity_of
from outlast._system.processes import is_running as is_running
from outlast._system.processes import lock_holders as lock_holders
from outlast._system.processes import my_identity as my_identity
from outlast._system.processes import processes_with as processes_with
from outlast._system.processes import reap_orphans as reap_orphans
from outlast._system.reading import list_names as list_names
from outlast._system.reading import read_bytes as read_bytes
from outlast._system.reading import read_json as read_json
from outlast._system.reading import unstale as unstale
from outlast._system.syncing import fsync_dir as fsync_dir
from outlast._system.syncing import fsync_file as fsync_file
from outlast._system.syncing import make_dir as make_dir
from outlast._system.syncing import settle as settle
from outlast._system.syncing import settle_tree as settle_tree
