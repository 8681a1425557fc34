"""What touches the machine: durable files, locks, processes, the clock.

Lives here: the only places that fsync, link, lock and signal. Must not: anything that knows what a study is.
Standard library, msgspec, and what the system needs (psutil, NVML), and quick to import: a runner starts once per attempt.
"""
