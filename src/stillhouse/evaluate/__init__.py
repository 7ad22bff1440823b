"""Evaluation: tasks and their scorers, intervals, fidelity to the teacher, implicit rewards, speed."""
