"""Claims about sizes in pixels at other sizes than the paper's."""

from __future__ import annotations

import pytest
import torch

from gam_depth_training import objective as objective_file
from gam_depth_training.objective import ObjectiveOptions
from gam_depth_training.pixel_sizes import PAPER_SIZE_HW, PixelSizes
from gam_depth_training.quirks import OfficialQuirks

from .objective_inputs import SIZE, terms_of

PAPERS = PixelSizes()


def test_at_the_papers_size_nothing_changes():
    assert PixelSizes(plane_min_area=1000).at(PAPER_SIZE_HW) == PixelSizes(plane_min_area=1000)


def test_a_third_of_the_size_has_a_third_of_the_lengths_and_a_ninth_of_the_areas():
    assert PAPERS.at((96, 128)) == PixelSizes(1, 7, 3, pytest.approx(1 / 9), 6, 22)


def test_nothing_falls_below_a_pixel():
    assert PAPERS.at((64, 64)).normal_distance == 1
    assert PAPERS.at((8, 8)).segment_min_area == 1


@pytest.mark.parametrize(
    ("quirks", "sizes"),
    [(OfficialQuirks(fixed_pixel_sizes=True), PAPERS), (OfficialQuirks(), PAPERS.at(SIZE))],
)
def test_the_plane_terms_go_by_the_size_of_the_picture_unless_the_quirk_is_on(
    monkeypatch, quirks, sizes
):
    seen: dict[str, tuple] = {}

    def noted(name: str, keep: slice):
        original = getattr(objective_file, name)

        def call(*given):
            seen[name] = given[keep]
            return original(*given)

        monkeypatch.setattr(objective_file, name, call)

    noted("surface_normals", slice(1, 2))
    noted("align_normals", slice(3, 5))
    noted("planar_segments", slice(4, 7))
    noted("large_segments", slice(1, 3))
    terms = terms_of(ObjectiveOptions(quirks=quirks))
    assert torch.isfinite(terms.total)
    assert seen == {
        "surface_normals": (sizes.normal_distance,),
        "align_normals": (sizes.top, sizes.border),
        "planar_segments": (sizes.segment_scale, sizes.segment_min_area, sizes.normal_distance),
        "large_segments": (sizes.plane_min_area, sizes.border),
    }
