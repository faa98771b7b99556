"""The paper's network, filled by rule, against the numbers of an independent run (tolerance 1e-4, seen 1e-5)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden.fill import draw, fill
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from colorlab.papers.colormnet import ColorMNet, ColorMNetConfig
from colorlab.papers.colormnet.features import Features
from colorlab.papers.colormnet.memory import Memory, MemoryConfig, seen
from colorlab.papers.colormnet.readout import read_all, read_top, similarity
from colorlab.papers.colormnet.released import convert

FOLDER = Path(__file__).parents[2] / "golden"


def close(ours: Tensor, golden: Tensor) -> None:
    assert_close(ours, golden, atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "colormnet.safetensors")


@pytest.fixture(scope="module")
def network() -> ColorMNet:
    shapes = json.loads((FOLDER / "colormnet.state_dict.json").read_text())
    with torch.device("meta"):  # spares the initialisation of what is filled anyhow
        network = ColorMNet()
    released = fill({name: tuple(shape) for name, shape in shapes.items()})
    assert sum(float(value.double().sum()) for value in released.values()) == pytest.approx(
        62166.231, abs=1e-2
    )
    network.load_state_dict(convert(released), strict=True, assign=True)
    return network.to(memory_format=torch.channels_last).eval()


def given(name: str, *shape: int) -> Tensor:
    return draw(f"colormnet/{name}", shape)


def lightness(grey: Tensor) -> Tensor:
    """uint8 (..., H, W) as the golden run saw it -> L (..., 1, H, W) in [0, 100]."""
    return (grey.float() / 127.5)[..., None, :, :] * 50


@pytest.fixture(scope="module")
def image(golden: dict[str, Tensor]) -> Tensor:
    return (
        (lightness(golden["image"])[None] / 50 - 1)
        .expand(-1, 3, -1, -1)
        .contiguous(memory_format=torch.channels_last)
    )


def test_the_released_names_fill_every_parameter_of_the_paper(network: ColorMNet):
    assert sum(parameter.numel() for parameter in network.parameters()) == 123_609_281
    assert len(network.state_dict()) == 667


def test_the_transformer_reads_with_its_positions_enlarged_as_dinov2_does(network, golden, image):
    with torch.inference_mode():
        layers = network.features.guide.layers(image)
        prior = network.features.guide(image, network.features.position(112, 224))
    for number, layer in zip((8, 9, 10, 11), layers):
        close(layer[:, ::16], golden[f"vit/block{number}"])
    close(prior[:, ::16], golden["vit/prior"])


def test_the_features_and_the_key_of_a_frame(network, golden, image):
    with torch.inference_mode():
        taps = network.features.cnn(image)
        features = network.features(image)
        query = network.key_heads(features.coarse)
    close(taps.coarse[:, ::16], golden["resnet/stride16"])
    close(taps.middle[:, ::32], golden["resnet/stride8"])
    close(taps.fine[:, ::32], golden["resnet/stride4"])
    close(features.coarse[:, ::16], golden["pvgfe/f16"])
    close(features.middle[:, ::16], golden["pvgfe/f8"])
    close(features.fine[:, ::32], golden["pvgfe/f4"])
    for part in ("key", "shrinkage", "selection"):
        close(getattr(query, part), golden[part])


def test_one_fusion_block_alone(network, golden, monkeypatch):
    monkeypatch.setattr(network.features.fine, "scale", 1)
    with torch.inference_mode():
        out = network.features.fine(
            given("fuse3/prior", 1, 1536, 5, 6).relu(), given("fuse3/cnn", 1, 256, 5, 6).relu()
        )
    close(out, golden["fuse3/out"])


def test_the_value_of_a_frame_and_the_deep_update(network, golden, image):
    coarse, chroma = given("value/f16", 1, 1024, 7, 14).relu(), 0.25 * given("value/ab", 1, 2, 112, 224)
    with torch.inference_mode():
        value = network.value_encoder(image, chroma, coarse)
        hidden = network.value_encoder.deep_update(value, given("value/hidden", 1, 2, 64, 7, 14).tanh())
    close(value[:, :, ::16], golden["value/out"])
    close(hidden[:, :, ::2], golden["value/hidden_out"])


def test_cbam(network, golden):
    with torch.inference_mode():
        close(network.decoder.fuser.attention(given("cbam/x", 2, 512, 5, 6))[:, ::8], golden["cbam/out"])


def test_local_attention(network, golden):
    key, query = (0.7 * given(f"local/{part}", 1, 64, 9, 20) for part in ("key", "query"))
    value = given("local/value", 1, 1024, 9, 20).unflatten(1, (2, 512))
    with torch.inference_mode():
        read = network.local_attention(query, key, value)
        weights = network.local_attention.weights(query, key)
    close(read.flatten(1, 2)[:, ::8], golden["local/out"])
    close(weights[0].flatten(1), golden["local/weights"])


def test_the_decoder_and_its_update_of_the_hidden_state(network, golden):
    features = Features(
        given("decoder/f16", 1, 1024, 7, 14).relu(),
        given("decoder/f8", 1, 512, 14, 28).relu(),
        given("decoder/f4", 1, 256, 28, 56).relu(),
    )
    hidden = given("decoder/hidden", 1, 2, 64, 7, 14).tanh()
    with torch.inference_mode():
        decoded = network.decoder(features, given("decoder/readout", 1, 2, 512, 7, 14), hidden)
        after = network.decoder.hidden_update(decoded, hidden)
    close(decoded.logits[..., ::2, ::2], golden["decoder/logits"])
    close(after[:, :, ::2], golden["decoder/hidden_out"])


def test_reading_thirty_entries_or_all(golden):
    key, query = 0.7 * given("read/key", 1, 64, 120)[0].mT, 0.7 * given("read/query", 1, 64, 40)[0].mT
    shrinkage, selection = (
        1 + given("read/shrinkage", 1, 1, 120)[0, 0].square(),
        given("read/selection", 1, 64, 40)[0].mT.sigmoid(),
    )
    value = given("read/value", 2, 16, 120).flatten(0, 1).mT
    close(similarity(key, shrinkage, query, selection).mT, golden["read/similarity"][0])
    top, full = (
        read_top(key, shrinkage, value, query, selection, 30),
        read_all(key, shrinkage, value, query, selection),
    )
    dense = torch.zeros(40, 120).scatter(1, top.index, top.weights)
    close(dense.mT, golden["read/affinity_top30"][0])
    close(top.received, golden["read/usage"][0])
    close(top.value.mT, golden["read/out_top30"].flatten(0, 1))
    close(full.value.mT, golden["read/out_full"].flatten(0, 1))


def test_the_memory_alone_through_compression_and_eviction(golden):
    memory = Memory(MemoryConfig(top_k=5, max_mid_frames=4, min_mid_frames=2, prototypes=6, max_long=16))
    columns = lambda name, channels: given(f"memory/{name}", 1, channels, 4, 5)[0].flatten(1).mT
    for t in range(12):
        value = given(f"memory/{t}/value", 1, 2, 6, 4, 5).flatten(0, 2).flatten(1).mT  # (20, 12)
        shrinkage, selection = (
            1 + columns(f"{t}/shrinkage", 1)[:, 0].square(),
            columns(f"{t}/selection", 8).sigmoid(),
        )
        memory = memory.write(seen(columns(f"{t}/key", 8), shrinkage, selection, value, t), keep=t == 0)
        for r in range(2):
            reading, memory = memory.read(
                columns(f"{t}/query{r}", 8), columns(f"{t}/query{r}_selection", 8).sigmoid()
            )
            close(reading.value.mT.reshape(2, 6, 4, 5), golden[f"memory/out/{t}/read{r}"])
        assert [memory.size - memory.long, memory.long] == golden["memory/out/sizes"][t].tolist()
    long, work = memory.entries.at(slice(memory.long)), memory.entries.at(slice(memory.long, None))
    close(long.key.mT, golden["memory/out/long/key"][0])
    close(long.shrinkage, golden["memory/out/long/shrinkage"][0, 0])
    close(long.value.mT.unflatten(0, (2, 6)), golden["memory/out/long/value"])
    for entries, name in ((long, "long"), (work, "work")):
        close(entries.use, golden[f"memory/out/{name}/use"][0, 0])
        close(entries.life, golden[f"memory/out/{name}/life"][0, 0])


def color(network: ColorMNet, grey: Tensor, references: object) -> tuple[Tensor, list, list[list[int]]]:
    """Chroma (T, 2, H, W) as the network sees it, the state after each frame, and [working, long-term] sizes."""
    state, chroma, states = network.start(references), [], []
    with torch.inference_mode():
        for l in lightness(grey):
            ab, state = network.step(l[None], state)
            chroma.append(ab[0] / 110)
            states.append(state)
    memories = [state.held[0] for state in states]
    return torch.stack(chroma), states, [[memory.size - memory.long, memory.long] for memory in memories]


def exemplar(grey: Tensor, chroma: Tensor) -> Tensor:
    return torch.cat((lightness(grey), chroma * 110))[None]


def close_states(states: list, golden: dict[str, Tensor], clip: str) -> None:
    for t, state in enumerate(states):
        if (name := f"{clip}/frame{t}/hidden") in golden:
            close(state.hidden[0, :, ::2], golden[name])


def test_a_clip_whose_first_frame_is_the_exemplar(network, golden):
    reference = exemplar(golden["clip/gray"][0], golden["clip/exemplar_ab"])
    chroma, states, sizes = color(network, golden["clip/gray"], [(0, reference)])
    assert_close(
        chroma[0], golden["clip/exemplar_ab"], atol=1e-6, rtol=0
    )  # the exemplar's colours are what comes out
    close(chroma[1:, :, ::2, ::2], golden["clip/ab"])
    assert sizes[:-1] == golden["clip/sizes"].tolist()[:-1]  # the authors' code does not store the last frame
    close_states(states, golden, "clip")


def test_a_clip_with_an_exemplar_that_is_no_frame_of_it(network, golden, monkeypatch):
    monkeypatch.setattr(network, "config", replace(network.config, mem_every=2))
    lab = golden["any/exemplar_lab"]
    chroma, states, sizes = color(
        network, golden["any/gray"], torch.cat(((lab[:1] + 1) * 50, lab[1:] * 110))[None]
    )
    close(chroma[..., ::2, ::2], golden["any/ab"])
    assert sizes[:-1] == golden["any/sizes"].tolist()[:-1]
    close_states(states, golden, "any")


@pytest.mark.parametrize(("clip", "frames", "settings"), [
    ("long", 21, {"mem_every": 1, "max_mid_frames": 4, "min_mid_frames": 2, "prototypes": 12, "max_long": 64}),
    ("default", 47, {}),
])
def test_films_long_enough_to_be_compressed(network, golden, monkeypatch, clip, frames, settings):
    config = replace(ColorMNetConfig(), **settings)
    monkeypatch.setattr(network, "config", config)
    monkeypatch.setattr(network.propagation, "config", config.memory)
    grey = golden["pool/gray"][golden[f"{clip}/order"].long()]
    chroma, _, sizes = color(network, grey[:frames], [(0, exemplar(grey[0], golden["pool/exemplar_ab"]))])
    shown = [i for i, frame in enumerate(golden[f"{clip}/frames"].tolist()) if frame < frames]
    assert len(shown) >= 3
    close(chroma[golden[f"{clip}/frames"].long()[shown]][..., ::2, ::2], golden[f"{clip}/ab"][shown])
    assert sizes[:frames - 1] == golden[f"{clip}/sizes"].tolist()[:frames - 1]
