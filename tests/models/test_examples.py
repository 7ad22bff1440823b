"""Which tokens of an answer or a conversation count, and that the text is tokenised as it is without weights."""

import math
from dataclasses import replace

import pytest
from transformers import PreTrainedTokenizerBase

from stillhouse.errors import DataError
from stillhouse.models.examples import encode_example, first_prompt
from stillhouse.models.load import PLAIN_TEMPLATE
from stillhouse.models.tokenise import Encoded, encode_answer, encode_pair, encode_prompt
from stillhouse.records.types import Message, Record, Response, Span
from stillhouse.tiny import tiny_tokenizer
from tests.models.two_tokenizers import byte_level, sentencepiece

TINY = tiny_tokenizer()
END = TINY.convert_tokens_to_ids("<|end|>")
CHATML = (
    "{% for m in messages %}<|begin|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)
TRIMMING = CHATML.replace("{{ m.content }}", "{{ m.content | trim }}")
SPACED = (
    "{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content }} </s>{% else %}[{{ m.content }}]{% endif %}"
    "{% endfor %}"
)
TALK = (
    Message("system", "be kind"),
    Message("user", "the cat?"),
    Message("assistant", "the cat sat on the mat."),
    Message("user", "the fox?"),
)
LAST = Response("teacher", "the quick brown fox")


def chatml(template: str = CHATML) -> PreTrainedTokenizerBase:
    tokenizer = byte_level()
    tokenizer.chat_template = template
    return tokenizer


def spaced() -> PreTrainedTokenizerBase:
    tokenizer = sentencepiece()
    tokenizer.chat_template = SPACED
    return tokenizer


def rendered(tokenizer: PreTrainedTokenizerBase, turns: tuple[Message, ...]) -> list[int]:
    return tokenizer.apply_chat_template(
        [{"role": t.role, "content": t.content} for t in turns], tokenize=True, return_dict=False
    )


def counted_text(tokenizer: PreTrainedTokenizerBase, example: Encoded) -> str:
    return str(tokenizer.decode([example.ids[t] for t in example.targets]))


def test_an_answer_without_weights_is_a_pair() -> None:
    record = Record((Message("user", "hi"),), (Response("teacher", "good day"),))
    prompt = encode_prompt(TINY, record.messages)
    for finish in ("stop", "length"):
        answer = replace(record.responses[0], finish=finish)
        ids = encode_answer(TINY, answer.text, finished=finish == "stop")
        assert encode_example(TINY, record, answer, max_tokens=99) == encode_pair(prompt, ids, max_tokens=99)
        assert encode_example(TINY, record, answer, max_tokens=9) == encode_pair(prompt, ids, max_tokens=9)


@pytest.mark.parametrize("tokenizer", [TINY, chatml(), spaced()], ids=["bytes", "byte-level BPE", "SentencePiece"])
def test_spans_weigh_the_tokens_that_begin_in_them(tokenizer: PreTrainedTokenizerBase) -> None:
    parts = (Span("the cat "), Span("naïve café 東京 😀", 0.0), Span(""), Span(" the mat", 0.5))
    answer = Response("teacher", "".join(p.text for p in parts), weight=2.0, spans=parts)
    record = Record((Message("user", "hi"),), (answer,))
    plain = encode_example(tokenizer, record, replace(answer, spans=(), weight=1.0), max_tokens=999)
    found = encode_example(tokenizer, record, answer, max_tokens=999)
    assert found.ids == plain.ids and found.start == plain.start and plain.weights is None
    assert found.weights is not None and len(found.weights) == len(found.ids) - found.start == plain.counted
    assert sorted(set(found.weights)) == [0.0, 1.0, 2.0] and list(found.weights[:-1]) == sorted(
        found.weights[:-1], key=lambda w: {2.0: 0, 0.0: 1, 1.0: 2}[w]
    )
    assert found.weights[-1] == 2.0  # the end of turn is in no span
    assert "mat" in counted_text(tokenizer, found) and "東" not in counted_text(tokenizer, found)
    cut = encode_example(tokenizer, record, answer, max_tokens=found.start + 3)
    assert cut == Encoded(found.ids[: found.start + 3], found.start, found.weights[:3])


def test_a_token_across_two_spans_belongs_to_the_first() -> None:
    tokenizer = chatml()
    ids = tokenizer.encode(" the")
    assert len(ids) == 1
    answer = Response("teacher", " the", finish="length", spans=(Span(" t", 0.0), Span("he")))
    assert encode_example(tokenizer, Record((Message("user", "x"),)), answer, max_tokens=99).weights == (0.0,)


def test_an_example_weight_is_every_token_s() -> None:
    found = encode_example(
        TINY, Record((Message("user", "x"),)), Response("teacher", "abc", weight=0.25), max_tokens=99
    )
    assert found.weights == (0.25,) * 4 and found.whole and found.counted == 4
    nothing = encode_example(
        TINY, Record((Message("user", "x"),)), Response("teacher", "abc", weight=0.0), max_tokens=9
    )
    assert nothing.counted == 0 and not nothing.whole


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Response("teacher", "ab", spans=(Span("a"),)), "not its text in parts"),
        (Response("teacher", "ab", weight=-1.0), "weight -1.0"),
        (Response("teacher", "ab", weight=math.nan), "weight nan"),
        (Response("teacher", "ab", spans=(Span("a"), Span("b", math.inf))), "weight inf"),
    ],
)
def test_weights_that_are_none(answer: Response, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        encode_example(TINY, Record((Message("user", "x"),)), answer, max_tokens=99)


@pytest.mark.parametrize(
    ("tokenizer", "ends"),
    [
        (TINY, "{}<|end|>"),
        (chatml(), "{}<|end|>"),
        (chatml(TRIMMING), "{}<|end|>"),
        (chatml(PLAIN_TEMPLATE), "{}<|end|>"),
        (spaced(), "{} </s>"),
    ],
    ids=["tiny", "chatml", "trimming", "plain", "spaced"],
)
@pytest.mark.parametrize("blank", ["", " \n"])
def test_every_answer_of_a_conversation_counts(tokenizer: PreTrainedTokenizerBase, ends: str, blank: str) -> None:
    turns = tuple(replace(t, content=f"{blank}{t.content}{blank}") for t in TALK)
    last = replace(LAST, text=f"{blank}{LAST.text}{blank}")
    found = encode_example(tokenizer, Record(turns, learn="all"), last, max_tokens=999)
    assert list(found.ids) == rendered(tokenizer, (*turns, Message("assistant", last.text)))
    text = counted_text(tokenizer, found)
    if not blank:
        answers = [ends.format(answer) for answer in (TALK[2].content, LAST.text)]
        assert text.replace(" ", "") == "".join(answers).replace(" ", "")
    end = tokenizer.convert_tokens_to_ids("</s>" if "</s>" in ends else "<|end|>")
    assert [found.ids[t] for t in found.targets].count(end) == 2
    assert not any(word in text for word in ("be kind", "cat?", "fox?", "[", "user"))


def test_a_conversation_cut_off_has_no_end_and_is_cut_from_the_right() -> None:
    record = Record(TALK, learn="all")
    whole = encode_example(TINY, record, LAST, max_tokens=999)
    unfinished = encode_example(TINY, record, replace(LAST, finish="length"), max_tokens=999)
    assert unfinished.ids == whole.ids[:-1] and unfinished.counted == whole.counted - 1
    short = encode_example(TINY, record, LAST, max_tokens=60)
    assert short == whole.cut(60) and len(short.ids) == 60 and short.weights == whole.weights[: 60 - whole.start]
    assert whole.start == len(encode_prompt(TINY, first_prompt(record)))
    assert first_prompt(record) == TALK[:2] and first_prompt(replace(record, learn="last")) == TALK


def test_control_tokens_in_a_conversation_are_plain_text() -> None:
    said = "say <|end|><|user|>no"
    turns = (Message("user", said), Message("assistant", said), Message("user", said))
    answer = Response("teacher", said, weight=2.0, spans=(Span("say <|e", 0.0), Span("nd|><|user|>no")))
    found = encode_example(TINY, Record(turns, learn="all"), answer, max_tokens=999)
    assert found.ids.count(END) == 4 and TINY.decode(found.ids).count("<|end|>") == 8
    assert counted_text(TINY, found) == f"{said}<|end|>nd|><|user|>no<|end|>"
    assert set(found.weights or ()) == {0.0, 2.0}


def test_one_turn_is_the_same_either_way() -> None:
    record = Record((Message("system", "s"), Message("user", "hi")))
    one, other = (encode_example(TINY, replace(record, learn=w), LAST, max_tokens=99) for w in ("last", "all"))
    assert one == other
