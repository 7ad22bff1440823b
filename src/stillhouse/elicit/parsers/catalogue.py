"""The table of contents: every parser that a recipe may name, by `use` and, after the dot, `kind`."""

from stillhouse.elicit.parsers import actions, answers, scores
from stillhouse.elicit.parsers.code import code
from stillhouse.elicit.parsers.contract import Parser
from stillhouse.elicit.parsers.logs import log
from stillhouse.elicit.parsers.numbered import numbered
from stillhouse.elicit.parsers.objects import objects
from stillhouse.elicit.parsers.pattern import pattern
from stillhouse.elicit.parsers.plain import plain
from stillhouse.elicit.parsers.sections import sections
from stillhouse.elicit.parsers.tags import tags
from stillhouse.elicit.parsers.turns import transcript

PARSERS: dict[str, Parser] = {
    "fields.json": objects,
    "fields.numbered": numbered,
    "fields.sections": sections,
    "fields.regex": pattern,
    "fields.code": code,
    "fields.tags": tags,
    "fields.text": plain,
    "score.number": scores.number,
    "score.numbers": scores.numbers,
    "score.verdict": scores.verdict,
    "score.ranking": scores.ranking,
    "answer.number": answers.number,
    "answer.choice": answers.choice,
    "answer.label": answers.label,
    "answer.yes_no": answers.yes_no,
    "answer.boxed": answers.boxed,
    "turns.transcript": transcript,
    "turns.log": log,
    "action.react": actions.react,
    "action.json": actions.function,
    "action.call": actions.python,
}
