"""Speed: the same work for every model, in turns."""

from stillhouse.evaluate import speed
from stillhouse.tiny import tiny_model


def test_a_deeper_model_is_slower_and_no_answer_stops_early():
    tiny, deep = tiny_model(layers=1), tiny_model(layers=12)
    prompts = [[5, 6, 7], [8, 9], [10]]
    found = speed.tokens_per_second(
        {"student": tiny.model, "teacher": deep.model}, prompts, pad_id=256, new_tokens=8, batch_size=2
    )
    assert found["student"] > found["teacher"] > 0


def test_the_work_is_the_same_for_all_and_taken_in_turns(monkeypatch):
    calls, clock = [], iter(range(1000))
    one, other = tiny_model(seed=1).model, tiny_model(seed=2).model
    generate = speed.generate

    def counting(*given, **settings):
        answers = list(generate(*given, **settings))
        calls.append((given[0] is one, [len(ids) for _, ids, _ in answers]))
        return iter(answers)

    monkeypatch.setattr(speed, "generate", counting)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    found = speed.tokens_per_second({"a": one, "b": other}, [[1, 2], [3]], pad_id=256, new_tokens=5, repetitions=2)
    lengths = [[speed.WARM_UP] * 2, [5, 5], [5, 5]]
    assert calls == [(first, length) for length in lengths for first in (True, False)]
    assert found == {"a": 10.0, "b": 10.0}
