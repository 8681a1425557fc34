"""What goes on, on a terminal, a pipe or in a notebook cell, while it goes on: one study, or several side by side.

`live_view` is what shows it, whoever tells it; `watching` feeds it from the coordinator in this process, `onlooker` from folders.
`picture`, `one` and `pages` say what stands in each line, as values; `choice` what a key does; `in_place` puts lines on a
terminal and writes only what changed; `keys` reads the keyboard. What a search is told to do from here goes through the same
commands as a person would type: nothing here decides.
"""
