import os
import shutil
import sys
from pathlib import Path

import pytest

from stillhouse.elicit.sandbox import kinds
from stillhouse.elicit.sandbox.box import Box, find
from stillhouse.elicit.sandbox.kinds import KINDS, python, spare_uid, visible


def test_what_is_visible_is_this_python_and_no_home() -> None:
    paths = [Path(path) for path in visible()]
    assert all(path.exists() for path in paths)
    assert any(Path(os.__file__).is_relative_to(path) for path in paths)
    assert any(python().is_relative_to(path) for path in paths)
    assert not any(Path.home().is_relative_to(path) or Path.cwd().is_relative_to(path) for path in paths)
    assert not any(a != b and a.is_relative_to(b) for a in paths for b in paths)


def test_the_interpreter_is_the_one_behind_the_environment() -> None:
    assert python().is_file()
    assert python().name == f"python3.{sys.version_info.minor}"


def test_a_spare_user_is_another_one_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert spare_uid() is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for text, low, high in [("0 0 4294967295\n", 65536, 2**32 - 2), ("0 1000 1\n1 100000 65536\n", 1, 65536)]:
        monkeypatch.setattr(kinds.Path, "read_text", lambda *_, text=text, **__: text)
        users = {spare_uid() for _ in range(20)}
        assert len(users) > 15
        assert all(user is not None and low <= user <= high for user in users)
    monkeypatch.setattr(kinds.Path, "read_text", lambda *_, **__: "0 1000 1\n")
    assert spare_uid() is None


def test_user_namespaces_are_asked_for_only_by_users() -> None:
    for kind in KINDS:
        assert any("user" in word for word in kind.command("x", None, 8))
        assert not any("user" in word for word in kind.command("x", 123, 8))


def test_a_kind_that_is_not_installed_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert [find(kind) for kind in KINDS] == [None, None]
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert find(KINDS[0]) == Box(KINDS[0], "/bin/unshare")
