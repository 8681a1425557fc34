"""Contract tests explain themselves when they fail."""

import pytest

pytest.register_assert_rewrite("outlast.testing.executors")
