"""What the teacher thought is asked once, and is what it thinks."""

from pathlib import Path

import torch

from stillhouse.models.tokenise import Encoded
from stillhouse.tiny import tiny_model
from stillhouse.train.signals import by_key, capture, known, sequence_key, teacher_rows

ANSWERS = [Encoded(tuple(range(begin, begin + 9)), start=3) for begin in (5, 40, 90)]


def test_only_what_is_missing_is_asked(tmp_path: Path) -> None:
    teacher, path, passes = tiny_model().model, tmp_path / "signals.safetensors", []
    teacher.get_decoder().register_forward_hook(lambda *_: passes.append(1))
    assert known(path) == {}
    capture(teacher, ANSWERS[:2], path, micro_tokens=1)
    assert len(passes) == 2
    found = capture(teacher, [*ANSWERS, ANSWERS[0]], path, micro_tokens=1)
    assert len(passes) == 3
    assert set(found) == set(known(path)) == {sequence_key(answer) for answer in ANSWERS}
    capture(teacher, ANSWERS, path, micro_tokens=1)
    assert len(passes) == 3


def test_captured_states_stand_for_a_pass(tmp_path: Path) -> None:
    teacher = tiny_model().model
    live = teacher_rows(teacher, {}, ANSWERS, packed=False, pad_id=0)
    some = capture(teacher, ANSWERS[1:], tmp_path / "signals.safetensors", micro_tokens=100)
    assert torch.allclose(teacher_rows(teacher, some, ANSWERS, packed=False, pad_id=0), live, atol=1e-5)
    assert torch.equal(torch.cat(list(by_key(ANSWERS, live).values())), live)
