"""EDM preconditioning: Karras et al. (2022), arXiv:2206.00364, section 5 and table 1."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Images = Float[Tensor, "batch channel height width"]
ClassVectors = Float[Tensor, "batch class"]


class EdmPreconditioning(nn.Module):
    """The denoiser ``D(x; sigma, class)`` around a raw network ``F``, eq. 7.

    ``D = c_skip x + c_out F(c_in x; c_noise, class)``: inputs and targets of ``F`` have unit
    variance at every noise level.

    Attributes:
        model: The raw network.
        sigma_data: Standard deviation of the data, images in [-1, 1].
    """

    def __init__(self, model: nn.Module, *, sigma_data: float) -> None:
        super().__init__()
        self.model = model
        self.sigma_data = sigma_data

    def forward(
        self,
        noisy: Images,
        sigma: Float[Tensor, " batch"],
        class_vectors: ClassVectors,
        augment_labels: Float[Tensor, "batch label"] | None = None,
    ) -> Images:
        """Expected clean images given ``noisy``, which carry noise of std ``sigma``, float32."""
        level = sigma[:, None, None, None]
        total_variance = level**2 + self.sigma_data**2
        c_skip = self.sigma_data**2 / total_variance
        c_out = level * self.sigma_data / total_variance.sqrt()
        c_in = 1 / total_variance.sqrt()
        c_noise = sigma.log() / 4
        raw = self.model(c_in * noisy, c_noise, class_vectors, augment_labels)
        denoised: Images = c_skip * noisy + c_out * raw
        return denoised


class ClassDenoiser:
    """A preconditioned network bound to the classes of one batch, for a sampler to call."""

    def __init__(self, network: EdmPreconditioning, class_vectors: ClassVectors) -> None:
        self._network = network
        self._class_vectors = class_vectors

    @torch.no_grad()
    def __call__(self, noisy: Images, sigma: float) -> Images:
        """Denoise in float32, whatever the sampler's own precision."""
        levels = torch.full((len(noisy),), sigma, dtype=torch.float32, device=noisy.device)
        denoised: Tensor = self._network(noisy.to(torch.float32), levels, self._class_vectors)
        return denoised.to(noisy.dtype)


def loss_weight(sigma: Float[Tensor, " batch"], sigma_data: float) -> Float[Tensor, " batch"]:
    """Weight that gives every noise level the same expected loss at the start: 1 / c_out^2."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def log_normal_levels(
    count: int, *, mean: float, std: float, generator: torch.Generator
) -> Float[Tensor, " batch"]:
    """Noise levels whose logarithm is normal, section 5: where training is worth its effort."""
    normal = torch.randn(count, generator=generator, device=generator.device)
    return (normal * std + mean).exp()
