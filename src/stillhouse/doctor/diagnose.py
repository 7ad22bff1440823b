"""The doctor: look at everything that a recipe names, load nothing."""

from stillhouse.doctor.data import look_at_data
from stillhouse.doctor.findings import Finding, Report
from stillhouse.doctor.models import look_at_models
from stillhouse.doctor.needs import look_at_needs
from stillhouse.recipe import Recipe


def diagnose_recipe(recipe: Recipe) -> Report:
    """Everything worth knowing before a run; whatever cannot work is a finding, not an exception."""
    teacher, student, found = look_at_models(recipe)
    amount = None
    reader = student or teacher
    if reader is not None:
        amount, seen = look_at_data(recipe, reader.tokenizer)
        found += seen
    if student is not None and amount is not None and (teacher is not None or recipe.teacher.url):
        found += look_at_needs(recipe, teacher, student, amount)
    if not any(stage.eval for stage in recipe.stage):
        found.append(Finding("evaluation", "the recipe has no [[eval]], so the student will not be scored", "warning"))
    return Report(recipe.name, tuple(found))
