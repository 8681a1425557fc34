"""The pure core: states, records, faults, budget, plan, health.

Lives here: functions from values to values. Must not: a clock, a file, a subprocess, a random number without its seed.
"""
