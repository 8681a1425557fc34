"""``python -m lab.driver FOLDER``: run the study of FOLDER, whose workers are waited for."""

import sys
from pathlib import Path

from lab.functions import look_patiently, settings_of
from outlast.engine.coordinator.listener import Listener
from outlast.engine.hold.run import run_study
from outlast.engine.record.recorded import study_paths
from outlast.executors import fork_request as warm

warm._Worker.look = look_patiently(warm._Worker.look)
place = Path(sys.argv[1])
settings = settings_of(place)
run_study(study_paths(place / "study", settings), settings, lambda *_: Listener())
