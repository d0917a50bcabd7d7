"""Networks of PyTorch as people have them; left out where torch, or bioimageio.core, is not installed."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [
    name
    for name, needed in [
        ("test_compat_torch.py", "torch"),
        ("test_torch_files.py", "torch"),
        ("test_torch_tiles.py", "torch"),
        ("test_zoo.py", "bioimageio"),
    ]
    if find_spec(needed) is None
]
