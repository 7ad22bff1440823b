"""Requests to a server on the loopback; faults and retries are played out in test_server.py."""

import pytest

from stillhouse.endpoints.client import AHEAD, Client
from stillhouse.errors import ConfigError
from tests.endpoints.teacher import OK, Teacher


@pytest.fixture
def teacher():
    playing = Teacher(OK)
    yield playing
    playing.shutdown()
    playing.server_close()


def test_paths_are_below_the_base_or_beside_its_version(teacher):
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    for base in (teacher.url, teacher.url.rstrip("/"), teacher.url.removesuffix("v1/")):
        client = Client(base)
        for path in ("chat/completions", "/tokenize"):
            reply = client.post(path, body)
            assert reply is not None
            assert (reply.status, reply.error) == (200, "")
    assert [path for path, _, _ in teacher.bodies] == ["/v1/chat/completions", "/tokenize"] * 2 + [
        "/chat/completions",
        "/tokenize",
    ]


def test_jobs_are_numbered_and_those_still_owed_are_left_out():
    client = Client("http://127.0.0.1:9/v1", concurrency=3)
    found = dict(client.each(lambda job: None if job == "c" else job.upper(), ["a", "b", "c", "d"]))
    assert found == {0: "A", 1: "B", 3: "D"}


def test_what_a_job_raises_ends_the_run_after_the_others_are_kept():
    client = Client("http://127.0.0.1:9/v1", concurrency=1)

    def do(job):
        if job == 1:
            raise client.stop(ConfigError("no"))
        return job

    kept = []
    with pytest.raises(ConfigError, match="no"):
        kept.extend(client.each(do, [0, 1, 2]))
    assert (dict(kept)[0], 1 in dict(kept)) == (0, False)
    assert client.post("chat/completions", {}) is None
    assert list(client.each(do, [7])) == [(0, 7)]


def test_jobs_are_made_as_they_are_needed_and_no_more_once_halted():
    client, made, kept = Client("http://127.0.0.1:9/v1", concurrency=2), [], []

    def jobs():
        for number in range(1000):
            made.append(number)
            yield number

    for index, result in client.each(lambda job: -job, jobs(), lambda: len(kept) >= 5):
        assert result == -index
        kept.append(index)
        assert len(made) <= len(kept) + 2 * AHEAD
    assert 5 <= len(kept) <= 5 + 2 * AHEAD
