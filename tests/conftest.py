"""Under test every shape is checked, every worker has one thread, and nobody's cache or network is touched."""

import os
import signal
import tempfile
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
def own_cache(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache of its own for each test; slow tests keep the user's, since it holds the converted model.

    Only the compiled losses are shared, by all tests of all sessions: their names tell one source from another.
    """
    if request.node.get_closest_marker("slow") is None:
        compiled = Path(tempfile.gettempdir()) / f"stillhouse-tests-{os.getuid()}"
        compiled.mkdir(exist_ok=True)
        cache = tmp_path_factory.mktemp("cache")
        (cache / "native").symlink_to(compiled)
        monkeypatch.setenv("STILLHOUSE_CACHE", str(cache))
