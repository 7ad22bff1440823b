"""BELLE: Alpaca's steps on Chinese text, and the sets for mathematics and for conversations in a role."""

import re
from collections import Counter
from pathlib import Path

import pytest

from stillhouse import recipes
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
        about = "老问题" if "导游" in asked else f"{thing}和第{number}个问题"  # the guide has one conversation alone
        return f"你好，我想请教{about}。\n助手：请说。\n用户：谢谢您。\n助手：不客气，{about}很有意思。"
    return (
        f"请介绍{thing}以及编号{number}的来历\n4. 输入：\n<noinput>\n4. 输出：\n很久以前的事{number}。\n"
        f"###\n5. 指令：数一数第{number}封信里的{seed}行一共有多少字\n"
        f"5. 输入：\n信里说今天下雨{number}。\n5. 输出：\n下雨{number}。\n"
        f"###\n6. 指令：Describe the weather in the town of {seed}\n6. 输入：\n<noinput>\n6. 输出：\nIt rains.\n"
        f"###\n7. 指令：给视频{number}写一句简介吧\n7. 输入：\n<noinput>\n7. 输出：\n好。\n"
        f"###\n8. 指令：请介绍{thing}以及编号{number}的来历吧\n8. 输入：\n<noinput>\n8. 输出：\n一样。"
    )


SMALL = ("stage.grow.rounds=2", "stage.grow.step.tasks.calls=5", "stage.extras.step.scenes.draw=0")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("belle")
    return cooked("belle", script, folder, *SMALL, "stage.teach.step.how-many.share=0.5")


def test_three_chinese_demonstrations_by_people(run: Cooked) -> None:
    known = {r.fields["instruction"] for r in run.laps[0]["seeds"] if r.split == "train"}
    assert run.laps[0]["pool"] and len(run.asked("20个")) == 2 * 5  # in the second round there are tasks by the model
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
    shown = [set(call.user.splitlines()) for call in run.asked("应用题")]
    known = {r.fields["instruction"] for r in run.laps[-1]["known_problems"] if r.split == "train"}
    assert all(re.search("多少|计算|周长", problem) for problem in known)
    assert all(len(lines & known) == 3 for lines in shown)
    assert known & {r.fields["instruction"] for r in run.laps[0]["pool"]}  # two seeds alone would be too few
    sums = run.laps[-1]["maths"]
    assert sums and all(r.fields["output"].startswith("先算总数") for r in sums)
    assert {call.user.rpartition("\n")[2] for call in run.asked("一步一步")} == {r.fields["instruction"] for r in sums}


def test_conversations_are_learnt_whole_with_the_role_as_system(run: Cooked) -> None:
    talks = [r for r in run.records if r.learn == "all" and r.responses]
    assert len(talks) > 4
    for talk in talks:
        assert [m.role for m in talk.messages] == ["system", "user", "assistant", "user"]
        assert talk.fields["role"] in talk.messages[0].content
        assert talk.messages[1].content.startswith("你好")  # the prompt ended with the user's tag


def test_a_conversation_that_was_there_before_is_left_out(run: Cooked) -> None:
    guides = [r for r in run.laps[-1]["scenes"] if r.fields["role"] == "导游"]
    talks = [r for r in run.laps[-1]["conversations"] if r.fields["role"] == "导游"]
    assert len(guides) > 1 == len(talks)
    assert run.funnel("new-conversations")["dropped"] == {"too similar": len(guides) - 1}


def sources(run: Cooked) -> dict[str, int]:
    """What is learnt, by the set that it came from."""
    learnt = [r for r in run.records if not r.answers("reference")]
    kinds = ("talks" if r.learn == "all" else r.fields.get("kind", "tasks") for r in learnt)
    return dict(Counter(kinds))


def test_how_many_are_learnt_is_a_share_of_the_tasks_alone(run: Cooked) -> None:
    made = {name: len(run.laps[-1][name]) for name in ("pool", "maths", "conversations")}
    assert sources(run) == {
        "tasks": round(0.5 * made["pool"]),
        "maths": made["maths"],
        "talks": made["conversations"],
    }


def test_the_study_of_size_is_of_tasks_alone(tmp_path: Path) -> None:
    none = ("stage.teach.step.maths.share=0", "stage.teach.step.conversed.share=0")
    run = cooked("belle", script, tmp_path, *SMALL, *none)
    assert sources(run) == {"tasks": len(run.laps[-1]["pool"])}


def test_at_full_size_conversations_are_about_all_that_the_tasks_are_about() -> None:
    steps = {s.title: s for stage in recipes.load("belle", ["teacher=big"], full=True).stage for s in stage.step}
    assert steps["scenes"].settings["axes"]["topic"] == "pool.instruction"
    assert steps["scenes"].settings["draw"] == 800_000
    asking = [steps[name] for name in ("tasks", "problems", "solutions", "conversations")]
    assert {step.top_p for step in asking} == {1.0} and min(step.max_new_tokens for step in asking) >= 512
