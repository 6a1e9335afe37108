import hashlib
import json
from functools import partial
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load, save

from replicalab.domain import artifacts
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.datasets import Split
from replicalab.domain.discretisations import VpDiscretisation, VpSchedule
from replicalab.domain.precisions import Precision
from replicalab.domain.samplers import (
    AblationSampler,
    DpmSolverSampler,
    EulerSampler,
    HeunSampler,
    SamplerSpec,
    Start,
)
from replicalab.domain.tasks import Reconstruct
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import ArtifactNotFound, IncompatibleParts, InvalidImageSet, UnsafeCheckpoint
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines import generators
from replicalab_worker.pipelines.reconstruction import Reconstruction
from replicalab_worker.runtime.device import computes_in_bfloat16
from replicalab_worker.science.diffusion.preconditioning import Preconditioning

CPU = torch.device("cpu")
STEPS = 6
SAMPLERS: list[SamplerSpec] = [
    HeunSampler(steps=STEPS, s_churn=2.0),
    EulerSampler(steps=STEPS),
    DpmSolverSampler(steps=STEPS),
    AblationSampler(
        steps=STEPS,
        discretisation=VpDiscretisation(),
        schedule=VpSchedule(),
        scaling="vp",
    ),
]
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.kind)


def shard(
    context: MemoryContext,
    *,
    t_re: int = STEPS,
    first: int = 0,
    count: int = 40,
    start: Start = "diffuse",
    noise_seed: int = 0,
    sampler: SamplerSpec | None = None,
    precision: Precision = "float32",
    split: Split = "train",
    reconstruct: Reconstruction | None = None,
) -> ImageSet:
    params = Reconstruct(
        split=split,
        bundled=None,
        sampler=sampler or HeunSampler(steps=STEPS, s_churn=2.0),
        t_re=t_re,
        start=start,
        noise_seed=noise_seed,
        precision=precision,
        first=first,
        count=count,
    )
    (reconstruct or Reconstruction(CPU))(context, params)
    return ImageSet.from_bytes(context.outputs[artifacts.RECONSTRUCTED_IMAGES])


def difference(first: ImageSet, second: ImageSet) -> npt.NDArray[np.int64]:
    apart: npt.NDArray[np.int64] = np.abs(first.images.astype(np.int64) - second.images)
    return apart


def test_test_images_are_reconstructed_with_noise_of_their_own(
    shard_context: MemoryContext, images: ImageSet
) -> None:
    """Even where they equal training images in pixels, labels and places, as here."""
    shard_context.inputs["test"] = shard_context.inputs["train"]
    held_out = shard(shard_context, split="test", first=3, count=5, start="noise")
    assert np.array_equal(held_out.labels, images.labels[3:8])
    assert np.array_equal(held_out.indices, images.indices[3:8])
    again = shard(shard_context, split="test", first=3, count=5, start="noise")
    assert np.array_equal(held_out.images, again.images)
    trained = shard(shard_context, split="train", first=3, count=5, start="noise")
    assert all(
        (one != other).any() for one, other in zip(held_out.images, trained.images, strict=True)
    )


def test_a_split_that_was_not_given_is_missed(shard_context: MemoryContext) -> None:
    with pytest.raises(ArtifactNotFound, match="'test'"):
        shard(shard_context, split="test")


def test_reconstructions_keep_labels_and_indices(
    shard_context: MemoryContext, images: ImageSet
) -> None:
    part = shard(shard_context, first=10, count=5)
    assert np.array_equal(part.labels, images.labels[10:15])
    assert np.array_equal(part.indices, images.indices[10:15])
    assert part.images.shape == (5, 8, 8, 1)


def test_values_that_are_not_finite_name_level_and_seed(shard_context: MemoryContext) -> None:
    tensors = load(shard_context.inputs["generator"][0])
    tensors["model.dec.8x8_aux_conv.bias"].fill_(float("inf"))
    weights = save(tensors)
    description = json.loads(shard_context.inputs["description"][0])
    description["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    shard_context.inputs["generator"] = [weights]
    shard_context.inputs["description"] = [json.dumps(description).encode()]
    with pytest.raises(FloatingPointError, match=r"t_re 6 .*noise seed 5\); .*noise levels\.$"):
        shard(shard_context, noise_seed=5)
    assert artifacts.RECONSTRUCTED_IMAGES not in shard_context.outputs


def test_who_waits_for_a_network_to_be_compiled_is_told(
    shard_context: MemoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconstruct = Reconstruction(CPU)
    shard(shard_context, reconstruct=reconstruct)
    assert generators.COMPILING not in {stage for *_, stage in shard_context.progress_reports}

    policies: list[str] = []

    def fast_call(network: Preconditioning, _: torch.device, policy: str) -> partial[torch.Tensor]:
        policies.append(policy)
        return partial(network)

    monkeypatch.setattr(generators, "fast_call", fast_call)
    reconstruct = Reconstruction(CPU, "always")
    shard_context.progress_reports.clear()
    for first in (0, 20):
        shard(shard_context, first=first, count=20, reconstruct=reconstruct)
    stages = [stage for *_, stage in shard_context.progress_reports]
    assert stages[0] == generators.COMPILING
    assert stages.count(generators.COMPILING) == 1
    assert policies == ["always"]


@each_sampler
def test_shards_together_are_the_whole_up_to_rounding(
    shard_context: MemoryContext, sampler: SamplerSpec
) -> None:
    """The noise of a shard is the same to the bit; passes of other sizes round differently."""
    whole = shard(shard_context, sampler=sampler)
    parts = [
        shard(shard_context, first=first, count=8, sampler=sampler) for first in range(0, 40, 8)
    ]
    apart = difference(ImageSet.concatenate(parts), whole)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.001


@each_sampler
def test_the_fewer_steps_remain_the_closer_is_the_reconstruction(
    shard_context: MemoryContext, images: ImageSet, sampler: SamplerSpec
) -> None:
    errors = [
        difference(shard(shard_context, t_re=t_re, sampler=sampler), images).mean()
        for t_re in (1, 2, 6)
    ]
    assert errors == sorted(errors)
    assert errors[0] < 2


@each_sampler
def test_pure_noise_forgets_the_image_and_the_diffused_image_does_not(
    shard_context: MemoryContext, images: ImageSet, sampler: SamplerSpec
) -> None:
    pure = shard(shard_context, start="noise", sampler=sampler)
    diffused = shard(shard_context, start="diffuse", sampler=sampler)
    assert difference(pure, diffused).max() > 0
    reverse = np.arange(40)[::-1]
    other_images = ImageSet(images.images[reverse], images.labels, images.indices)
    shard_context.inputs["train"] = [other_images.to_bytes()]
    again = shard(shard_context, start="noise", sampler=sampler)
    assert difference(again, pure).max() == 0
    others = shard(shard_context, start="diffuse", sampler=sampler)
    assert difference(others, diffused).max() > 0


def test_classes_decide_the_images_made_from_noise(
    shard_context: MemoryContext, images: ImageSet
) -> None:
    made = shard(shard_context, start="noise").images.reshape(40, -1).mean(axis=1)
    assert made[images.labels == 1].mean() > made[images.labels == 0].mean() + 50


def test_the_noise_seed_decides_the_noise(shard_context: MemoryContext) -> None:
    first, again, other = (shard(shard_context, noise_seed=seed) for seed in (1, 1, 2))
    assert difference(first, again).max() == 0
    assert difference(first, other).max() > 0


def test_every_kind_of_sampler_takes_its_own_steps(shard_context: MemoryContext) -> None:
    """Two multistep steps are Euler's: the solver has no memory at first and ends at D."""
    deterministic = [HeunSampler(steps=STEPS), *SAMPLERS[1:3]]
    heun, euler, multistep = (shard(shard_context, t_re=2, sampler=s) for s in deterministic)
    assert difference(euler, multistep).max() == 0
    assert 0 < difference(euler, heun).mean() < 10
    three = [shard(shard_context, t_re=3, sampler=sampler) for sampler in deterministic]
    assert all(difference(a, b).max() > 0 for a, b in combinations(three, 2))


def test_progress_reaches_the_whole_shard(shard_context: MemoryContext) -> None:
    shard(shard_context, count=7)
    reports = shard_context.progress_reports
    assert len(reports) == STEPS
    assert reports[-1][:2] == (7, 7)


def test_images_that_are_not_there_are_refused(shard_context: MemoryContext) -> None:
    with pytest.raises(InvalidImageSet, match="the set has 40"):
        shard(shard_context, first=38, count=3)


def test_images_the_generator_cannot_take_are_refused(shard_context: MemoryContext) -> None:
    wide = ImageSet(np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, np.int64), np.arange(4))
    shard_context.inputs["train"] = [wide.to_bytes()]
    with pytest.raises(InvalidImageSet, match="trained on this data set"):
        shard(shard_context, count=4)


def test_weights_that_are_not_those_described_are_refused(shard_context: MemoryContext) -> None:
    shard_context.inputs["generator"] = [b"something else"]
    with pytest.raises(UnsafeCheckpoint, match="The description is of weights"):
        shard(shard_context)


def test_lower_precision_gives_nearly_the_same_images(shard_context: MemoryContext) -> None:
    reconstruct = Reconstruction(CPU)
    exact, rounded, again = (
        shard(shard_context, precision=precision, reconstruct=reconstruct)
        for precision in ("float32", "bfloat16", "float32")
    )
    assert np.array_equal(exact.images, again.images)
    assert difference(exact, rounded).mean() < 2
    assert computes_in_bfloat16(CPU) != np.array_equal(exact.images, rounded.images)


def test_float16_is_refused_where_nothing_computes_in_it(shard_context: MemoryContext) -> None:
    with pytest.raises(IncompatibleParts, match="needs a worker with a GPU"):
        shard(shard_context, precision="float16")


def with_ve_preconditioning(context: MemoryContext) -> MemoryContext:
    """The same weights, said to be trained from sigma 0.02 to 100."""
    description = json.loads(context.inputs["description"][0])
    description["preconditioning"] = {"kind": "ve"}
    context.inputs["description"] = [json.dumps(description).encode()]
    return context


def test_noise_levels_the_generator_was_not_made_for_are_refused(
    shard_context: MemoryContext,
) -> None:
    context = with_ve_preconditioning(shard_context)
    for sampler in (HeunSampler(steps=STEPS), HeunSampler(steps=STEPS, sigma_max=101.0)):
        with pytest.raises(IncompatibleParts, match=r"from 0\.02 to 100"):
            shard(context, sampler=sampler)
    assert not context.outputs
    inside = HeunSampler(steps=STEPS, sigma_min=0.02, sigma_max=100.0)
    assert len(shard(context, sampler=inside)) == 40


def test_only_the_steps_that_remain_must_lie_inside(shard_context: MemoryContext) -> None:
    context = with_ve_preconditioning(shard_context)
    sampler = HeunSampler(steps=STEPS, sigma_min=0.02, sigma_max=1000.0)
    with pytest.raises(IncompatibleParts, match="lower t_re"):
        shard(context, sampler=sampler)
    assert len(shard(context, sampler=sampler, t_re=2)) == 40


def test_the_real_set_is_read_once_for_all_shards_of_a_study(shard_context: MemoryContext) -> None:
    class Counting(MemoryContext):
        reads = 0

        def read(self, role: str) -> list[bytes]:
            self.reads += role == "train"
            return super().read(role)

        def refs(self, role: str) -> list[ArtifactRef]:
            return [artifacts.ref_of(body, "") for body in self.inputs[role]]

    context = Counting(shard_context.inputs)
    reconstruction = Reconstruction(CPU)
    for first in (0, 20):
        params = Reconstruct(
            bundled=None,
            sampler=EulerSampler(steps=STEPS),
            t_re=1,
            start="diffuse",
            noise_seed=0,
            first=first,
            count=20,
        )
        reconstruction(context, params)
    assert context.reads == 1
    whole = ImageSet.from_bytes(context.inputs["train"][0])
    turned = ImageSet(whole.images[::-1].copy(), whole.labels, whole.indices)
    context.inputs["train"] = [turned.to_bytes()]
    before = context.outputs[artifacts.RECONSTRUCTED_IMAGES]
    reconstruction(context, params)
    assert context.reads == 2
    assert context.outputs[artifacts.RECONSTRUCTED_IMAGES] != before
