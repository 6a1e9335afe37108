"""Unlike recipes within a column are said beside the table."""

from replicalab.domain.measures import Measurement
from replicalab_metrics.reports.comparability import unlike_values


def test_a_study_made_alike_has_nothing_to_say(sweep: list[Measurement]) -> None:
    assert unlike_values(sweep) == []


def test_a_set_of_another_size_is_said(sweep: list[Measurement]) -> None:
    changed = [
        each.model_copy(update={"recipe": {**each.recipe, "n_fake": 30}})
        if (each.name, each.t_re) == ("recall", 18)
        else each
        for each in sweep
    ]
    warnings = unlike_values(changed)
    assert len(warnings) == 2, "one for either reference"
    assert "t_re 0 and 18 differ in recipe.n_fake" in warnings[0]
