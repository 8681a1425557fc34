"""The commands: parse, call, map errors to exit codes, render."""
