"""Specifications that ship with ReplicaLab: the demo study and the generator it uses."""

from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.generators import BundledGenerator, EdmTraining
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.samplers import HeunSampler
from replicalab.domain.specs import ALL_MEASURES, ExperimentSpec, TrainingSpec


def digits_training() -> TrainingSpec:
    """How the bundled generator ``edm-digits`` was trained; see docs/generators/edm-digits.md."""
    return TrainingSpec(
        name="edm-digits",
        dataset=DigitsDataset(split_seed=0),
        training=EdmTraining(
            network=DdpmppNetwork(
                channels=32,
                channel_mult=(1, 1),
                blocks=2,
                attention_resolutions=(4,),
                dropout=0.1,
            ),
            images=1_000_000,
            batch_size=128,
            learning_rate=1e-3,
            warmup_images=20_000,
            ema_half_life_images=50_000,
            log_sigma_mean=-0.8,
            sigma_data=0.75,
            seed=0,
        ),
    )


def digits_study() -> ExperimentSpec:
    """The demo: how well ``edm-digits`` replicates the digits it was trained on."""
    return ExperimentSpec(
        name="digits",
        dataset=DigitsDataset(split_seed=0),
        generator=BundledGenerator(name="edm-digits"),
        sampler=HeunSampler(steps=18),
        t_re=(0, 3, 6, 9, 12, 15, 18),
        classifier=CifarResNet18(
            width=8, epochs=12, batch_size=64, learning_rate=0.1, shift_pixels=1
        ),
        classifier_seeds=(0, 1, 2),
        measures=ALL_MEASURES,
    )
