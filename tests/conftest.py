"""Under test every shape is checked, every worker has one thread, and nobody's cache or network is touched."""

import os
import signal
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: threads of several workers slow each other down
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MPLBACKEND"] = "agg"

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, and so would children

install_import_hook("stillhouse", "beartype.beartype")


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for each test; slow tests keep the user's, since it holds the converted model."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "cache"))
