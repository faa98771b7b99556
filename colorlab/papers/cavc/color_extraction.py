"""How the network represents the reference: 50 tokens and a histogram (CAVC §3.1.2, §6.2, §6.3).

Every extractor takes RGB in [0, 1] (B, 3, h, w) of any size and returns tokens (B, 1 + n * n, width): token 0
stands for the whole picture, the others for its n x n patches, row by row. Two are ImageNet networks, frozen:
`VisionTransformer` is the paper's, `VGG` the one it is compared with in Table 4. `Patches` needs no download
and is trained with the rest.

ImageNet networks are built with random weights; `pretrained` is False until `load_pretrained` has succeeded.
Random layers do pass on some colour, but not what the paper means by colour features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorlab.color import rgb_to_lab
from colorlab.files.errors import InputError
from colorlab.modules.resizing import resized

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 224  # the ImageNet networks' own input size; torchvision's ViT refuses any other


class ImageNetExtractor(nn.Module):
    """Base class of the frozen extractors: ImageNet's input size and statistics, and loading of weights."""

    frozen = True

    def __init__(self, builder: str, weights_name: str, seed: int):
        """builder, weights_name: torchvision's names of the network and of its weights; seed: of the random
        start."""
        super().__init__()
        import torchvision  # imported late, so that colorlab works where torchvision does not

        self.pretrained = False
        self.weights_name = weights_name
        # the same random features in every run, without advancing the caller's generator
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = torchvision.models.get_model(builder, weights=None)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def load_pretrained(self) -> None:
        """Fetch torchvision's ImageNet weights (cached for later runs). Raises InputError if they are
        unavailable."""
        import torchvision

        weights = torchvision.models.get_weight(self.weights_name)
        try:
            state = weights.get_state_dict(check_hash=True)
        except (OSError, RuntimeError) as error:  # no network; a damaged download
            raise InputError(f"the ImageNet weights {self.weights_name} are not available ({error}); put the "
                             f"file of {weights.url} into {torch.hub.get_dir()}/checkpoints, or load with "
                             "extractor='patches', which needs none") from error
        used = self.network.state_dict().keys()
        self.network.load_state_dict({name: value for name, value in state.items() if name in used})
        self.pretrained = True

    def normalized(self, rgb: Tensor) -> Tensor:
        """(B, 3, h, w) in [0, 1] -> (B, 3, 224, 224), the whole picture, in ImageNet's mean and deviation."""
        return (resized(rgb, (SIDE, SIDE)) - self.mean) / self.std


class VisionTransformer(ImageNetExtractor):
    """color_features in R^(50 x 768): the output of ViT-B/32's encoder, class token first (§3.1.2)."""

    width = 768

    def __init__(self, seed: int = 0):
        super().__init__("vit_b_32", "ViT_B_32_Weights.IMAGENET1K_V1", seed)
        self.network.heads = nn.Identity()  # the classifier is not used

    def forward(self, rgb: Tensor) -> Tensor:
        patches = self.network.conv_proj(self.normalized(rgb)).flatten(2).mT  # (B, 49, 768)
        first = self.network.class_token.expand(len(rgb), -1, -1)
        return self.network.encoder(torch.cat((first, patches), dim=1))  # (B, 50, 768), final norm included


class VGG(ImageNetExtractor):
    """The extractor tried first (§6.2, Table 4): VGG-19's last feature map, and its mean as token 0."""

    width = 512

    def __init__(self, seed: int = 0):
        super().__init__("vgg19", "VGG19_Weights.IMAGENET1K_V1", seed)
        self.network.classifier = nn.Identity()

    def forward(self, rgb: Tensor) -> Tensor:
        patches = self.network.features(self.normalized(rgb)).flatten(2).mT     # (B, 49, 512)
        return torch.cat((patches.mean(1, keepdim=True), patches), dim=1)       # (B, 50, 512)


class Patches(nn.Module):
    """A learned view of the same 7 x 7 patches, for laptops: each token is a linear map of 4 x 4 mean
    colours.

    This is a ViT's first layer without the ViT behind it. Its tokens cannot encode *what* is in a patch, but
    no download is needed, and the colour layout is available from the first step of training: the cells are
    Lab, with a and b as large as L, because in RGB colour is a small difference of large numbers, and the
    network would learn to use the histogram alone.
    """

    width = 64
    frozen, pretrained = False, False
    grid, cells = 7, 4

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, self.width, kernel_size=self.cells, stride=self.cells)
        nn.init.orthogonal_(self.embed.weight)  # no colour is lost: 48 numbers into 64 features
        # a constant part; without it the norm in `Fusion` would make all colours equally strong
        nn.init.normal_(self.embed.bias)

    def load_pretrained(self) -> None:
        raise InputError("extractor='patches' is trained with the network and has no ImageNet weights; "
                         "load with weights='none', or take extractor='vit'")

    def forward(self, rgb: Tensor) -> Tensor:
        cells = rgb_to_lab(F.adaptive_avg_pool2d(rgb, self.grid * self.cells))  # (B, 3, 28, 28)
        cells = torch.cat((cells[:, :1] / 50 - 1, cells[:, 1:] / 25), dim=1).to(rgb)
        patches = self.embed(cells).flatten(2).mT                               # (B, 49, 64)
        return torch.cat((patches.mean(1, keepdim=True), patches), dim=1)       # (B, 50, 64)


def color_histogram(rgb: Tensor, bins: int = 256) -> Tensor:
    """How often each level occurs in each channel: CDC's P_c, the marginal histograms of the 8-bit picture
    (§4.2.2).

    rgb: (B, 3, H, W) in [0, 1]. Returns (B, 3, bins), each row summing to 1. Counts integers, which is exact
    and identical on every device and in every run; it has no gradient and needs none, since the reference is
    given and not learned.
    """
    B, channels = rgb.shape[:2]
    # (B, 3, H, W): 256 levels into bins
    levels = rgb.detach().float().clamp(0, 1).mul(255).round().int() * bins >> 8
    rows = torch.arange(B * channels, device=rgb.device).view(B, channels, 1, 1) * bins
    places = (levels + rows).flatten().long()
    ones = torch.ones_like(places, dtype=torch.int32)  # not bincount: it would make the host wait for a GPU
    counts = ones.new_zeros(B * channels * bins).scatter_add_(0, places, ones).view(B, channels, bins).float()
    return counts / counts.sum(-1, keepdim=True)


def histogram_features(rgb: Tensor, bins: int = 256) -> Tensor:
    """The histogram scaled as network input: (B, 3 * bins), all ones for a flat histogram.

    rgb: (B, 3, H, W) in [0, 1], resized to 256 x 256 so that all references count equally. The square root
    boosts rare colours.
    """
    return (color_histogram(resized(rgb, (256, 256)), bins) * bins).sqrt().flatten(1)
