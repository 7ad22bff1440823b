"""A server that fails in every way, on the loopback: what is retried, what stops, what is kept, and what is paid."""

import math
import signal
import socket
import struct
import threading
import time
from contextlib import closing

import pytest

from stillhouse.endpoints import client as client_module
from stillhouse.endpoints.base import Endpoint, Sampling
from stillhouse.endpoints.server import Server
from stillhouse.errors import ConfigError, Resumable
from stillhouse.records.types import Message
from tests.endpoints.asking import asked, prompts_of
from tests.endpoints.teacher import OK, Teacher, listed, said, scoring, send

KEY = "CANARY-4f1d0c"


@pytest.fixture
def play():
    teachers = []

    def start(*script):
        teachers.append(Teacher(*script))
        return teachers[-1]

    yield start
    for teacher in teachers:
        teacher.shutdown()
        teacher.server_close()


def ask(teacher, prompts=("Hi",), sampling=None, **settings):
    slept = []
    endpoint = Server(teacher.url, "m", api_key=KEY, sleep=slept.append, **settings)
    answers = dict(endpoint.generate([(Message("user", p),) for p in prompts], sampling or Sampling()))
    return [answers[i] for i in range(len(prompts))], slept


def test_a_plain_answer_and_its_request(play):
    teacher = play(OK)
    [answer], _ = ask(teacher, sampling=Sampling(max_new_tokens=9, temperature=0.5, top_p=0.9, seed=3))
    assert (answer.text, answer.finish, answer.prompt_tokens, answer.tokens) == ("Fine.", "stop", 7, 3)
    path, headers, body = teacher.bodies[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
    }


def test_it_is_an_endpoint_with_an_identity_without_secrets():
    endpoint = Server("https://user:word@host:8000/v1/?key=abc", "m", api_key=KEY)
    assert isinstance(endpoint, Endpoint)
    assert endpoint.identity == "m at https://host:8000/v1"
    with pytest.raises(ConfigError, match="must look like"):
        Server("host:8000", "m")


def test_samples_of_one_prompt_have_different_seeds(play):
    teacher = play(OK)
    ask(teacher, ["Hi"] * 5)
    assert len({body["seed"] for _, _, body in teacher.bodies}) == 5


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_transient_errors_are_tried_again(play, status):
    teacher = play(*[(status, {}, {"error": "later"})] * 3, OK)
    [answer], slept = ask(teacher)
    assert answer.text == "Fine."
    assert teacher.calls["Hi"] == 4
    assert [0.5 <= s <= 1 for s in slept[:1]] == [True]
    assert len(slept) == 3


def test_tries_are_counted_exactly(play):
    teacher = play((500, {}, {"error": f"bad {KEY}"}))
    [answer], slept = ask(teacher, tries=3)
    assert (teacher.calls["Hi"], len(slept)) == (3, 2)
    assert answer.finish == "error"
    assert "500" in answer.error
    assert "try 3" in answer.error
    assert KEY not in answer.error


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "2"}, 2.0), ({"retry-after-ms": "1500"}, 1.5), ({"retry-after": "-1"}, None)],
)
def test_waits_as_told(play, headers, seconds):
    _, [slept] = ask(play((429, headers, {}), OK))
    assert slept == seconds if seconds is not None else 0.5 <= slept <= 1


def test_too_much_patience_asked_stops_resumable(play):
    teacher = play((429, {"retry-after": "10000"}, {}))
    with pytest.raises(Resumable, match="asks to wait 10000 s") as caught:
        ask(teacher)
    assert caught.value.exit_code == 3
    assert teacher.calls["Hi"] == 1


@pytest.mark.parametrize(
    "step",
    [(401, {}, {"error": f"bad key {KEY}"}), (403, {}, {}), (429, {}, {"error": {"code": "insufficient_quota"}})],
)
def test_refused_key_or_quota_stops_at_once(play, step):
    teacher = play(step)
    with pytest.raises(ConfigError) as caught:
        ask(teacher, [f"Question {n}" for n in range(20)], concurrency=2)
    assert caught.value.exit_code == 2
    assert KEY not in str(caught.value)
    assert sum(teacher.calls.values()) <= 4


@pytest.mark.parametrize("status", [400, 404, 413, 422, 302])
def test_refused_rows_are_marked_and_not_tried_again(play, status):
    teacher = play((status, {}, {"error": "no such"}))
    [answer], slept = ask(teacher)
    assert (answer.finish, answer.text, slept) == ("error", "", [])
    assert str(status) in answer.error
    assert "no such" in answer.error
    assert teacher.calls["Hi"] == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>Bad gateway</html>", "no chat completion"),
        (b"", "no chat completion"),
        (b"\xff\xfe\x00", "no chat completion"),
        (b"[" * 100_000, "no chat completion"),
        (b"[]", "no chat completion"),
        (b"null", "no chat completion"),
        ({"choices": []}, "no chat completion"),
        ({"choices": [3]}, "no chat completion"),
        ({"choices": [{"message": None}]}, "no chat completion"),
        (said(None), "no text"),
        (said(["a"]), "no text"),
        (said("half", "content_filter"), "finish_reason is 'content_filter'"),
        (said("half", "tool_calls"), "finish_reason is 'tool_calls'"),
        (said("half", None), "finish_reason is None"),
        (said("half", []), "finish_reason is"),
    ],
)
def test_bad_bodies_are_kept_as_errors(play, body, why):
    teacher = play((200, {}, body))
    [answer], _ = ask(teacher)
    assert answer.finish == "error"
    assert why in answer.error
    assert len(answer.text) <= 2000
    assert teacher.calls["Hi"] == 1


def test_any_text_can_be_asked(play):
    teacher = play(OK)
    ask(teacher, ["NUL \x00, half \ud800, \u2028"])
    assert list(teacher.calls) == ["NUL \x00, half \ud800, \u2028"]


@pytest.mark.parametrize("usage", [None, [], {}, {"completion_tokens": "3"}])
def test_missing_usage(play, usage):
    [answer], _ = ask(play((200, {}, said(usage=usage))))
    assert (answer.text, answer.tokens, answer.prompt_tokens) == ("Fine.", 0, 0)


def test_length_is_told(play):
    assert ask(play((200, {}, said("half a", "length"))))[0][0].finish == "length"


def test_a_body_without_end_is_cut(play, monkeypatch):
    monkeypatch.setattr(client_module, "MAX_BODY", 100_000)

    def endless(handler):
        handler.send_response(200)
        handler.send_header("connection", "close")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 100_000)

    [answer], _ = ask(play(endless))
    assert "more than 100000 bytes" in answer.error
    assert len(answer.text) == 2000


def cut(handler):
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def reset(handler):
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True


def hang(handler):
    time.sleep(1.0)
    handler.close_connection = True


def drip(handler):
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    for _ in range(30):
        handler.wfile.write(b" ")
        time.sleep(0.05)
    handler.close_connection = True


@pytest.mark.parametrize("fault", [cut, reset, hang, drip])
def test_transport_faults_are_tried_again(play, fault):
    teacher = play(fault, OK)
    [answer], slept = ask(teacher, timeout=0.5)
    assert (answer.text, teacher.calls["Hi"], len(slept)) == ("Fine.", 2, 1)
    [answer], _ = ask(play(fault), timeout=0.5, tries=2)
    assert answer.finish == "error"
    assert "answered nothing" in answer.error


def test_nobody_there_stops_resumable():
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    slept = []
    endpoint = Server(f"http://127.0.0.1:{port}/v1", "m", tries=3, concurrency=1, sleep=slept.append)
    with pytest.raises(Resumable, match="cannot be reached"):
        list(endpoint.generate([(Message("user", "Hi"),)] * 5, Sampling()))
    assert len(slept) == 2


def slow(handler):
    time.sleep(0.3)
    send(handler, *OK)


def test_ctrl_c_waits_for_the_answers_under_way_and_asks_no_more(play, tmp_path):
    main = threading.main_thread().ident
    assert main is not None

    def interrupting(handler):
        if sum(handler.server.calls.values()) == 2:
            signal.pthread_kill(main, signal.SIGINT)
        slow(handler)

    teacher = play(interrupting)
    prompts = prompts_of(*(f"Question {n}?" for n in range(9)))
    endpoint = Server(teacher.url, "m", concurrency=2)
    with pytest.raises(KeyboardInterrupt):
        asked(prompts, endpoint, tmp_path / "journal.jsonl", temperature=0.0)
    assert sum(teacher.calls.values()) == 2
    teacher.script = (OK,)
    _, funnel = asked(prompts, endpoint, tmp_path / "journal.jsonl", temperature=0.0)
    assert (funnel.cached, funnel.asked, sum(teacher.calls.values())) == (2, 7, 9)


def test_answers_under_way_are_kept_when_another_row_stops_the_run(play, tmp_path):
    def choose(handler):
        if handler.server.bodies[-1][2]["messages"][-1]["content"] == "bad":
            send(handler, 401, {}, {})
        else:
            slow(handler)

    teacher = play(choose)
    prompts = prompts_of("good row", "bad")
    with pytest.raises(ConfigError):
        asked(prompts, Server(teacher.url, "m"), tmp_path / "journal.jsonl", temperature=0.0)
    teacher.script = (OK,)
    answers, funnel = asked(prompts, Server(teacher.url, "m"), tmp_path / "journal.jsonl", temperature=0.0)
    assert (funnel.cached, funnel.asked) == (1, 1)
    assert [row[0].text for row in answers] == ["Fine.", "Fine."]
    assert teacher.calls == {"good row": 1, "bad": 2}


def test_two_servers_with_one_model_name_are_two(play, tmp_path):
    first, second = play(OK), play(OK)
    for teacher in (first, second, first, second):
        asked(prompts_of("Hi"), Server(teacher.url, "m"), tmp_path / "journal.jsonl")
    assert (first.calls["Hi"], second.calls["Hi"]) == (1, 1)


def test_the_key_is_in_no_file(play, tmp_path):
    teacher = play((400, {}, {"error": f"you sent {KEY}"}))
    _, funnel = asked(prompts_of("Hi"), Server(teacher.url, "m", api_key=KEY), tmp_path / "j.jsonl")
    assert KEY not in (tmp_path / "j.jsonl").read_text() + "".join(funnel.notes)


def test_stop_texts_are_sent(play):
    teacher = play(OK)
    ask(teacher, sampling=Sampling(temperature=0.0, stop=("\n\n", "", "User:")))
    assert teacher.bodies[0][2]["stop"] == ["\n\n", "User:"]
    [answer], _ = ask(play((200, {}, said("Left in.\n\nUser: x"))), sampling=Sampling(stop=("User:", "\n\n")))
    assert answer.text == "Left in."


def scores(teacher, pairs, **settings):
    endpoint = Server(teacher.url, "m", api_key=KEY, sleep=lambda seconds: None, **settings)
    prompts = [(Message("user", prompt),) for prompt, _ in pairs]
    found = dict(endpoint.score(prompts, [text for _, text in pairs]))
    return [found[i] for i in range(len(pairs))]


def test_what_a_server_gives_is_declared():
    url = "http://127.0.0.1:9/v1"
    assert Server(url, "m").gives == {"text"}
    assert Server(url, "m", logprobs="options").gives == {"text", "option_logp"}
    assert Server(url, "m", logprobs="texts").gives == {"text", "token_logp"}
    with pytest.raises(ConfigError, match="was not said to give log-probabilities: say which"):
        list(Server(url, "m").score([(Message("user", "Hi"),)], ["A"]))


def test_texts_are_scored_token_by_token(play):
    teacher = play(scoring)
    pairs = [("Hi", "abc"), ("Question?", "z"), ("Hi", "")]
    found = scores(teacher, pairs, logprobs="texts")
    for (prompt, text), values in zip(pairs, found, strict=True):
        begin = len(f"<user>{prompt}<assistant>")
        assert values == pytest.approx([-ord(letter) / (begin + i) for i, letter in enumerate(text)])
    paths = [path for path, _, _ in teacher.bodies]
    assert (paths.count("/tokenize"), paths.count("/v1/completions"), len(paths)) == (6, 2, 8)
    asked = next(body for path, _, body in teacher.bodies if path == "/v1/completions")
    assert (asked["model"], asked["echo"], asked["logprobs"], asked["temperature"]) == ("m", True, 1, 1.0)
    assert all(type(token) is int for token in asked["prompt"])
    assert all(headers["Authorization"] == f"Bearer {KEY}" for _, headers, _ in teacher.bodies)


def test_scoring_tries_again_and_gives_up_on_one_text(play):
    assert scores(play((500, {}, {}), scoring), [("Hi", "a")], logprobs="texts") == [pytest.approx([-97 / 19])]
    assert scores(play((500, {}, {})), [("Hi", "a")], logprobs="texts", tries=2) == [()]
    assert scores(play((400, {}, {"error": "the prompt is too long"})), [("Hi", "a")], logprobs="texts") == [()]
    assert scores(play((200, {}, b"<html>")), [("Hi", "a")], logprobs="texts") == [()]


def of_new_tokens_alone(handler):
    """llama.cpp's answer to `echo`."""
    if handler.path == "/tokenize":
        scoring(handler)
    else:
        send(handler, 200, {}, {"choices": [{"text": "x", "logprobs": {"token_logprobs": [-0.5]}}]})


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ((404, {}, {"detail": "Not Found"}), "at /tokenize: .* answered 404"),
        ((422, {}, {"detail": "Unsupported fields: {'echo'}"}), "Unsupported fields"),
        ((400, {}, {"error": "logprobs are not supported by this model"}), "not supported by this model"),
        ((200, {}, {"tokens": ["H", "i"]}), "its tokens are no numbers"),
        ((200, {}, []), "TypeError"),
        (of_new_tokens_alone, "at completions: NoLogprobs: 1 log-probabilities for a prompt of 20 tokens"),
    ],
)
def test_a_server_that_scores_no_texts_is_told(play, step, why):
    with pytest.raises(ConfigError, match=why) as caught:
        scores(play(step), [("Hi", "a")], logprobs="texts")
    assert "Set it to what the server has, or to none" in str(caught.value)
    assert KEY not in str(caught.value)


def test_options_are_read_from_the_likeliest_first_tokens(play):
    teacher = play((200, {}, listed(("A", -0.5), (" A", -2.0), ("B", -3.0), ("Sure", -4.0))))
    pairs = [("Which?", "A"), ("Other?", "B"), ("Which?", "B"), ("Which?", "C")]
    a, other, b, c = scores(teacher, pairs, logprobs="options")
    assert a == pytest.approx([math.log(math.exp(-0.5) + math.exp(-2.0))])
    assert (other, b, c) == (pytest.approx([-3.0]), pytest.approx([-3.0]), ())
    assert teacher.calls == {"Which?": 1, "Other?": 1}
    asked = teacher.bodies[0][2]
    assert (asked["logprobs"], asked["top_logprobs"], asked["max_tokens"]) == (True, 20, 1)


@pytest.mark.parametrize("body", [said("A"), listed(), {"choices": [{"logprobs": None}]}, said("A", logprobs={})])
def test_a_server_without_top_logprobs_is_told(play, body):
    with pytest.raises(ConfigError, match="does not give the log-probabilities that its `logprobs` promises"):
        scores(play((200, {}, body)), [("Hi", "A")], logprobs="options")


def test_options_of_a_failed_question_have_no_values(play):
    teacher = play((500, {}, {}))
    assert scores(teacher, [("Hi", "A"), ("Hi", "B")], logprobs="options", tries=2) == [(), ()]
    assert teacher.calls["Hi"] == 2
