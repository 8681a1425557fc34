"""A coordinator of one study of sharing.py: runs it to its rest with its part of the shared slots."""

import json
import sys

from outlast.config.load import load_study_file
from outlast.engine.coordinator.listener import Listener
from outlast.engine.hold.run import run_study
from outlast.engine.record.recorded import study_paths
from outlast.executors.shared_slots import Sharing

if __name__ == "__main__":
    folder, sharing = sys.argv[1], json.loads(sys.argv[2])
    settings = load_study_file(f"{folder}/study.yaml")
    run_study(
        study_paths(f"{folder}/study", settings), settings, lambda opened, slots: Listener(), sharing=Sharing(**sharing)
    )
