"""C++ is built once, does its work in equal shares, and is done without where it cannot be had."""

import ctypes

import pytest

from stillhouse import compiled as module
from stillhouse.compiled import NUMBER, POINTER, Compiled, compiler, in_threads

SUM = """extern "C" long sum(const long* numbers, long begin, long end) {
    long total = 0;
    for (long i = begin; i < end; i++) total += numbers[i];
    return total;
}"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "sum.cpp"
    file.write_text(SUM)
    return file


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("threads", [1, 3])
def test_built_once_and_called_in_shares(source, threads, monkeypatch):
    own = Compiled(source, {"sum": (POINTER, NUMBER, NUMBER)}, returns={"sum": NUMBER})
    assert own.there
    numbers, parts = (ctypes.c_long * 100)(*range(100)), [0] * threads

    def work(begin: int, end: int, thread: int) -> None:
        parts[thread] = own.functions.sum(numbers, begin, end)

    in_threads(work, 100, threads)
    assert sum(parts) == sum(range(100))
    assert max(parts) < sum(range(100)) or threads == 1
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    assert Compiled(source, {}).there


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
def test_an_error_in_a_share_is_not_lost():
    with pytest.raises(ValueError, match="share"):
        in_threads(lambda begin, end, thread: (_ for _ in ()).throw(ValueError("share")), 4, 2)


@pytest.mark.parametrize("setting", [{"CXX": "/no/such/compiler"}, {"STILLHOUSE_NATIVE": "0"}])
def test_without_a_compiler(source, setting, monkeypatch):
    for key, value in setting.items():
        monkeypatch.setenv(key, value)
    assert not Compiled(source, {}).there


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
def test_without_a_source_that_compiles(source):
    source.write_text("this is no C++")
    assert not Compiled(source, {}).there
