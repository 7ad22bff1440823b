"""CAMEL: roles and tasks from a model, a specifier, inception prompts, and talks that end for a reason."""

import pytest

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.recipes import load
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Call, Cooked, cooked

KINDS = ("done", "flip", "silent", "polite", "endless", "twice silent", "cut")


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str | Answer:
    """Lists, a specifier that gives each task one of seven characters, and agents that act by it."""
    asked, system = prompt[-1].content, prompt[0].content
    turn = sum(m.role == "assistant" for m in prompt)
    if "List 50" in asked:
        kind = "Wizard" if "professions" in asked else "Farmer"
        return (
            "\n".join(f"{n}. {kind} of the number {n}" for n in (4, 5, 6)) + f"\n7. {kind} who has far too many words"
        )
    if "List 10" in asked:
        return "\n".join(f"{n}. Do task {n} for {sum(map(ord, asked))}" for n in range(1, 13))
    if "more specific and concrete" in asked:
        number = sum(map(ord, asked))
        return f"Specific task {number}, which is {KINDS[number % len(KINDS)]}."
    kind = next(k for k in sorted(KINDS, key=len, reverse=True) if f"is {k}." in system)
    if "you always instruct me" in system:
        if kind == "done" and turn == 2:
            return "<CAMEL_TASK_DONE>"
        if kind == "silent" or (kind == "twice silent" and turn % 3):
            return "And how is the weather?"
        return f"Instruction: Do part {turn}.\nInput: None" + (" Thank you!" if kind == "polite" else "")
    if kind == "cut" and turn == 1:
        return Answer("Solution: half of", "length")
    if kind == "flip" and turn == 1:
        return "Instruction: Do it yourself."
    return f"Solution: part {turn} is done. Next request." + (" You are welcome!" if kind == "polite" else "")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    changes = ("step.talks.rounds=[20,20]", "step.tasks-part.n=60", "data.held_out=0.0")
    return cooked("camel", script, tmp_path_factory.mktemp("camel"), *changes)


def kind_of(specific: str) -> str:
    return specific.rpartition("is ")[2].rstrip(".")


def ends(run: Cooked) -> dict[str, set[tuple[str, int]]]:
    """By kind of talk: why it ended, and how many turns it kept."""
    found: dict[str, set[tuple[str, int]]] = {}
    for record in run.laps[0]["talks"]:
        found.setdefault(kind_of(record.fields["specific"]), set()).add(
            (record.fields["ended"], len(record.fields["turns"]))
        )
    return found


def test_every_rule_ends_a_talk_where_it_should(run: Cooked) -> None:
    assert ends(run) == {
        "done": {("task done", 4)},
        "flip": {("roles flipped", 2)},
        "silent": {("no instruction", 4)},  # the third turn in a row without one
        "polite": {("courtesies", 2)},  # the fourth in a row is the answer to the second instruction
        "cut": {("cut off", 2)},
        "endless": {("all rounds", 40)},
        "twice silent": {("all rounds", 40)},  # two turns without an instruction, and then one again
    }


def test_talks_in_which_the_roles_broke_are_left_out(run: Cooked) -> None:
    kept = {r.fields["ended"] for r in run.records}
    assert kept == {"task done", "no instruction", "all rounds", "cut off"}
    assert not any("half of" in r.responses[0].text for r in run.records)
    dropped = run.funnel("good-endings")["dropped"]
    broken = [r for r in run.laps[0]["talks"] if kind_of(r.fields["specific"]) in ("flip", "polite")]
    assert dropped == {"another 'ended'": len(broken)}


def test_ten_tasks_for_each_pair_made_concrete_at_1_4(run: Cooked) -> None:
    pairs = run.laps[0]["pairs"]
    assert len(pairs) == 6 and run.funnel("ten tasks for each pair")["kept"] == 60
    specifying = run.asked("more specific and concrete")
    assert len(specifying) == 60 and {call.sampling.temperature for call in specifying} == {1.4}
    assert {call.sampling.temperature for call in run.asked("Never forget")} == {0.7}
    full = {step.title: step for stage in load("camel", full=True).stage for step in stage.step}
    assert (full["specifier"].temperature, full["specifier"].top_p, full["talks"].temperature) == (1.4, 1.0, 0.2)


def test_roles_that_the_model_lists_join_those_of_people(run: Cooked) -> None:
    for name, word in (("assistants", "Wizard"), ("users", "Farmer")):
        roles = [r.fields["role"] for r in run.laps[0][name]]
        assert len(roles) == len(set(roles)) == 20
        assert not any("too many words" in role for role in roles)
        assert run.funnel("short, once each" if name == "assistants" else "short users, once each")["took"] == 34
        assert any(role.startswith(word) for role in roles)


def test_inception_binds_each_side_to_its_role(run: Cooked) -> None:
    def sides(call: Call) -> tuple[bool, bool]:
        return "you always instruct me" in call.system, "you never instruct me" in call.system

    talking = run.asked("Never forget")
    assert {sides(call) for call in talking} == {(True, False), (False, True)}
    for call in talking:
        own = [m.content for m in call.messages if m.role == "assistant"]
        wrong = "Solution:" if sides(call)[0] else "Instruction:"
        assert not any(words.startswith(wrong) for words in own)


def test_the_code_set_comes_by_the_same_loop(run: Cooked) -> None:
    code = [r for r in run.laps[0]["talks"] if r.fields["kind"] == "code"]
    assert code and all(r.fields["assistant_role"].endswith(" programmer") for r in code)
    assert any("different programs in" in call.user for call in run.asked("List 10"))


def test_the_student_sees_the_talk_without_the_inception_prompts(run: Cooked) -> None:
    for record in run.records:
        assert record.learn == "all" and record.messages[0].role == "user"
        assert not any("Never forget" in m.content for m in record.messages)
