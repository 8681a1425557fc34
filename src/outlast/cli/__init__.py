"""The commands: parse, call, map errors to exit codes, render.

`main` is where one begins, `app` lists the commands, and `commands` has them as they are typed. What they do is in `running`
and `looking`; `targets` finds what is meant, `render` and `live` are what a person reads.
"""
