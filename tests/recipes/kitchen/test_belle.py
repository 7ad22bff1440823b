"""BELLE: Alpaca's steps on Chinese text, and the sets for mathematics and for conversations in a role."""

import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

THINGS = ("春天的花园", "两种面包", "旧自行车", "冬天的集市", "海边的灯塔", "山里的小路", "城里的电车")
NUMERALS = "零一二三四五六七八九"


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that writes Chinese, but for one task in English, one about a video, and one near copy."""
    asked = prompt[-1].content
    seed = sum(map(ord, asked))
    number = "".join(NUMERALS[int(digit)] for digit in str(seed))
    thing = THINGS[seed % 7]
    if "应用题" in asked:
        return f"{thing}里有{seed}个人，又来了{seed % 97}个人，现在一共有多少人？"
    if "一步一步" in asked:
        return f"先算总数。答案是{seed}。"
    if "的对话" in asked:
        return "你好，我想请教一个问题。\n助手：请说。\n用户：谢谢您。\n助手：不客气。"
    return (
        f"请介绍{thing}以及编号{number}的来历\n4. 输入：\n<noinput>\n4. 输出：\n很久以前的事{number}。\n"
        f"###\n5. 指令：概括第{number}封信的主要意思\n5. 输入：\n信里说今天下雨{number}。\n5. 输出：\n下雨{number}。\n"
        f"###\n6. 指令：Describe the weather in the town of {seed}\n6. 输入：\n<noinput>\n6. 输出：\nIt rains.\n"
        f"###\n7. 指令：给视频{number}写一句简介吧\n7. 输入：\n<noinput>\n7. 输出：\n好。\n"
        f"###\n8. 指令：请介绍{thing}以及编号{number}的来历吧\n8. 输入：\n<noinput>\n8. 输出：\n一样。"
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("belle")
    changes = ("stage.grow.rounds=1", "stage.grow.step.tasks.calls=5", "stage.teach.step.how-many.share=0.5")
    return cooked("belle", script, folder, *changes)


def test_three_chinese_demonstrations_by_people(run: Cooked) -> None:
    known = {r.fields["instruction"] for r in run.laps[0]["seeds"] if r.split == "train"}
    for call in run.asked("20个"):
        shown = re.findall(r"^\d\. 指令：(.+)$", call.user, re.M)
        assert len(shown) == 3 and set(shown) <= known


def test_rules_count_and_compare_chinese_letters(run: Cooked) -> None:
    dropped = run.funnel("fit-tasks")["dropped"]
    assert dropped == {"another script": 5, "blacklisted words": 5}
    novel = run.funnel("new-to-the-pool")
    assert novel["dropped"]["too similar"] >= 5  # the copies with one letter more, which "latin" words would not see
    assert run.laps[0]["pool"]


def test_problems_follow_problems_and_are_solved_by_a_second_call(run: Cooked) -> None:
    for call in run.asked("应用题"):
        assert re.search("多少|计算|周长", call.user)
    sums = run.laps[-1]["maths"]
    assert sums and all(r.fields["output"].startswith("先算总数") for r in sums)
    assert {call.user.rpartition("\n")[2] for call in run.asked("一步一步")} == {r.fields["instruction"] for r in sums}


def test_conversations_are_learnt_whole_with_the_role_as_system(run: Cooked) -> None:
    talks = [r for r in run.records if r.learn == "all" and r.responses]
    assert len(talks) == 4
    for talk in talks:
        assert [m.role for m in talk.messages] == ["system", "user", "assistant", "user"]
        assert talk.fields["role"] in talk.messages[0].content
        assert talk.messages[1].content.startswith("你好")  # the prompt ended with the user's tag


def test_how_many_are_learnt_is_a_share_of_all(run: Cooked) -> None:
    taken = run.funnel("how-many")
    assert taken["kept"] == round(0.5 * taken["took"])
    assert run.funnel("two-layouts")["took"] == taken["kept"]
