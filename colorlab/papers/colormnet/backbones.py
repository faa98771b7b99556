"""The pretrained networks that ColorMNet builds on, from torchvision and timm, and small replacements.

A CNN returns taps at three scales, coarsest first; the guide returns one map on the coarsest grid.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.files.errors import InputError

from colorlab.papers.colormnet.blocks import ChannelNorm, ResidualBlock


class Taps(NamedTuple):
    coarse: Tensor  # (B, C0, h, w)
    middle: Tensor  # (B, C1, 2h, 2w)
    fine: Tensor    # (B, C2, 4h, 4w)


class ResNet50(nn.Module):
    """torchvision's ResNet-50 up to its third stage: 1024, 512 and 256 channels at strides 16, 8 and 4."""

    channels, stride = (1024, 512, 256), 16

    def __init__(self):
        super().__init__()
        from torchvision.models import resnet50  # imported lazily, like torchvision everywhere in the package
        _take(self, resnet50(weights=None), "conv1", "bn1", "layer1", "layer2", "layer3")

    def forward(self, x: Tensor) -> Taps:
        """x: (B, 3, H, W) in [-1, 1]; H and W multiples of 16."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        fine = self.layer1(x)
        middle = self.layer2(fine)
        return Taps(self.layer3(middle), middle, fine)


class ResNet18(nn.Module):
    """torchvision's ResNet-18 up to its third stage, on the 5 channels of the value encoder: 256 channels at
    stride 16."""

    channels, stride = 256, 16

    def __init__(self):
        super().__init__()
        from torchvision.models import resnet18
        _take(self, resnet18(weights=None), "conv1", "bn1", "layer1", "layer2", "layer3")
        self.conv1 = nn.Conv2d(5, 64, 7, stride=2, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 5, H, W) -> (B, 256, H/16, W/16)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        return self.layer3(self.layer2(self.layer1(x)))


class SmallCNN(nn.Module):
    """A few residual blocks for the course: taps at strides 4, 2 and 1, so that matching uses a fine grid."""

    stride = 4

    def __init__(self, channels: tuple[int, int, int]):
        super().__init__()
        self.channels = coarse, middle, fine = channels
        self.stem = nn.Conv2d(3, fine, 3, padding=1)
        self.fine = ResidualBlock(fine, fine)
        self.to_middle = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.middle = nn.Sequential(ResidualBlock(middle, middle), ChannelNorm(middle))
        self.to_coarse = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(
            ResidualBlock(coarse, coarse), ResidualBlock(coarse, coarse), ChannelNorm(coarse)
        )

    def forward(self, x: Tensor) -> Taps:
        """x: (B, 3, H, W) in [-1, 1]; H and W multiples of 4."""
        fine = self.fine(self.stem(x))
        middle = self.middle(self.to_middle(fine))
        return Taps(self.coarse(self.to_coarse(middle)), middle, fine)


class SmallValueCNN(nn.Module):
    """(B, 5, H, W) -> (B, C, H/4, W/4): two strided convolutions and a residual block."""

    stride = 4

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.conv1 = nn.Conv2d(5, channels // 2, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1)
        self.block = ResidualBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.conv2(F.relu(self.conv1(x))))


class Guide(nn.Module):
    """DINOv2's ViT-S/14, its last four blocks concatenated, on the grid of the CNN (§3.1: G).

    `project` and `norm` follow the transformer. In the authors' training this whole branch runs without
    gradient, so the two keep their random initialisation; the released file therefore has to contain them,
    and does.
    """

    def __init__(self, transformer: nn.Module, width: int, stride: int, blocks: int = 4, frozen: bool = True):
        super().__init__()
        # timm's VisionTransformer, with a class token and a table of positions
        self.transformer = transformer
        # in the released file; nothing reads it
        self.mask_token = nn.Parameter(torch.zeros(1, transformer.embed_dim))
        self.project = nn.Conv2d(blocks * transformer.embed_dim, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.width, self.stride, self.blocks, self.frozen = width, stride, blocks, frozen
        self.patch = transformer.patch_embed.patch_size[0]
        if frozen:
            self.requires_grad_(False)

    def position(self, height: int, width: int) -> Tensor:
        """(1, 1 + grid, C): the class token's position, then those of the patches of a height x width image.

        The table is resized by (grid + 0.1) / side, DINOv2's guard against rounding, and the 0.1 matters: it
        affects the sampling coordinates, not only the size.
        """
        table = self.transformer.pos_embed
        side = int((table.shape[1] - 1) ** 0.5)
        grid = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        scale = ((height // self.patch + 0.1) / side, (width // self.patch + 0.1) / side)
        grid = F.interpolate(grid.float(), scale_factor=scale, mode="bicubic")
        assert grid.shape[-2:] == (height // self.patch, width // self.patch)
        return torch.cat((table[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2).to(table.dtype)), dim=1)

    def forward(self, image: Tensor, position: Tensor | None = None) -> Tensor:
        """image: (B, 3, H, W) in [-1, 1], multiples of the patch and the stride -> (B, width, H/stride,
        W/stride)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            layers = self.layers(image, position)
            prior = F.relu(self.norm(self.project(torch.cat(layers, dim=1))))
            return F.interpolate(prior, size=(image.shape[-2] // self.stride, image.shape[-1] // self.stride),
                                 mode="bilinear")

    def layers(self, image: Tensor, position: Tensor | None = None) -> list[Tensor]:
        """The last blocks' tokens, each through the final norm, as maps (B, C, H/patch, W/patch)."""
        if position is None:
            position = self.position(*image.shape[-2:])
        patches = self.transformer.patch_embed.proj(image)
        grid = patches.shape[-2:]
        tokens = patches.permute(0, 2, 3, 1).flatten(1, 2)                       # (B, N, C)
        tokens = torch.cat((self.transformer.cls_token.expand(len(tokens), -1, -1), tokens), dim=1) + position
        layers = []
        for i, block in enumerate(self.transformer.blocks):
            tokens = block(tokens)
            if i >= len(self.transformer.blocks) - self.blocks:
                layers.append(self.transformer.norm(tokens)[:, 1:].unflatten(1, grid).permute(0, 3, 1, 2))
        return layers


def dinov2_guide() -> Guide:
    """The paper's guide: 384 wide, 12 blocks, patches of 14, a table of 37 x 37 positions."""
    import timm  # lazily: timm imports torchvision
    transformer = timm.create_model("vit_small_patch14_dinov2", pretrained=False, num_classes=0)
    return Guide(transformer, width=4 * 384, stride=16)


def small_guide(width: int, depth: int, stride: int, patch: int = 16) -> Guide:
    """A transformer of the same kind, trained from scratch with the rest of the network."""
    from timm.models.vision_transformer import VisionTransformer

    transformer = VisionTransformer(
        img_size=14 * patch,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=width // 32,
        num_classes=0,
        init_values=1.0,
    )
    return Guide(transformer, width=width, stride=stride, blocks=min(4, depth), frozen=False)


def load_pretrained(cnn: nn.Module | None, guide: Guide | None, value_cnn: nn.Module) -> None:
    """ImageNet weights (torchvision, V1) for both ResNets and DINOv2's for the guide, as in the authors'
    training.

    The value encoder's two extra input channels start orthogonal. Raises InputError if the network has no
    such backbones or the weights can neither be found nor fetched.
    """
    if not isinstance(value_cnn, ResNet18):
        raise InputError("weights='imagenet' are for preset='paper'; the course's small backbones have no "
                         "pretrained weights")
    from torchvision.models import ResNet18_Weights, ResNet50_Weights
    try:
        if cnn is not None:
            _fill(cnn, ResNet50_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True))
        trunk = ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
        if guide is not None:
            import timm
            pretrained = timm.create_model("vit_small_patch14_dinov2", pretrained=True, num_classes=0)
            guide.transformer.load_state_dict(pretrained.state_dict())
    # no connection or no such file: what urllib, the hub and timm raise
    except (OSError, RuntimeError) as error:
        raise InputError(
            "the backbones' weights could not be fetched from torchvision and timm "
            f"({type(error).__name__}); use weights='none', or run once where there is a network") from error
    extra = nn.init.orthogonal_(torch.empty(64, 2, 7, 7))
    _fill(value_cnn, trunk | {"conv1.weight": torch.cat((trunk["conv1.weight"], extra), dim=1)})


def _fill(module: nn.Module, state: dict[str, Tensor]) -> None:
    wanted = module.state_dict()
    module.load_state_dict({name: value for name, value in state.items() if name in wanted})


def _take(module: nn.Module, source: nn.Module, *names: str) -> None:
    for name in names:
        setattr(module, name, getattr(source, name))
