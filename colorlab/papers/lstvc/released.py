"""Names in the files that the authors publish, and ours.

The network is stored in two files, as the paper's repository saves them: the encoder's holds `model`
(backbone, encoder) and `inter_save` (the linkage's second half), the decoder's `model` (warper, colour
subnet). `flatten` turns either into the flat names of the table below, and `NAMES` renames by prefix; the
longest match wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRANSFORMER = (("self_attn", "attention"), ("linear1", "linear1"), ("linear2", "linear2"), ("norm1", "norm1"),
               ("norm2", "norm2"))

# The colour network: released name -> ours. TCAVC's first stage has the same but for the first layer and the
# middle.
WAY_DOWN = (
    ("conv1_2", "conv1_2"), ("conv1_2norm_ss", "shrink1"),
    ("conv2_1", "conv2_1"), ("conv2_2", "conv2_2"), ("conv2_2norm_ss", "shrink2"),
    ("conv3_1", "conv3_1"), ("conv3_2", "conv3_2"), ("conv3_3", "conv3_3"), ("conv3_3norm_ss", "shrink3"),
    ("conv4_1", "conv4_1"), ("conv4_2", "conv4_2"), ("conv4_3", "conv4_3"),
)
MIDDLE = tuple((f"conv{layer}_{k}", f"{layer - 5}.branch.conv{k}") for layer in (5, 6, 7) for k in (1, 2, 3))
WAY_UP = (
    ("conv8_1.1", "conv8_1"),
    ("conv3_3_short", "skip_quarter"),
    ("conv8_2", "conv8_2"),
    ("conv8_3", "conv8_3"),
    ("conv9_1.1", "conv9_1"),
    ("conv2_2_short", "skip_half"),
    ("conv9_2", "conv9_2"),
    ("conv10_1.1", "conv10_1"),
    ("conv1_2_short", "skip_full"),
    ("conv10_2", "conv10_2"),
    ("conv10_ab", "to_ab"),
)


def under(released: str, ours: str, names: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """A table with a prefix in front of both columns."""
    return tuple((released + theirs, ours + name) for theirs, name in names)


_BLOCK = (
    *under("", "layer.", TRANSFORMER),
    ("conv.1", "branch.conv1"), ("conv.5", "branch.conv2"), ("conv.9", "branch.conv3"),
    ("fuse_cnn2trans.0", "cnn_to_tokens"), ("fuse_trans2cnn.0", "tokens_to_cnn"),
)
_WARPER = (
    ("project_feature1", "fusion.project_quarter"),
    ("project_feature2", "fusion.project_half"),
    ("Conv_up.1", "fusion.enlarge"),
    ("Conv_up.2", "fusion.slope"),
    *((f"fuse_conv1_{k + 1}.conv.{2 * i}", f"fusion.residual.{k}.conv{i + 1}")
      for k in range(3)
      for i in range(2)),
    ("warp_layer.theta", "heads.theta"),
    ("warp_layer.phi", "heads.phi"),
    ("warp_layer.pos_embed", "heads.position"),
)

NAMES: tuple[tuple[str, str], ...] = (
    ("encoder.backbone.0.body", "backbone"),
    ("encoder.transformer.encoder.project2cnn", "project.to_cnn"),
    ("encoder.transformer.encoder.project2trans", "project.to_tokens"),
    *under("encoder.transformer.encoder.interlayer_request.", "linkage.query_layer.", TRANSFORMER),
    *under("inter_save.", "linkage.store_layer.", TRANSFORMER),
    *(pair for k in range(4)
      for pair in under(f"encoder.transformer.encoder.layers.{k}.", f"encoder.blocks.{k}.", _BLOCK)),
    *under("decoder.warper.", "", _WARPER),
    ("decoder.decoder.conv_start", "colorization.down.conv1_1"),
    *under("decoder.decoder.", "colorization.down.", WAY_DOWN),
    *under("decoder.decoder.", "colorization.middle.", MIDDLE),
    *(pair for k in range(3)
      for pair in under(f"decoder.decoder.vc_layer{k}.", f"colorization.middle.{k}.layer.", TRANSFORMER)),
    *((f"decoder.decoder.fuse_cnn2trans{k + 1}", f"colorization.middle.{k}.cnn_to_tokens") for k in range(3)),
    *((f"decoder.decoder.fuse_trans2cnn{k + 1}", f"colorization.middle.{k}.tokens_to_cnn") for k in range(3)),
    *under("decoder.decoder.", "colorization.up.", WAY_UP),
)

# In the files and in the paper's count of 148.21 M parameters, but without effect on the output: the end of
# ResNet-101 and a layer never called.
UNUSED: tuple[str, ...] = (
    *(f"encoder.backbone.0.body.layer3.{block}" for block in range(19, 23)),
    "encoder.backbone.0.body.layer4",
    "encoder.backbone.0.body.fc",
    "decoder.warper.warp_layer.refine_net",
)


def flatten(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """One of the two released files, as loaded -> the flat names of `NAMES`; anything else comes back as it
    is.

    Counters of batches, which older files carry beside the frozen norms, are dropped.
    """
    model = checkpoint.get("model")
    if not isinstance(model, Mapping):
        return checkpoint
    if "inter_save" in checkpoint:
        flat = {f"encoder.{name}": value for name, value in model.items()}
        flat |= {f"inter_save.{name}": value for name, value in checkpoint["inter_save"].items()}
    elif all(name.startswith(("warper.", "decoder.")) for name in model):
        flat = {f"decoder.{name}": value for name, value in model.items()}
    else:
        return checkpoint
    return {name: value for name, value in flat.items() if not name.endswith("num_batches_tracked")}
