import pytest
import torch

from replicalab_worker.science.classifier.augmentation import flip, shift
from replicalab_worker.science.classifier.networks import SmallImageResNet18, initialise
from replicalab_worker.science.classifier.training import SgdRecipe, learning_rate, train
from replicalab_worker.science.pixels import from_levels


def recipe(**changes: object) -> SgdRecipe:
    values = {
        "epochs": 3,
        "batch_size": 16,
        "learning_rate": 0.05,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "one-cycle",
    } | changes
    return SgdRecipe(**values)  # type: ignore[arg-type]


def striped_images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy stripes: class 0 lies, class 1 stands."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    stripes = (torch.arange(8) % 2 * 2.0 - 1).expand(count, 1, 8, 8)
    lying = stripes.transpose(2, 3)
    clean = torch.where(labels[:, None, None, None] == 1, stripes, lying)
    noisy = clean + 0.5 * torch.randn(clean.shape, generator=generator)
    return (noisy * 60 + 128).clamp(0, 255).to(torch.uint8), labels


def trained(
    seed: int = 0, device: str = "cpu", **changes: object
) -> tuple[SmallImageResNet18, list[float]]:
    images, labels = (part.to(device) for part in striped_images(64))
    network = SmallImageResNet18(channels=1, classes=2, width=4).to(device)
    generator = torch.Generator(device).manual_seed(seed)
    initialise(network, generator)
    losses = [float(s.loss) for s in train(network, images, labels, recipe(**changes), generator)]
    return network.eval(), losses


def test_training_separates_two_classes() -> None:
    network, losses = trained(epochs=8)
    images, labels = striped_images(50)
    assert sum(losses[-8:]) < 8 * 0.2
    assert torch.equal(network(from_levels(images)).logits.argmax(dim=1), labels)


def test_training_in_bfloat16_separates_them_too_and_keeps_float32_weights() -> None:
    network, losses = trained(epochs=8, compute_type=torch.bfloat16)
    images, labels = striped_images(50)
    assert sum(losses[-8:]) < 8 * 0.2
    assert losses != trained(epochs=8)[1]
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert torch.equal(network(from_levels(images)).logits.argmax(dim=1), labels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("compute_type", [torch.bfloat16, torch.float16])
def test_training_on_a_gpu_separates_them_in_every_precision(compute_type: torch.dtype) -> None:
    network, losses = trained(epochs=8, device="cuda", compute_type=compute_type)
    images, labels = striped_images(50)
    assert sum(losses[-8:]) < 8 * 0.2
    answers = network(from_levels(images.cuda())).logits.argmax(dim=1)
    assert torch.equal(answers.cpu(), labels)


def test_equal_seeds_train_equal_weights() -> None:
    first, second, other = (trained(seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize(("batch_size", "steps"), [(16, 4), (15, 4), (63, 1), (200, 1)])
def test_no_batch_of_an_epoch_is_smaller_than_asked_for(batch_size: int, steps: int) -> None:
    """A last batch of one image would leave batch normalisation without a variance."""
    _, losses = trained(epochs=1, batch_size=batch_size)
    assert len(losses) == steps


def test_the_one_cycle_rate_rises_for_three_tenths_and_falls_to_zero() -> None:
    cycle = recipe(epochs=10, learning_rate=0.2)
    rates = [learning_rate(cycle, epoch) for epoch in (0.0, 1.5, 3.0, 6.5, 10.0)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.1, 0])


def test_the_stepped_rate_falls_tenfold_every_thirty_epochs() -> None:
    steps = recipe(epochs=100, learning_rate=0.01, schedule="steps")
    rates = [learning_rate(steps, epoch) for epoch in (0.0, 29.9, 30.0, 60.0, 99.0)]
    assert rates == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4, 1e-5])


def numbered_images(count: int) -> torch.Tensor:
    """Every pixel of every image has its own value."""
    return torch.arange(count * 2 * 5 * 6, dtype=torch.float32).reshape(count, 2, 5, 6)


def test_shifts_move_whole_images_both_ways_and_keep_them_in_place() -> None:
    images = numbered_images(200)
    moved = shift(images, 1, torch.Generator().manual_seed(0))
    offsets = moved[:, 0, 2, 2] - images[:, 0, 2, 2]
    assert sorted(set(offsets.tolist())) == [-7, -6, -5, -1, 0, 1, 5, 6, 7]
    for image, original, offset in zip(moved, images, offsets.tolist(), strict=True):
        assert torch.equal(image[:, 1:-1, 1:-1], original[:, 1:-1, 1:-1] + offset)


def test_a_shift_of_zero_changes_nothing() -> None:
    images = numbered_images(4)
    assert torch.equal(shift(images, 0, torch.Generator().manual_seed(0)), images)


def test_flips_mirror_half_of_the_images() -> None:
    images = numbered_images(1000)
    flipped = flip(images, torch.Generator().manual_seed(0))
    is_flipped = (flipped == images.flip(3)).flatten(1).all(dim=1)
    is_kept = (flipped == images).flatten(1).all(dim=1)
    assert torch.equal(is_flipped, ~is_kept)
    assert int(is_flipped.sum()) == pytest.approx(500, abs=4 * 250**0.5)
