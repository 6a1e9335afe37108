import math

import pytest
import torch

from replicalab_worker.science.diffusion.augmentation import AUGMENT_LABELS, Augmentation
from replicalab_worker.science.diffusion.averages import half_life_decay
from replicalab_worker.science.diffusion.draws import BatchOrder
from replicalab_worker.science.diffusion.initialisation import initialise
from replicalab_worker.science.diffusion.networks import DdpmppUnet
from replicalab_worker.science.diffusion.preconditioning import (
    ClassDenoiser,
    EdmPreconditioning,
    log_normal_levels,
    loss_weight,
)
from replicalab_worker.science.diffusion.training import (
    EdmRecipe,
    EdmTrainer,
    learning_rate,
)


def recipe(**changes: float) -> EdmRecipe:
    values = {
        "images": 640,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "warmup_images": 0,
        "ema_half_life_images": 64,
        "ema_rampup_ratio": 0.05,
        "log_sigma_mean": -1.2,
        "log_sigma_std": 1.2,
        "augment_probability": 0.0,
        "seed": 0,
    } | changes
    return EdmRecipe(**values)  # type: ignore[arg-type]


def small_network(
    seed: int = 0, augment_labels: int = 0, dropout: float = 0.0
) -> EdmPreconditioning:
    unet = DdpmppUnet(
        resolution=4,
        image_channels=1,
        classes=2,
        augment_labels=augment_labels,
        channels=8,
        channel_mult=(1, 2),
        blocks=1,
        attention_resolutions=(2,),
        dropout=dropout,
    )
    network = EdmPreconditioning(unet, sigma_data=0.5)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def two_images() -> tuple[torch.Tensor, torch.Tensor]:
    """One flat image per class: class 0 is dark, class 1 is light."""
    dark = torch.full((1, 1, 4, 4), -0.5)
    return torch.cat([dark, -dark]), torch.tensor([0, 1])


def trained(seed: int, **changes: float) -> tuple[EdmTrainer, list[float]]:
    images, labels = two_images()
    augment_labels = AUGMENT_LABELS if changes.get("augment_probability") else 0
    trainer = EdmTrainer(small_network(seed, augment_labels), recipe(seed=seed, **changes))
    return trainer, [float(step.loss) for step in trainer.train(images, labels, classes=2)]


def test_training_learns_the_data_of_each_class() -> None:
    trainer, losses = trained(0, images=3200)
    assert sum(losses[-20:]) < 0.4 * sum(losses[:20])
    denoise = ClassDenoiser(trainer.average, torch.eye(2))
    shades = denoise(torch.zeros(2, 1, 4, 4), 1.0).mean(dim=(1, 2, 3))
    assert shades.tolist() == pytest.approx([-0.5, 0.5], abs=0.1)


def test_the_loss_begins_at_one_as_the_preconditioning_promises() -> None:
    """Unit-variance targets, and a network whose last layer begins near zero."""
    images = torch.randn(4096, 1, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.5
    labels = torch.zeros(4096, dtype=torch.int64)
    trainer = EdmTrainer(small_network(), recipe(batch_size=4096, images=4096))
    assert float(next(trainer.train(images, labels, classes=2)).loss) == pytest.approx(
        1.0, abs=0.03
    )


def test_equal_seeds_train_equal_weights_and_others_do_not() -> None:
    first, second, other = (trained(seed, images=128)[0].average for seed in (5, 5, 6))
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    name = "model.map_layer0.weight"
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


def test_training_touches_no_global_generator() -> None:
    network = small_network(augment_labels=AUGMENT_LABELS, dropout=0.5)
    trainer = EdmTrainer(network, recipe(images=64, augment_probability=0.5))
    before = torch.get_rng_state()
    images, labels = two_images()
    list(trainer.train(images, labels, classes=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_learning_rate_rises_linearly_from_zero_during_the_warm_up() -> None:
    warm = recipe(warmup_images=1000, learning_rate=1e-3)
    rates = [learning_rate(warm, seen) for seen in (0, 250, 1000, 5000)]
    assert rates == pytest.approx([0, 0.25e-3, 1e-3, 1e-3])


def test_training_warms_up() -> None:
    cold, _ = trained(0, images=64, warmup_images=10**6)
    weights = small_network(0).state_dict()
    moved = [
        float((cold.network.state_dict()[name] - weights[name]).abs().max()) for name in weights
    ]
    assert 0 < max(moved) < 2e-7


def test_half_of_the_average_survives_a_half_life() -> None:
    def decay(images_seen: int) -> float:
        return half_life_decay(images_seen, 32, half_life_images=3200, rampup_ratio=0.05)

    assert decay(10**9) ** 100 == pytest.approx(0.5)
    assert decay(6400) ** 10 == pytest.approx(0.5)  # ramp-up: 5 % of 6,400 images


def test_every_image_comes_once_before_any_comes_again() -> None:
    order = BatchOrder(10, 4, seed=0)
    seen = torch.cat([order.batch(step) for step in range(5)]).tolist()
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_the_order_of_a_step_does_not_need_the_steps_before() -> None:
    order = BatchOrder(10, 24, seed=3)
    in_sequence = [order.batch(step).tolist() for step in range(4)]
    assert [BatchOrder(10, 24, seed=3).batch(step).tolist() for step in range(4)] == in_sequence
    assert BatchOrder(10, 24, seed=4).batch(0).tolist() != in_sequence[0]


def test_noise_levels_are_log_normal_and_weighted_by_the_inverse_of_the_output_scale() -> None:
    levels = log_normal_levels(
        100_000, mean=-1.2, std=1.2, generator=torch.Generator().manual_seed(0)
    ).log()
    assert float(levels.mean()) == pytest.approx(-1.2, abs=4 * 1.2 / math.sqrt(1e5))
    assert float(levels.std()) == pytest.approx(1.2, abs=4 * 1.2 / math.sqrt(2e5))
    assert loss_weight(torch.tensor([0.5]), 0.5).tolist() == [8.0]


def augment(probability: float, count: int = 64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    images = torch.rand(count, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    augmented, labels = Augmentation(probability, torch.Generator().manual_seed(2))(images)
    return images, augmented, labels


def test_augmentation_of_probability_zero_changes_nothing_and_says_so() -> None:
    images, augmented, labels = augment(0.0)
    assert torch.equal(images, augmented)
    assert labels.shape == (64, AUGMENT_LABELS)
    assert not labels.any()


def test_only_images_whose_labels_say_so_are_changed() -> None:
    images, augmented, labels = augment(0.1)
    is_labelled = labels.any(dim=1)
    is_changed = (images != augmented).flatten(1).any(dim=1)
    assert 0 < int(is_labelled.sum()) < 64
    assert torch.equal(is_labelled, is_changed)


def test_a_mirrored_image_is_exactly_mirrored() -> None:
    images, augmented, labels = augment(0.1, count=4096)
    is_mirrored = (labels[:, 0] == 1) & ~labels[:, 1:].any(dim=1)
    assert is_mirrored.any()
    torch.testing.assert_close(augmented[is_mirrored], images[is_mirrored].flip(3))


def test_a_shifted_image_moves_by_an_eighth_of_its_size_per_unit_of_its_label() -> None:
    ramp = torch.linspace(0, 1, 32).expand(4096, 1, 32, 32).contiguous()
    augmented, labels = Augmentation(0.1, torch.Generator().manual_seed(2))(ramp)
    is_shifted = (labels[:, 7] != 0) & ~labels[:, :7].any(dim=1) & (labels[:, 7].abs() < 1)
    assert is_shifted.any()
    change = (augmented - ramp)[is_shifted, 0, 16, 16]
    per_pixel = 1 / 31
    torch.testing.assert_close(
        change, -labels[is_shifted, 7] * 0.125 * 32 * per_pixel, atol=1e-5, rtol=0
    )
