"""Claims about the sum of terms that training without labels minimises."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gam_depth_training import objective as objective_file
from gam_depth_training.losses import photometric_error
from gam_depth_training.networks import JointPrediction
from gam_depth_training.objective import Objective, ObjectiveOptions
from gam_depth_training.quirks import OfficialQuirks
from gam_depth_training.video_batch import IGNORED_LABEL

from .objective_inputs import (
    PLAIN,
    SIZE,
    make_batch,
    make_prediction,
    make_views,
    terms_of,
)

# Noise of 48×64 has no planes as large as the picture's share would ask for.
FIXED = OfficialQuirks(fixed_pixel_sizes=True)


def test_the_total_is_the_weighted_sum_of_the_named_terms():
    weighing = {"smoothness": 0.2, "normal": 0.3, "planar": 0.4, "semantic": 0.5}
    terms = terms_of(ObjectiveOptions(**weighing, quirks=FIXED))
    assert list(terms.scalars) == ["photometric", "smoothness", "normal", "planar", "semantic"]
    weights = {"photometric": 1.0, **weighing}
    expected = sum(weights[name] * term.item() for name, term in terms.scalars.items())
    assert terms.total.item() == pytest.approx(expected, rel=1e-6)
    assert all(term.item() > 0 for term in terms.scalars.values())


@pytest.mark.parametrize("name", ["smoothness", "normal", "planar", "semantic"])
def test_a_term_of_weight_zero_is_left_out_and_the_others_stay(name):
    whole = terms_of(ObjectiveOptions(quirks=FIXED))
    less = terms_of(ObjectiveOptions(quirks=FIXED, **{name: 0.0}))
    assert set(whole.scalars) - set(less.scalars) == {name}
    for other, term in less.scalars.items():
        assert term.item() == whole.scalars[other].item()


@pytest.mark.parametrize(
    ("until", "epoch", "on"),
    [(15, 14, True), (15, 15, False), (0, 0, False), (None, 1000, True)],
)
def test_semantics_end_at_their_epoch(until, epoch, on):
    terms = terms_of(replace(PLAIN, semantic_until_epoch=until), epoch)
    assert ("semantic" in terms.scalars) == on
    assert ("labels" in terms.pictures) == on


def test_ignored_labels_and_the_wall_quirk_count_nowhere():
    batch = make_batch()
    only_walls = replace(batch, labels=torch.zeros_like(batch.labels))
    nothing = replace(batch, labels=torch.full_like(batch.labels, IGNORED_LABEL))
    quirky = replace(PLAIN, quirks=OfficialQuirks(ignored_wall_class=True))
    assert terms_of(PLAIN, batch=only_walls).scalars["semantic"].item() > 0
    assert terms_of(quirky, batch=only_walls).scalars["semantic"].item() == 0
    assert terms_of(PLAIN, batch=nothing).scalars["semantic"].item() == 0


def test_labels_without_a_class_are_refused_in_one_line():
    batch = make_batch()
    with pytest.raises(ValueError, match=r"got proxy label 5, expected labels below 5") as caught:
        terms_of(PLAIN, batch=replace(batch, labels=batch.labels + 1))
    assert "\n" not in str(caught.value)


def test_unknown_directions_leave_the_normal_term_empty_not_nan():
    batch = make_batch()
    unknown = replace(batch, directions=torch.full_like(batch.directions, float("nan")))
    terms = terms_of(ObjectiveOptions(), batch=unknown)
    assert terms.scalars["normal"].item() == 0
    assert torch.isfinite(terms.total)


def test_a_minimum_for_each_distance_is_the_sum_of_two():
    batch = make_batch()
    views = make_views(batch)
    errors = {k: photometric_error(view, batch.target) for k, view in views.items()}
    near = torch.minimum(errors[-1], errors[1])
    far = torch.minimum(errors[-2], errors[2])
    by_distance = Objective(replace(PLAIN, minimum_over="distance")).minimum_error(views, batch)
    torch.testing.assert_close(by_distance, near + far)
    torch.testing.assert_close(
        Objective(PLAIN).minimum_error(views, batch), torch.minimum(near, far)
    )


@pytest.mark.parametrize(
    "options",
    [replace(PLAIN, auto_mask=True), replace(PLAIN, quirks=OfficialQuirks(identity_minimum=True))],
)
def test_a_still_camera_teaches_nothing_with_the_auto_mask(options):
    batch = make_batch()
    still = replace(batch, frames=batch.target.unsqueeze(1).expand_as(batch.frames))
    views = {k: view.requires_grad_() for k, view in make_views(batch).items()}
    for chosen, moved in ((options, False), (PLAIN, True)):
        error = Objective(chosen).minimum_error(views, still).sum()
        gradients = torch.autograd.grad(error, list(views.values()))
        assert any(gradient.abs().sum() > 0 for gradient in gradients) == moved


def test_the_adaptive_mask_changes_where_the_error_counts_not_how_much():
    options = replace(PLAIN, photometric="adaptive_mask")
    batch = make_batch()
    minimum = torch.rand(2, 1, *SIZE)
    even = torch.full_like(minimum, 0.25)
    assert Objective(options).photometric_term(even, batch)[0].item() == pytest.approx(0.25)
    flat = replace(batch, magnitude=torch.full_like(batch.magnitude, 50.0))
    term = Objective(options).photometric_term(minimum, flat)[0]
    assert term.item() == pytest.approx(minimum.mean().item(), rel=1e-5)
    # An error on the strongest gradients counts more than the same on the weakest.
    strong = (batch.magnitude > 550).float()
    weak = (batch.magnitude < 50).float()
    on_strong, on_weak = (
        Objective(options).photometric_term(where / where.mean(), batch)[0]
        for where in (strong, weak)
    )
    assert on_strong > 3 * on_weak


def test_segments_by_colour_do_not_look_at_the_depth(monkeypatch):
    seen: list[tuple[Tensor, Tensor]] = []

    def noted(image, aligned, offset, *_):
        seen.append((aligned, offset))
        return torch.ones(image.shape[0], *SIZE, dtype=torch.int64)

    monkeypatch.setattr(objective_file, "planar_segments", noted)
    for segment_by in ("geometry", "colour"):
        terms_of(ObjectiveOptions(segment_by=segment_by))
    assert seen[0][0].abs().sum() > 0
    assert seen[0][1].abs().sum() > 0
    assert seen[1][0].abs().sum() == 0
    assert seen[1][1].abs().sum() == 0


def test_pictures_are_detached_and_have_the_targets_size():
    terms = terms_of(ObjectiveOptions())
    names = {"target", "warped", "depth", "error", "mask", "segments", "labels", "prediction"}
    assert set(terms.pictures) == names
    for picture in terms.pictures.values():
        assert not picture.requires_grad
        assert picture.shape[-2:] == SIZE
        assert picture.ndim == 4


LEARNED = replace(PLAIN, task_weighting="homoscedastic", semantic=0.3)


def test_learned_weights_start_as_the_fixed_ones():
    assert terms_of(LEARNED).total.item() == pytest.approx(
        terms_of(replace(LEARNED, task_weighting="fixed")).total.item(), rel=1e-6
    )
    assert terms_of(LEARNED).task_weights == {"depth": 1.0, "semantic": 1.0}


def test_learned_weights_settle_where_each_task_is_as_large_as_its_noise():
    objective = Objective(LEARNED)
    scalars = {"photometric": torch.tensor(0.2), "semantic": torch.tensor(2.0)}
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.05)
    for _ in range(400):
        total, weights = objective.weighted_total(scalars)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    # The minima of exp(-s)·L + s and exp(-s)·L + s/2 lie at factors of 1/L and 1/(2·L).
    assert weights["depth"].item() == pytest.approx(1 / 0.2, rel=0.01)
    assert weights["semantic"].item() == pytest.approx(0.5 / (0.3 * 2.0), rel=0.01)


def test_the_semantic_weight_rests_while_semantics_are_off():
    objective = Objective(LEARNED)
    total, weights = objective.weighted_total({"photometric": torch.tensor(0.2)})
    total.backward()
    assert set(weights) == {"depth"}
    assert objective.log_noise.grad[1] == 0
    assert objective.log_noise.grad[0] != 0


def test_fixed_weights_have_no_parameters():
    assert list(Objective(ObjectiveOptions()).parameters()) == []


@pytest.mark.parametrize("photometric", ["keypoints", "mean"])
def test_two_processes_average_to_the_joined_batch_when_their_pixels_are_uneven(
    monkeypatch, photometric
):
    options = replace(PLAIN, photometric=photometric)
    joined = make_batch()
    labels = joined.labels.clone()
    labels[0, :40] = IGNORED_LABEL
    keypoints = joined.keypoints.clone()
    keypoints[0, :, :40] = 0
    joined = replace(joined, labels=labels, keypoints=keypoints)
    prediction, views = make_prediction(), make_views(joined)
    expected = Objective(options)(prediction, views, joined, 0).scalars

    totals: dict[str, float] = {
        "keypoints": float(keypoints.sum()), "labels": float((labels != IGNORED_LABEL).sum())
    }
    order = ["keypoints", "labels"] if photometric == "keypoints" else ["labels"]
    alone = []
    for index in (0, 1):
        asked = iter(order)
        monkeypatch.setattr(objective_file.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(objective_file.distributed, "get_world_size", lambda: 2)
        monkeypatch.setattr(
            objective_file.distributed,
            "all_reduce",
            lambda value, asked=asked: value.fill_(totals[next(asked)]),
        )
        part = slice(index, index + 1)
        half = joined._with_tensors(lambda tensor, part=part: tensor[part])
        half = replace(half, keys=half.keys[part])
        seen = JointPrediction(*(value[part] for value in vars(prediction).values()))
        own = {k: view[part] for k, view in views.items()}
        alone.append(Objective(options)(seen, own, half, 0).scalars)
    for name, term in expected.items():
        mean = (alone[0][name] + alone[1][name]) / 2
        assert mean.item() == pytest.approx(term.item(), rel=1e-5), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"photometric": "median"}, "got photometric 'median', expected one of mean"),
        ({"segment_by": "size"}, "got segment_by 'size'"),
        ({"planar": -0.1}, "got a weight planar of -0.1, expected 0 or more"),
        ({"normal": float("nan")}, "got a weight normal of nan"),
        (
            {"photometric_likelihood": True, "task_weighting": "homoscedastic"},
            "got photometric_likelihood with homoscedastic task_weighting",
        ),
    ],
)
def test_bad_options_are_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        ObjectiveOptions(**changes)
    assert "\n" not in str(caught.value)
