"""``python -m outlast.runner STUDY/open/NNNN.K``: run one attempt, beside the training."""

import sys

from outlast.runner.main import main

sys.exit(main(sys.argv[1:]))
