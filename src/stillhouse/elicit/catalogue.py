"""The table of contents of the kitchen: every operator that a recipe may name."""

from stillhouse.elicit.contract import Operator, needs
from stillhouse.elicit.filters.decontaminate import decontaminate
from stillhouse.elicit.filters.gold import gold
from stillhouse.elicit.filters.lm import lm
from stillhouse.elicit.filters.model import model
from stillhouse.elicit.filters.nli import nli
from stillhouse.elicit.filters.novel import novel
from stillhouse.elicit.filters.rules import rules
from stillhouse.elicit.filters.topk import topk
from stillhouse.elicit.filters.vote import vote
from stillhouse.elicit.generation.assemble import assemble
from stillhouse.elicit.generation.contrast import contrast
from stillhouse.elicit.generation.converse import converse
from stillhouse.elicit.generation.curate import curate
from stillhouse.elicit.generation.evolve import evolve
from stillhouse.elicit.generation.expand import expand
from stillhouse.elicit.generation.label import label, sample
from stillhouse.elicit.generation.refine import refine
from stillhouse.elicit.judges.assumed import assumed
from stillhouse.elicit.judges.gate import judge
from stillhouse.elicit.judges.pair import pair
from stillhouse.elicit.judges.prob import prob
from stillhouse.elicit.judges.rubric import rubric
from stillhouse.elicit.judges.steps import steps
from stillhouse.elicit.parsers.parse import parse
from stillhouse.elicit.sandbox.execute import execute
from stillhouse.elicit.search.negatives import negatives
from stillhouse.elicit.search.search import search
from stillhouse.elicit.shape.bins import bins
from stillhouse.elicit.shape.fields import clean, write
from stillhouse.elicit.shape.lists import draw, gather, join, spread
from stillhouse.elicit.sources.demos import demos
from stillhouse.elicit.sources.grid import grid
from stillhouse.elicit.sources.mine import mine
from stillhouse.elicit.sources.mix import mix
from stillhouse.errors import RecipeError
from stillhouse.signature import imported

OPERATORS: dict[str, Operator] = {
    "label": label,
    "sample": sample,
    "expand": expand,
    "evolve": evolve,
    "curate": curate,
    "converse": converse,
    "refine": refine,
    "contrast": contrast,
    "assemble": assemble,
    "grid": grid,
    "demos": demos,
    "mix": mix,
    "mine": mine,
    "write": write,
    "clean": clean,
    "spread": spread,
    "gather": gather,
    "join": join,
    "draw": draw,
    "bins": bins,
    "pair": pair,
    "rubric": rubric,
    "judge": judge,
    "assumed": assumed,
    "steps": steps,
    "search": search,
    "negatives": negatives,
    "parse": parse,
    "rules": rules,
    "novel": novel,
    "decontaminate": decontaminate,
    "topk": topk,
    "gold": gold,
    "vote": vote,
    "nli": nli,
    "model": model,
    "lm": lm,
    "prob": prob,
    "execute": execute,
}


def resolve(name: str) -> Operator:
    """The operator of that name; a name with a colon, "package.module:function", is imported as it is.

    Raises RecipeError when there is none, naming those that there are.
    """
    operator = imported(name, "operator") if ":" in name else OPERATORS.get(name)
    if operator is None:
        raise RecipeError(f"there is no operator '{name}'; there are {', '.join(sorted(OPERATORS))}")
    needs(operator)
    return operator
