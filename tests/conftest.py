from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "seamlabel",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("seamlabel")


def pytest_collection_modifyitems(items):
    """Have the longest tests begin first, lest one process works on them when all others are done."""
    items.sort(key=lambda item: item.path.name != "test_at_scale.py")
