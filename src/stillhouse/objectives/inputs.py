"""The closed vocabulary of what an objective may ask for. The trainer computes a tensor only when a name here is asked
for.

Axes: B sequences (or pairs), T positions, V vocabulary. p is the teacher, q the student. Position t of every tensor
speaks about the same target token: logits[t] predict labels[t] (labels are already shifted).
"""

PER_TOKEN: dict[str, str] = {
    "student_logits": "B T V",
    "teacher_logits": "B T V",
    "labels": "B T",
}
"""Inputs of a per-token objective (which returns B T)."""

PER_SEQUENCE: dict[str, str] = {
    "student_chosen_logp": "B",
    "student_rejected_logp": "B",
    "teacher_chosen_logp": "B",
    "teacher_rejected_logp": "B",
    "reference_chosen_logp": "B",
    "reference_rejected_logp": "B",
    "chosen_length": "B",
    "rejected_length": "B",
}
"""Inputs of a preference objective (which returns B): log-probabilities summed over an answer's tokens, and counts."""

TENSORS: dict[str, str] = PER_TOKEN | PER_SEQUENCE
