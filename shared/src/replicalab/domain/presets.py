"""Specifications that ship with ReplicaLab: the demo, and the study of the papers.

The papers: Yamaguchi & Fukuda (2023), arXiv:2311.13090; Yamaguchi (2024), PMLR 260:335-350, whose
protocol and numbers these presets follow.
"""

from replicalab.domain.classifiers import CifarResNet18, PaperResNet18
from replicalab.domain.datasets import Cifar10Dataset, Cifar100Dataset, DatasetSpec, DigitsDataset
from replicalab.domain.generators import (
    BundledGenerator,
    EdmTraining,
    GeneratorSpec,
    ImportedGenerator,
    TrainedGenerator,
)
from replicalab.domain.measures import (
    DEFAULT_MEASURES,
    FrechetMeasure,
    GradCamMeasure,
    PrecisionRecallMeasure,
    RealClassifierMeasure,
)
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.samplers import HeunSampler
from replicalab.domain.specs import ExperimentSpec, TrainingSpec


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
        measures=DEFAULT_MEASURES,
    )


PUBLISHED_CIFAR10 = ImportedGenerator(name="edm-cifar10-32x32-cond-vp")
"""EDM's class-conditional CIFAR-10 model, once it was imported under the name of its file."""

EDM_CIFAR_TRAINING = EdmTraining(
    network=DdpmppNetwork(), images=200_000_000, augment_probability=0.12
)
"""How Karras et al. (2022), table 7, trained their CIFAR-10 model, as far as a recipe can say."""

TRAINED_AS_EDM = TrainedGenerator(training=EDM_CIFAR_TRAINING)

PAPER_SAMPLER = HeunSampler(steps=100)
PAPER_T_RE = (0, 30, 50, 70, 100)
PAPER_QUALITY_T_RE = (0, 20, 30, 40, 50, 60, 70, 80, 100)

PAPER_CLASSIFIER = PaperResNet18(
    epochs=100, learning_rate=0.01, batch_size=64, momentum=0.9, weight_decay=1e-4, pretrained=True
)
"""What the paper says of its classifier, and our choices where it is silent.

Said: ResNet-18, 100 epochs, SGD at 0.01, divided by ten every 30 epochs, batch 64. Chosen: 224 px,
which its 7 x 7 Grad-CAM maps imply; ImageNet initialisation, which its accuracies suggest; momentum
0.9, weight decay 1e-4 and no augmentation, which it does not mention.
"""


PAPER_MEASURES = (
    *(
        RealClassifierMeasure(held_out=True) if isinstance(each, RealClassifierMeasure) else each
        for each in DEFAULT_MEASURES
    ),
    GradCamMeasure(),
)
"""The usual ones, entropies of reconstructed test images and heat maps, as the paper has them."""


def paper_cifar10(generator: GeneratorSpec = PUBLISHED_CIFAR10) -> ExperimentSpec:
    """CIFAR-10 as in the paper (T = 100): classifiers, entropy, PCA and Grad-CAM.

    Chosen where the paper is silent: three seeds; k = 3 for precision and recall, as in the code it
    cites; t_re = 100 starts from pure noise. Features are the real-trained classifier's, where the
    paper's are ImageNet's: compare the shapes of curves, not values.
    """
    return _paper_study("paper, CIFAR-10", Cifar10Dataset(), generator)


def paper_cifar10_quality(generator: GeneratorSpec = PUBLISHED_CIFAR10) -> ExperimentSpec:
    """CIFAR-10 as in the paper (T = 100): sample quality at its nine t_re, no classifiers.

    The paper measures quality at more levels than it trains classifiers at. Reconstructions are
    shared with ``paper-cifar10``, whose choices hold here too.
    """
    return ExperimentSpec(
        name="paper, CIFAR-10, sample quality",
        dataset=Cifar10Dataset(),
        generator=generator,
        sampler=PAPER_SAMPLER,
        t_re=PAPER_QUALITY_T_RE,
        start="noise",
        classifier=PAPER_CLASSIFIER,
        classifier_seeds=(0,),
        measures=(
            FrechetMeasure(),
            PrecisionRecallMeasure(),
            RealClassifierMeasure(held_out=True),
        ),
    )


def paper_cifar100(
    generator: GeneratorSpec = TRAINED_AS_EDM,
) -> ExperimentSpec:
    """CIFAR-100 as in the paper (T = 100), with a generator that the study trains first.

    No EDM of CIFAR-100 was published, so it is trained by the recipe for CIFAR-10: days on several
    GPUs. Give another generator to skip that. Other choices are those of ``paper-cifar10``.
    """
    return _paper_study("paper, CIFAR-100", Cifar100Dataset(), generator)


def _paper_study(name: str, dataset: DatasetSpec, generator: GeneratorSpec) -> ExperimentSpec:
    return ExperimentSpec(
        name=name,
        dataset=dataset,
        generator=generator,
        sampler=PAPER_SAMPLER,
        t_re=PAPER_T_RE,
        start="noise",
        classifier=PAPER_CLASSIFIER,
        classifier_seeds=(0, 1, 2),
        measures=PAPER_MEASURES,
    )


def fast_cifar10(generator: GeneratorSpec = PUBLISHED_CIFAR10) -> ExperimentSpec:
    """CIFAR-10 at a fifth of the cost: N = 18 from the paper's sigmas, small-image classifiers.

    t_re 6, 9, 13 and 18 of 18 are the steps of this ladder next to the paper's 30, 50, 70 and 100
    of 100. The classifier learns at 32 px from scratch: compare its losses between sets, and no
    value with the paper's.
    """
    return ExperimentSpec(
        name="fast, CIFAR-10",
        dataset=Cifar10Dataset(),
        generator=generator,
        sampler=HeunSampler(steps=18),
        t_re=(0, 6, 9, 13, 18),
        start="noise",
        classifier=CifarResNet18(shift_pixels=4, flip=True),
        classifier_seeds=(0, 1, 2),
        measures=DEFAULT_MEASURES,
    )
