"""The released checkpoint's 667 names and ours."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from colorlab.files.checkpoints import rename

_FUSION = (
    ("encode_enc", "guide"),
    ("norm1", "norm_guide"),
    ("norm2", "norm_local"),
    ("norm3", "norm_out"),
    ("crossattn.temperature", "attention.temperature"),
    ("crossattn.to_q", "attention.query"),
    ("crossattn.to_q_dw", "attention.query_local"),
    ("crossattn.to_k", "attention.key"),
    ("crossattn.to_k_dw", "attention.key_local"),
    ("crossattn.to_v", "attention.value"),
    ("crossattn.to_v_dw", "attention.value_local"),
    ("crossattn.to_out.0", "attention.out"),
)
_GATES = (
    ("ChannelGate.mlp.1", "channel_gate.reduce"),
    ("ChannelGate.mlp.3", "channel_gate.expand"),
    ("SpatialGate.spatial.conv", "spatial_gate.conv"),
)

NAMES: tuple[tuple[str, str], ...] = (
    ("key_encoder.conv1", "features.cnn.conv1"),
    ("key_encoder.bn1", "features.cnn.bn1"),
    ("key_encoder.res2", "features.cnn.layer1"),
    ("key_encoder.layer2", "features.cnn.layer2"),
    ("key_encoder.layer3", "features.cnn.layer3"),
    ("key_encoder.network2.backbone", "features.guide.transformer"),
    ("key_encoder.network2.backbone.mask_token", "features.guide.mask_token"),
    ("key_encoder.network2.conv3", "features.guide.project"),
    ("key_encoder.network2.bn3", "features.guide.norm"),
    *((f"key_encoder.{theirs}.{old}", f"features.{ours}.{new}")
      for theirs, ours in (("fuse1", "coarse"), ("fuse2", "middle"), ("fuse3", "fine"))
      for old, new in _FUSION),
    ("key_proj.key_proj", "key_heads.key"),
    ("key_proj.d_proj", "key_heads.shrinkage"),
    ("key_proj.e_proj", "key_heads.selection"),
    *((f"value_encoder.{name}", f"value_encoder.cnn.{name}")
      for name in ("conv1", "bn1", "layer1", "layer2", "layer3")),
    ("value_encoder.hidden_reinforce", "value_encoder.deep_update"),
    *((f"{part}.fuser.attention.{old}", f"{part}.fuser.attention.{new}")
      for part in ("value_encoder", "decoder")
      for old, new in _GATES),
    ("short_term_attn.relative_emb_k", "local_attention.relative"),
    ("short_term_attn.dw_conv.conv", "local_attention.spread"),
    ("short_term_attn.projection", "local_attention.project"),
    ("decoder.up_16_8.skip_conv", "decoder.up_middle.skip"),
    ("decoder.up_16_8.out_conv", "decoder.up_middle.block"),
    ("decoder.up_8_4.skip_conv", "decoder.up_fine.skip"),
    ("decoder.up_8_4.out_conv", "decoder.up_fine.block"),
    ("decoder.pred", "decoder.predict"),
    ("decoder.hidden_update.g16_conv", "decoder.hidden_update.from_coarse"),
    ("decoder.hidden_update.g8_conv", "decoder.hidden_update.from_middle"),
    ("decoder.hidden_update.g4_conv", "decoder.hidden_update.from_fine"),
)  # all other names, fuser.block1 and the like, are the same on both sides

UNUSED: tuple[str, ...] = ()


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A released state dict under our names. A value encoder for one object, of 4 input channels, gets a
    fifth of zeros."""
    ours = rename(state, NAMES, UNUSED)
    first = ours.get("value_encoder.cnn.conv1.weight")
    if first is not None and first.shape[1] == 4:
        ours["value_encoder.cnn.conv1.weight"] = torch.cat((first, torch.zeros_like(first[:, :1])), dim=1)
    return ours
