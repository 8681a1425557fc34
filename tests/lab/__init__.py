"""What the tests share: studies that are run, hurt and looked at, and the machines that they run on.

``from lab.waiting import until`` works in every test (``pythonpath`` in pyproject.toml); programs here are started from
``tests`` as ``python -m lab.chaos``. A folder of tests keeps what only it needs in its own conftest.py.

waiting      until: whatever waits for a process waits for a fact, with a limit
descriptors  what this process has open, to compare
study        a study in a folder of its own: its file, its record of epochs, its ledger; and one that is run in the background
survival     studies that are killed by commands forked from a zygote; crash points; comparison: with one that nobody touched
chaos        campaigns of random kills; mutants: broken products that a campaign has to notice; power: disks after power failures
slurm        a study in a real queue; cluster: a real SLURM on this machine; daemons: what it consists of
network      a study on a share; hosts: machines of a make-believe cluster; late_mount: a filesystem as late as NFS at its worst
faults, pruning, box, functions   studies of trials that suffer, are pruned, share cards, are Python functions
damage, damages, random_damage    a study whose files are harmed
trainings/   the trainings of these studies: an epoch is a pause, a score, a checkpoint and a line in a record
"""
