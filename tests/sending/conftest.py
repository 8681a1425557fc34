"""What the contract of sinks asserts is explained where it fails."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("outlast.testing.sinks")
