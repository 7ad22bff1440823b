"""UltraChat: three sectors of opening lines, a user bound by a role prompt, 3-7 or 2-4 rounds, politeness."""

import re
from collections import Counter

import pytest

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

LISTS = ("List subtopics", "10 questions", "10 other questions", "5 basic questions", "10 more specific")
LISTS += ("20 more general", "10 different instructions", "5 things")


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str | Answer:
    """Numbered lists (too long ones), more detail, a curious user, who is at times only polite, and an assistant."""
    asked, system = prompt[-1].content, prompt[0].content
    turn = sum(m.role == "assistant" for m in prompt)
    seed = sum(map(ord, prompt[1].content if len(prompt) > 1 else asked))
    found = next((words for words in LISTS if words in asked), "")
    if found:
        return "\n".join(f"{n}. Item {n} of {seed} for list {LISTS.index(found)}?" for n in range(1, 26))
    if "Write it again with more detail" in asked:
        return f"In detail: {asked.splitlines()[0]}"
    if "You play a curious person" in system:
        kind = sum(map(ord, [m.content for m in prompt][2])) % 5
        if kind == 0 and turn == 2:
            return "Thank you so much, that was wonderful!"
        if kind == 1 and turn == 2:
            return "How can I help you with that?"
        return f"Thanks, but what about part {turn}?"
    said = f"Answer {turn} to what was said."
    return Answer(said[:-6], "length") if turn == 3 and sum(map(ord, prompt[0].content)) % 7 == 0 else said


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    parts = {"topics": 2, "world": 40, "creation": 20, "instructions": 20, "material": 10}
    changes = [f"step.{name}-part.n={n}" for name, n in parts.items()]
    return cooked("ultrachat", script, tmp_path_factory.mktemp("ultrachat"), *changes, "data.held_out=0.0")


def test_lists_are_taken_up_to_their_numbers(run: Cooked) -> None:
    steps = ("subtopics", "up to ten questions each", "related questions", "five questions on each entity")
    steps += ("specific questions", "general questions", "instructions", "five questions on each passage")
    each = [run.funnel(step)["kept"] / run.funnel(step)["took"] for step in steps]
    assert each == [3, 10, 10, 5, 10, 20, 10, 5]


def test_four_in_five_instructions_get_more_detail(run: Cooked) -> None:
    creation = [r.fields["question"] for r in run.laps[0]["creation"]]
    assert len(creation) == 20
    assert sum(q.startswith("In detail: ") for q in creation) == 16


def test_material_stands_with_its_passage_in_more_than_one_way(run: Cooked) -> None:
    material = run.laps[0]["material"]
    assert len(material) == 10
    assert all(r.fields["text"] in r.fields["question"] for r in material)
    begins = Counter(r.fields["question"].startswith(r.fields["text"]) for r in material)
    assert begins[True] and begins[False]
    assert any(r.fields["question"].startswith("Read this passage first") for r in material)


def test_three_to_seven_rounds_about_the_world_and_two_to_four_otherwise(run: Cooked) -> None:
    rounds: dict[bool, set[int]] = {True: set(), False: set()}
    for record in run.laps[0]["talks"]:
        if record.fields["ended"] == "all rounds":
            rounds[record.fields["sector"] == "world"].add(len(record.fields["turns"]) // 2)
    assert rounds == {True: {3, 4, 5, 6, 7}, False: {2, 3, 4}}


def test_the_user_sees_the_whole_talk_and_a_role_prompt_and_the_assistant_only_the_talk(run: Cooked) -> None:
    users = [c for c in run.calls if "You play a curious person" in c.system]
    assistants = [c for c in run.calls if re.match(r"Thanks, but what about part 3", c.user) and not c.system]
    assert users and assistants
    assert all(c.messages[2].role == "assistant" for c in users)  # its own opening line is the user's own words
    assert {len(c.messages) for c in assistants} == {2 * 2 + 3}
    assert all([m.role for m in c.messages][:2] == ["user", "assistant"] for c in assistants)


def test_half_an_answer_is_not_learnt(run: Cooked) -> None:
    cut = [r for r in run.laps[0]["talks"] if r.fields["ended"] == "cut off"]
    assert cut and all(len(r.fields["turns"]) == 6 for r in cut)  # the fourth answer is the one that was cut off
    assert all(r.responses[0].text.endswith("said.") for r in run.records)


def test_mere_politeness_and_users_who_offer_help_are_dropped_but_not_thanks_with_a_question(run: Cooked) -> None:
    for record in run.records:
        said = [m.content for m in record.messages if m.role == "user"]
        assert not any("wonderful" in words or "How can I help" in words for words in said)
    assert any("Thanks, but what" in m.content for r in run.records for m in r.messages)
    assert run.funnel("users who ask, and not too politely")["dropped"]["forbidden pattern"] > 0


def test_the_student_learns_all_answers_and_knows_its_sector(run: Cooked) -> None:
    assert {r.fields["sector"] for r in run.records} == {"world", "creation", "material"}
    for record in run.records:
        assert record.learn == "all" and set(record.fields) == {"sector", "topic"}
        assert record.messages[0].role == "user"
