"""The networks used by metrics, and the files of their weights.

Every file is in torch's download cache: $TORCH_HOME/hub/checkpoints (~/.cache/torch/hub/checkpoints). Nothing
is downloaded unless requested; without its file a metric says what it needs and where to put it. The
libraries are imported only after that check, because importing torchmetrics and torchvision takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.files.errors import InputError


class NetworkFile(NamedTuple):
    name: str
    address: str
    megabytes: int
    of: str  # what network it holds

    @property
    def path(self) -> Path:
        return Path(torch.hub.get_dir(), "checkpoints", self.name)


FILES = {
    "inception": NetworkFile("weights-inception-2015-12-05-6726825d.pth",
                             "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/", 91,
                             "the Inception v3 that FID is defined on"),
    "inception_torchvision": NetworkFile("inception_v3_google-0cc3c7bd.pth",
                                         "https://download.pytorch.org/models/", 104,
                                         "torchvision's Inception v3"),
    "alex": NetworkFile("alexnet-owt-7be5be79.pth", "https://download.pytorch.org/models/", 233, "AlexNet"),
    "vgg": NetworkFile("vgg16-397923af.pth", "https://download.pytorch.org/models/", 528, "VGG-16"),
    "i3d": NetworkFile("i3d_pretrained_400.pt", "https://github.com/songweige/TATS/raw/main/tats/fvd/", 50,
                       "I3D trained on Kinetics-400"),
}


def network_file(key: str, download: bool = False) -> Path:
    """The path of a network's weights; fetches them once if `download`. InputError says what to get and where
    to put it."""
    file = FILES[key]
    if file.path.is_file():
        return file.path
    failed = ""
    if download:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(file.address + file.name, str(file.path), progress=False)
            return file.path
        except OSError as error:  # no connection, no such address, no disk space
            failed = f" ({error})"
    raise InputError(f"needs {file.of}: get {file.address}{file.name} ({file.megabytes} MB) and put it "
                     f"at {file.path}{failed}")


def load_tensors(path: Path) -> dict[str, Tensor]:
    """A state dict from a file that may hold tensors only; InputError for anything else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises five unrelated exception types for a wrong file
        raise InputError(
            f"{path} does not hold a network's weights: {str(error).splitlines()[0]}; get it again"
        ) from error
    return state


class InceptionFeatures(nn.Module):
    """FID's features: the 2048 numbers after the average pooling of the Inception v3 of 2015
    (torch-fidelity's port).

    antialias: False resizes to 299 x 299 as TensorFlow 1 did, as the original FID, pytorch-fid and
    torch-fidelity do; True as torchmetrics does by default, which gives a different number on film frames.
    dimension: 2048, or an earlier layer's 64, 192 or 768.
    """

    def __init__(self, antialias: bool = False, dimension: int = 2048, download: bool = False):
        super().__init__()
        path = network_file("inception", download)
        load_tensors(path)  # the library unpickles any file: check it first
        from torchmetrics.image.fid import NoTrainInceptionV3

        self.dimension = dimension
        self.network = NoTrainInceptionV3("inception-v3-compat", [str(dimension)], str(path), antialias)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> (N, D)."""
        return self.network(frames)


class NTIREInceptionFeatures(nn.Module):
    """The features of the NTIRE 2023 scorer, also used in ColorMNet's, DDColor's and TCAVC's FID code; not
    FID's.

    torchvision's ImageNet Inception v3 instead of FID's, and an input that is normalised once too often.
    """

    dimension = 2048

    def __init__(self, download: bool = False):
        super().__init__()
        state = load_tensors(network_file("inception_torchvision", download))
        from torchvision.models import inception_v3

        self.network = inception_v3(weights=None, transform_input=False, init_weights=False)
        self.network.load_state_dict(state)
        self.network.fc = nn.Identity()
        self.eval()

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) uint8 -> (N, 2048)."""
        return self.network(ntire_input(frames))


def ntire_input(frames: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 -> (N, 3, 299, 299): what the NTIRE scorer feeds to its first layer.

    Its network re-normalises input that it assumes to be ImageNet-normalised, but that is in [0, 1]: the
    result covers a third of the range.
    """
    small = F.interpolate(frames.float() / 255, (299, 299), mode="bilinear", align_corners=False)
    scale = small.new_tensor((0.458, 0.448, 0.450)).view(3, 1, 1)
    shift = small.new_tensor((-0.030, -0.088, -0.188)).view(3, 1, 1)
    return small * scale + shift


class PerceptualDistance(nn.Module):
    """LPIPS (Zhang et al. 2018) with trained heads on AlexNet or VGG-16, as torchmetrics has it.

    net: "alex" or "vgg"; the two are different metrics. fed: the range that the network is *given*. LPIPS is
    defined on [-1, 1]; "0 to 1" (LSTVC's group) and "0 to 255" (ColorMNet's script) are what published code
    feeds instead, without an error.
    """

    FED = {"-1 to 1": lambda x: x / 127.5 - 1, "0 to 1": lambda x: x / 255, "0 to 255": lambda x: x}

    def __init__(self, net: str = "alex", fed: str = "-1 to 1", download: bool = False):
        super().__init__()
        load_tensors(network_file(net, download))
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        self.distance = LearnedPerceptualImagePatchSimilarity(net_type=net, normalize=False)
        self.scale = self.FED[fed]

    def forward(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(1, 3, H, W) uint8 twice -> the distance of the two frames, a number from 0 to about 1."""
        if min(truth.shape[-2:]) < 64:
            raise InputError(f"LPIPS needs frames of at least 64 x 64 pixels, these are {truth.shape[-1]} x "
                             f"{truth.shape[-2]}")
        self.distance.reset()
        return self.distance(self.scale(predicted.float()), self.scale(truth.float()))
