"""Learning rates over a run, and which epoch is kept."""

import pytest

from clinicedge.models.training.paper_cells import paper_recipe
from clinicedge.models.training.recipe import Recipe, plateaus, recipe_for
from clinicedge.models.zoo import lung_crop_names, names


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


def test_films_grow_to_their_full_size() -> None:
    recipe = Recipe(epochs=6, small_epochs=3, small_side=64, middle_epochs=2, middle_side=128)
    assert [recipe.side(e) for e in range(6)] == [64, 64, 64, 128, 128, 0]
    assert recipe.first_full_epoch == 5


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("name", [*names(), *lung_crop_names()])
def test_a_run_of_any_length_ends_at_full_size(name: str, gpu: bool) -> None:
    """Weights must have seen films of the size at which they are judged."""
    whole = recipe_for(name, gpu=gpu)
    assert whole.side(whole.epochs - 1) == 0
    for epochs in range(1, 30):
        for quick in (False, True):
            recipe = recipe_for(name, epochs, quick, gpu)
            assert recipe.epochs == epochs
            assert recipe.side(epochs - 1) == 0
    quick_one = recipe_for(name, quick=True, gpu=gpu)
    assert (quick_one.epochs, quick_one.side(1)) == (2, 0)


def test_a_run_of_another_length_keeps_the_shares_of_the_sizes() -> None:
    whole = recipe_for("segunet-256")
    for epochs in range(1, 95):
        recipe = recipe_for("segunet-256", epochs)
        for count in ("small_epochs", "middle_epochs"):
            wanted = getattr(whole, count) * epochs / whole.epochs
            assert abs(getattr(recipe, count) - wanted) < 1.5
    assert recipe_for("segunet-256", whole.epochs) == whole


def test_runs_of_the_published_table_end_at_full_size() -> None:
    for epochs in range(1, 30):
        recipe = paper_recipe(epochs)
        assert recipe.side(epochs - 1) == 0
        assert abs(recipe.small_epochs - epochs * 2 / 3) <= 1


def test_the_thesis_recipe_is_for_a_gpu() -> None:
    here, there = recipe_for("segunet-256"), recipe_for("segunet-256", gpu=True)
    assert (there.schedule, there.peak_lr, there.small_epochs) == ("plateau", 1e-4, 0)
    assert here.schedule == "cycle-a-size"
    assert here.keep == there.keep == "score"
    assert here.focal_gamma == there.focal_gamma == 2.0
    assert recipe_for("lungs-128", gpu=True) == recipe_for("lungs-128")


def test_a_gpu_takes_the_deep_networks_full_size_throughout() -> None:
    for name in ("resnet50-224-lung-crop", "pneumonia-type-224-lung-crop"):
        here, there = recipe_for(name), recipe_for(name, gpu=True)
        assert here.small_epochs > 0 == there.small_epochs
        assert there.epochs > here.epochs
        assert (there.full_steps, there.first_labels) == (None, here.first_labels)
        assert there.first_epochs == 0 or there.small_side > 0, "the easier films are small ones"


def test_every_mobilenet_begins_with_its_width() -> None:
    """Directly with fresh weights or with one size of its width, never with another width."""
    for form in ("", "-lung-crop"):
        for width in ("1.0", "0.75", "0.5", "0.25"):
            starts = {
                recipe_for(f"mobilenet-{width}-{s}{form}").start for s in (224, 192, 160, 128)
            }
            assert all(
                s.startswith(f"mobilenet-{width}-") and s.endswith(form) for s in starts - {""}
            )
            assert "" in starts


def test_the_separable_network_keeps_its_size() -> None:
    """Its first dense layer is made for 180 x 180."""
    for name in ("separable-cnn-180", "separable-cnn-180-lung-crop"):
        recipe = recipe_for(name)
        assert (recipe.schedule, recipe.small_epochs) == ("exponential", 0)
