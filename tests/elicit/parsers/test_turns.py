import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.turns import transcript

TALK = [("user", "Hi!\nHow are you?"), ("assistant", "Fine. User: is a word."), ("user", "Good"), ("assistant", "Bye")]


def said(text: str, *args: bool, **settings: object) -> list[tuple[str, str]]:
    (item,) = transcript(text, *args, **settings)  # type: ignore[arg-type]
    return [(turn["role"], turn["content"]) for turn in item["turns"]]


@pytest.mark.parametrize(
    ("user", "assistant"),
    [
        ("[Human] ", "[AI] "),
        ("[Human]: ", "[AI]: "),
        ("User: ", "Assistant: "),
        ("### Human: ", "### Assistant: "),
        ("### Human\n", "### Assistant\n"),
        ("**User:** ", "**AI:** "),
        ("**User**: ", "**AI**: "),
        ("<|user|>\n", "<|assistant|>\n"),
        ("human：", "ai："),
    ],
)
def test_tags_as_models_write_them(user: str, assistant: str) -> None:
    tag = {"user": user, "assistant": assistant}
    assert said("Here:\n" + "\n".join(tag[role] + words for role, words in TALK)) == TALK


def test_the_text_begins_with_a_turn() -> None:
    assert said("Hi!\n[AI] Hello", leads="user") == [("user", "Hi!"), ("assistant", "Hello")]


def test_other_names_and_a_system_message() -> None:
    speakers = {"system": ("Setting",), "user": ("Patient",), "assistant": ("Dr. Who", "Doctor")}
    text = "Setting: a ward\nPatient: ouch\nDr. Who: where?\nPatient: here\nDoctor: I see"
    roles = [role for role, _ in said(text, speakers=speakers)]
    assert roles == ["system", "user", "assistant", "user", "assistant"]


def test_a_cut_transcript_loses_its_last_turn_and_the_question_before_it() -> None:
    text = "[Human] a\n[AI] b\n[Human] c\n[AI] d and then"
    assert said(text, False) == [("user", "a"), ("assistant", "b")]


def test_pieces_by_length() -> None:
    text = "\n".join(f"User: {'q' * 10}\nAssistant: {'a' * 10}" for _ in range(5))
    pieces = transcript(text, max_chars=45)
    assert [len(piece["turns"]) for piece in pieces] == [4, 4, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no turns"),
        ("just prose", "no turns"),
        ("User: a", "too few"),
        ("User: a\nUser: b\nAI: c", "two turns"),
        ("AI: a", "too few"),
    ],
)
def test_unreadable(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        transcript(text)
