"""Claims about recipes: what the shipped files say, and how bad ones are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gam_depth_training.objective import ObjectiveOptions
from gam_depth_training.quirks import OfficialQuirks
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_file import is_recipe, load_recipe, save_recipe

FOLDER = Path(__file__).resolve().parents[2] / "config" / "training"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if is_recipe(path))
METHODS = {"monodepth2", "p2net", "structdepth", "structdepth_mask", "monoindoor", "gam_depth"}


def test_there_is_a_recipe_for_every_method():
    names = {path.stem for path in FILES}
    assert names >= METHODS | {"gam_depth_official", "finetune"}
    assert len([name for name in names if name.startswith("table_iv_")]) == 5


def test_every_recipe_loads_and_none_is_another_by_mistake():
    recipes = [load_recipe(path) for path in FILES]
    for path, recipe in zip(FILES, recipes, strict=True):
        # The stages of the model in the box are named for the model that they make.
        own = path.stem.startswith("default_model")
        assert recipe.name.startswith("gam-depth-r18") if own else recipe.name == path.stem
    assert len({recipe.digest() for recipe in recipes}) == len(FILES)
    # Beside their names only table_iv_full is what gam_depth is.
    unnamed = {dataclasses.replace(recipe, name="").digest() for recipe in recipes}
    assert len(unnamed) == len(FILES) - 1


def test_the_supervised_config_is_no_recipe():
    assert not is_recipe(FOLDER / "synthetic_supervised.yaml")


def test_gam_depth_has_every_term_and_the_baselines_lack_theirs():
    terms = {name: load_recipe(FOLDER / f"{name}.yaml").objective for name in METHODS}
    full = terms["gam_depth"]
    assert (full.photometric, full.auto_mask) == ("gradient_mask", False)
    assert min(full.normal, full.planar, full.semantic, full.smoothness) > 0
    assert terms["monodepth2"].normal == terms["monodepth2"].planar == 0
    assert terms["p2net"].normal == 0 < terms["p2net"].planar
    assert terms["structdepth"].photometric == "keypoints"
    assert terms["structdepth_mask"].photometric == "gradient_mask"
    assert all(terms[name].semantic == 0 for name in METHODS - {"gam_depth"})


@pytest.mark.parametrize(
    ("method", "batch_size", "epochs", "planar", "normal", "smoothness", "least_plane"),
    [
        # The published settings: options of the codes, and the commands in their READMEs.
        ("p2net", 12, 41, 0.05, 0.0, 0.001, 1000),
        ("structdepth", 32, 50, 0.1, 0.05, 0.001, 200),
        ("gam_depth", 16, 50, 0.1, 0.05, 0.001, 200),
    ],
)
def test_methods_have_their_own_published_weights(
    method, batch_size, epochs, planar, normal, smoothness, least_plane
):
    recipe = load_recipe(FOLDER / f"{method}.yaml")
    terms = recipe.objective
    assert (recipe.batch_size, recipe.epochs) == (batch_size, epochs)
    assert (terms.planar, terms.normal, terms.smoothness) == (planar, normal, smoothness)
    assert terms.planar_min_area == least_plane


def test_the_official_recipe_turns_every_quirk_on_and_the_papers_none():
    assert load_recipe(FOLDER / "gam_depth.yaml").objective.quirks == OfficialQuirks()
    official = load_recipe(FOLDER / "gam_depth_official.yaml")
    assert official.objective.quirks == OfficialQuirks.official()
    assert official.network.pose_encoder == "shared"


def test_the_rate_falls_at_the_papers_epochs():
    recipe = load_recipe(FOLDER / "gam_depth.yaml")
    rates = [recipe.learning_rate * recipe.learning_rate_factor(epoch) for epoch in range(50)]
    assert rates == pytest.approx([1e-4] * 25 + [1e-5] * 10 + [1e-6] * 15)


def test_the_papers_run_has_67050_steps():
    recipe = load_recipe(FOLDER / "gam_depth.yaml")
    assert recipe.steps_per_epoch(21465) == 1341
    assert recipe.total_steps(21465) == 67050
    assert dataclasses.replace(recipe, max_steps=7).total_steps(21465) == 7


def test_a_base_gives_what_a_file_does_not_say(tmp_path):
    (tmp_path / "a.yaml").write_text("name: a\nobjective: {normal: 0.5, planar: 0.5}\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\nname: b\nobjective: {planar: 0.25}\n")
    recipe = load_recipe(tmp_path / "b.yaml")
    assert (recipe.name, recipe.objective.normal, recipe.objective.planar) == ("b", 0.5, 0.25)


def test_an_override_changes_one_setting_and_the_digest(tmp_path):
    path = FOLDER / "gam_depth.yaml"
    changed = load_recipe(path, ["objective.smoothness=1e-2", "size_hw=[96, 128]"])
    assert changed.objective.smoothness == 0.01
    assert changed.size_hw == (96, 128)
    assert changed.objective.normal == load_recipe(path).objective.normal
    assert changed.digest() != load_recipe(path).digest()


def test_one_quirk_turned_off_leaves_the_others_on():
    path = FOLDER / "gam_depth_official.yaml"
    quirks = load_recipe(path, ["objective.quirks.double_softmax=false"]).objective.quirks
    assert quirks == dataclasses.replace(OfficialQuirks.official(), double_softmax=False)


def test_a_saved_recipe_reads_back_as_the_same(tmp_path):
    recipe = Recipe("x", objective=ObjectiveOptions(quirks=OfficialQuirks.official()))
    save_recipe(recipe, tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed: 1\nname: x", "unknown key 'speed'"),
        ("epochs: 3", "no 'name'"),
        ("name: x\nsize_hw: [50, 64]", "multiples of 32"),
        ("name: x\noffsets: [1, 0]", "expected rising ones with 0"),
        ("name: x\noffsets: [-1, 1]", "expected rising ones with 0"),
        ("name: x\nema_decay: 2", "got ema_decay 2"),
        ("name: x\nbatch_size: 0", "got batch_size 0"),
        ("name: x\ngradient_clip: -1", "got gradient_clip -1"),
        ("name: x\nguard: .nan", "got guard nan"),
        ("name: x\nencoder_rate_factor: -0.1", "got encoder_rate_factor -0.1"),
        ("name: x\nbatch_size: 2.5", "got batch_size 2.5, expected a whole number"),
        ("name: x\nobjective: {quirks: all}", "got quirks 'all', expected official"),
        ("name: x\nprecision: 8", "got precision '8'"),
        ("name: x\nnetwork: {decoders: three}", "got decoders 'three'"),
        ("name: x\nnetwork: 3", "got network '3'"),
        ("name: x\nobjective: {photometric: maximum}", "maximum"),
        ("name: x\nobjective: {quirks: {typo: true}}", "unknown key 'typo'"),
        ("base: missing.yaml\nname: x", "missing.yaml: got FileNotFoundError"),
        ("- a", "got no mapping"),
        (": : :", "expected a YAML file"),
    ],
)
def test_a_bad_recipe_gets_one_clear_line(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("override", ["batch_size", "=3", "batch_size=[", "nothing=1"])
def test_a_bad_override_gets_one_clear_line(override):
    with pytest.raises(ValueError, match=r"override|unknown key") as caught:
        load_recipe(FOLDER / "gam_depth.yaml", [override])
    assert "\n" not in str(caught.value)
