"""Learning rates over a run, and which epoch is kept."""

import pytest

from clinicedge.models.training.recipe import Recipe, plateaus, recipe_for


def test_exponential_is_a_tenth_every_so_many_epochs() -> None:
    recipe = Recipe(epochs=40, schedule="exponential", decay_epochs=20.0, peak_lr=1e-2)
    rates = [recipe.learning_rate(step, 4000) for step in (0, 1000, 2000, 4000)]
    assert rates == pytest.approx([1e-2, 1e-2 * 0.1**0.5, 1e-3, 1e-4])


def test_a_plateau_halves_the_rate() -> None:
    recipe = Recipe(epochs=40, schedule="plateau", plateau_epochs=2, peak_lr=1e-4)
    scores = [0.1, 0.3, 0.2, 0.3, 0.25, 0.1, 0.5]
    rates = [recipe.learning_rate(0, 10, scores[:n]) for n in range(len(scores) + 1)]
    assert rates == pytest.approx([1e-4] * 4 + [5e-5] * 2 + [2.5e-5] * 2)


@pytest.mark.parametrize(
    ("scores", "count"), [([], 0), ([1.0], 0), ([1.0] * 3, 1), ([1.0] * 5, 2), ([0.1, 0.2, 0.3], 0)]
)
def test_plateaus_are_counted(scores: list[float], count: int) -> None:
    assert plateaus(scores, 2) == count


def test_the_thesis_recipe_is_for_a_gpu() -> None:
    here, there = recipe_for("segunet-256"), recipe_for("segunet-256", gpu=True)
    assert (there.schedule, there.peak_lr, there.small_epochs) == ("plateau", 1e-4, 0)
    assert here.schedule == "one-cycle"
    assert here.keep == there.keep == "score"
    assert here.focal_gamma == there.focal_gamma == 2.0
    assert recipe_for("lungs-128", gpu=True) == recipe_for("lungs-128")


def test_the_separable_network_keeps_its_size() -> None:
    """Its first dense layer is made for 180 x 180."""
    for name in ("separable-cnn-180", "separable-cnn-180-lung-crop"):
        recipe = recipe_for(name)
        assert (recipe.schedule, recipe.small_epochs) == ("exponential", 0)
