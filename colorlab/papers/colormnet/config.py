"""ColorMNet's sizes and the settings that experiments vary."""

from __future__ import annotations

from dataclasses import dataclass

from colorlab.papers.colormnet.memory import MemoryConfig


@dataclass(frozen=True)
class ColorMNetConfig:
    """Defaults: the network of the released checkpoint under the settings of the released test script."""

    # Memory (§3.2, §4.1)
    top_k: int | None = 30    # entries read per pixel; None: all
    temperature: float = 1.0  # divides similarities before the softmax over them
    mem_every: int = 5        # γ: store one frame in this many (Eq. 4)
    max_mid_frames: int = 10  # N_s: compress at this many stored frames, the exemplars counting as one
    min_mid_frames: int = 5   # N_s - N_e: frames left then
    prototypes: int = 128     # M: entries that the compressed frames become
    max_long: int = 10_000    # entries of long-term memory before the least used are evicted
    long_term: bool = True    # False: nothing is compressed and the memory grows with the film
    # -1: the value encoder renews the hidden state at every stored frame; d: d frames apart
    deep_update_every: int = -1

    # The paper's Table 2: names of modules to exchange
    features: str = "pvgfe"       # or "resnet50", "dinov2", "concatenation"
    propagation: str = "memory"   # or "stacking", "recurrent"
    local_attention: bool = True
    window: int = 15              # λ: side of the window of local attention

    # Sizes
    backbones: str = "pretrained"  # ResNet-50, ResNet-18 and DINOv2 ViT-S/14; our own: "small"
    channels: tuple[int, int, int] = (1024, 512, 256)  # of the frame's features, coarse to fine
    decoder: tuple[int, int, int] = (512, 256, 256)    # of the decoder, coarse to fine
    hidden_inner: int = 256  # width in which the decoder's three scales meet for the hidden state
    key: int = 64
    value: int = 512
    hidden: int = 64
    guide: tuple[int, int] = (384, 12)                 # width and depth of the transformer
    value_trunk: int = 256                             # channels of the value encoder's CNN

    # or "bfloat16", "float16": autocast around the network; memory is searched in float32 always
    precision: str = "float32"

    @classmethod
    def paper(cls) -> ColorMNetConfig:
        return cls()

    @classmethod
    def tiny(cls) -> ColorMNetConfig:
        """For tests: a memory so small that a short clip fills it."""
        return cls(top_k=8, mem_every=2, max_mid_frames=3, min_mid_frames=2, prototypes=8, max_long=24,
                   window=5, backbones="small", channels=(16, 8, 8), decoder=(16, 8, 8), hidden_inner=8,
                   key=8, value=8, hidden=4, guide=(32, 2), value_trunk=8)

    @property
    def memory(self) -> MemoryConfig:
        """The memory's part of the config. Stacking is a memory that holds every frame and reads all
        entries."""
        if self.propagation == "stacking":
            return MemoryConfig(top_k=None, long_term=False, temperature=self.temperature)
        return MemoryConfig(self.top_k, self.max_mid_frames, self.min_mid_frames, self.prototypes,
                            self.max_long, self.long_term, self.temperature)

    @property
    def write_every(self) -> int:
        """Interval between stored frames: stacking and recurrence store every frame."""
        return self.mem_every if self.propagation == "memory" else 1
