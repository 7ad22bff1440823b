import pytest
import torch
from torch.nn.functional import cross_entropy

from stillhouse.objectives.divergence import forward_kl
from stillhouse.objectives.imitation import sft
from tests.objectives.cases import V, inputs

STUDENT, LABELS = inputs(("student_logits", "labels"))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_is_cross_entropy(smoothing):
    theirs = cross_entropy(STUDENT.flatten(0, 1), LABELS.flatten(), reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(sft(STUDENT, LABELS, label_smoothing=smoothing).flatten(), theirs)


def test_is_forward_kl_to_a_teacher_that_is_certain():
    certain = torch.full((*LABELS.shape, V), -torch.inf).scatter(-1, LABELS.unsqueeze(-1), 0.0)
    torch.testing.assert_close(forward_kl(STUDENT, certain.double()), sft(STUDENT, LABELS))
