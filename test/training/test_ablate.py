"""Claims about ablations, with a training that only draws its scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gam_depth_training.ablate import (
    METRICS,
    RESULT,
    TABLES,
    Row,
    ablate,
    run_folder,
    table_recipes,
)
from gam_depth_training.recipe import Recipe
from gam_depth_training.video_data import Source

RECIPES = Path(__file__).resolve().parents[2] / "config" / "training"


class Draws:
    """Scores that depend on recipe and seed; counts how often it is asked."""

    def __init__(self) -> None:
        self.recipes: list[Recipe] = []

    def __call__(self, recipe: Recipe, folder: Path) -> dict[str, float]:
        self.recipes.append(recipe)
        base = 0.2 if recipe.objective.photometric == "mean" else 0.1
        return dict.fromkeys(METRICS, base + 0.01 * recipe.seed)


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_every_table_is_a_recipe_of_its_own(table):
    rows = table_recipes(table, RECIPES)
    assert len({recipe.digest() for _, recipe in rows}) == len(TABLES[table])


def test_a_change_holds_for_every_row():
    rows = table_recipes("iv", RECIPES, ["batch_size=3"])
    assert {recipe.batch_size for _, recipe in rows} == {3}


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="got table 'vi', expected one of iv, v"):
        table_recipes("vi", RECIPES)


def test_a_table_has_mean_and_sample_spread_over_the_seeds(tmp_path):
    draws = Draws()
    rows = ablate(table_recipes("iv", RECIPES), [1, 2, 3], 40, tmp_path, draws)
    assert [row.name for row in rows] == [variant.name for variant in TABLES["iv"]]
    assert {(recipe.max_steps, recipe.seed) for recipe in draws.recipes} == {
        (40, 1),
        (40, 2),
        (40, 3),
    }
    assert rows[0].mean("abs_rel") == pytest.approx(0.22)
    assert rows[0].spread("abs_rel") == pytest.approx(0.01)
    stored = json.loads((tmp_path / RESULT).read_text())
    assert stored["seeds"] == [1, 2, 3]
    assert stored["rows"][4]["mean"]["d1"] == pytest.approx(0.12)


def test_one_seed_has_no_spread():
    assert np.isnan(Row("x", ({"abs_rel": 0.1},)).spread("abs_rel"))


def test_a_finished_run_is_not_repeated_and_one_of_other_steps_is_refused(tmp_path):
    draws, rows = Draws(), table_recipes("v", RECIPES)
    first = ablate(rows, [1], 40, tmp_path, draws)
    again = ablate(rows, [1, 2], 40, tmp_path, draws)
    assert len(draws.recipes) == 2 * len(rows)
    assert again[0].runs[0] == first[0].runs[0]
    with pytest.raises(ValueError, match="scores of another recipe"):
        ablate(rows, [1], 50, tmp_path, draws)


def test_scores_of_other_data_are_refused_and_not_shown(tmp_path):
    rows = table_recipes("v", RECIPES)[:1]
    ablate(rows, [1], 40, tmp_path, Draws(), "kitchen")
    assert ablate(rows, [1], 40, tmp_path, Draws(), "kitchen")
    with pytest.raises(ValueError, match=r"scores of other data, .* give another --out"):
        ablate(rows, [1], 40, tmp_path, Draws(), "hall")
    here, there = Source((tmp_path / "a",)), Source((tmp_path / "b",))
    assert here.digest() == Source((tmp_path / "x" / ".." / "a",)).digest() != there.digest()


def test_a_run_stopped_before_its_scores_were_noted_is_asked_again(tmp_path):
    rows = table_recipes("v", RECIPES)[:1]
    scores = run_folder(tmp_path, rows[0][0], 1) / "scores.json"
    scores.parent.mkdir(parents=True)
    scores.write_text(json.dumps({"frames": 3, "abs_rel": 0.5}))  # as `fit` leaves them
    draws = Draws()
    (row,) = ablate(rows, [1], 40, tmp_path, draws)
    assert len(draws.recipes) == 1
    assert row.mean("abs_rel") == pytest.approx(0.11)
