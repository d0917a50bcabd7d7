"""Every Python block of the README and the how-tos runs, in order, as a reader would run them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seamlabel.api import sample

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "docs/how-to.md", "docs/how-to-write-a-backend.md"])
def test_the_python_blocks_run_in_order(name, tmp_path, monkeypatch):
    from seamlabel import registry

    monkeypatch.setattr(registry, "_registry", {})
    monkeypatch.chdir(tmp_path)
    sample("tissue.zarr", (300, 300))
    blocks = BLOCK.findall((ROOT / name).read_text())
    assert len(blocks) > 2
    scope = {"__name__": "reader"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{name} block {number}", "exec"), scope)


def test_links_and_images_of_the_documents_exist():
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"
