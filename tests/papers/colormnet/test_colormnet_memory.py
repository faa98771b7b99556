"""The memory as a value, and reading from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from colorlab.papers.colormnet import readout
from colorlab.papers.colormnet.memory import Memory, MemoryConfig, join, prototypes, seen
from colorlab.papers.colormnet.readout import read_all, read_top, similarity, similarity_as_written

SMALL = MemoryConfig(top_k=3, max_mid_frames=4, min_mid_frames=2, prototypes=5, max_long=12)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def frame(t: int, cells: int = 6):
    return seen(random(cells, 4, seed=t), 1 + random(cells, seed=t + 100)**2,
                random(cells, 4, seed=t + 200).sigmoid(), random(cells, 3, seed=t + 300), t)


def remembered(frames: int, config: MemoryConfig = SMALL, reads: bool = True) -> Memory:
    memory = Memory(config)
    for t in range(frames):
        memory = memory.write(frame(t), keep=t == 0)
        if reads:
            _, memory = memory.read(random(7, 4, seed=t + 400), random(7, 4, seed=t + 500).sigmoid())
    return memory


def test_similarity_is_the_weighted_squared_distance():
    key, shrinkage, query, selection = random(9, 4), random(9, seed=1)**2 + 1, random(5, 4, seed=2), random(
        5, 4, seed=3).sigmoid()
    plain = similarity_as_written(key, shrinkage, query, selection)
    assert_close(similarity(key, shrinkage, query, selection), plain)
    distance = sum(selection[2, c] * (key[5, c] - query[2, c]) ** 2 for c in range(4))
    assert_close(plain[2, 5], -shrinkage[5] / 2 * distance)  # 2: the root of the channels


@pytest.mark.parametrize(("M", "k"), [(5, 30), (40, 30), (500, 30), (1003, 7), (4096, 1)])
def test_the_best_are_found_exactly(M, k):
    scores = random(11, M)
    values, index = readout._top(scores, min(k, M))
    assert_close(values, scores.topk(min(k, M)).values, atol=0, rtol=0)
    assert_close(scores.gather(1, index), values, atol=0, rtol=0)


def test_reading_in_slabs_changes_nothing(monkeypatch):
    arguments = (
        random(50, 4),
        random(50, seed=1) ** 2 + 1,
        random(50, 6, seed=2),
        random(23, 4, seed=3),
        random(23, 4, seed=4).sigmoid(),
    )
    whole = read_top(*arguments, 5), read_all(*arguments)
    monkeypatch.setattr(readout, "SLAB_CPU", 130)  # two pixels at a time
    for ours, theirs in zip((read_top(*arguments, 5), read_all(*arguments)), whole):
        assert_close(ours.value, theirs.value)
        assert_close(ours.received, theirs.received)


def test_reading_the_top_is_a_softmax_over_the_best_alone():
    key, shrinkage, value, query, selection = random(9, 4), torch.ones(9), random(9, 2, seed=1), random(
        3, 4, seed=2), torch.ones(3, 4)
    scores = similarity(key, shrinkage, query, selection)
    kept = scores.masked_fill(scores < scores.topk(4).values[:, -1:], -torch.inf)
    assert_close(read_top(key, shrinkage, value, query, selection, 4).value, kept.softmax(-1) @ value)


def test_writing_leaves_the_old_memory_as_it_was():
    old = remembered(3)
    key = old.entries.key.clone()
    old.write(frame(3)).write(frame(4))
    assert old.size == 18 and torch.equal(old.entries.key, key)


def test_reading_leaves_the_old_memory_as_it_was():
    old = remembered(3)
    use = old.entries.use.clone()
    _, new = old.read(random(7, 4), torch.ones(7, 4))
    assert torch.equal(old.entries.use, use) and not torch.equal(new.entries.use, use)


def per_reading(memory: Memory) -> Tensor:
    """(M,) what was read from each entry, divided by how many readings there were since it came: from the
    memory's own counts."""
    return memory.entries.use / memory.entries.life


def test_usage_is_what_was_read_of_an_entry_per_reading_since_it_came():
    """Every reading is made by hand: a softmax over the best three, each entry's share summed over the asking
    pixels."""
    memory, received, readings = Memory(replace(SMALL, max_mid_frames=9)), {}, {}
    for t in range(4):
        memory = memory.write(frame(t), keep=t == 0)
        for index in range(6 * t, 6 * t + 6):
            received[index], readings[index] = 0.0, 0
        for number in range(t + 1):  # more and more readings between the frames
            query, selection = (
                random(7, 4, seed=10 * t + number),
                random(7, 4, seed=10 * t + number + 500).sigmoid(),
            )
            scores = similarity_as_written(memory.entries.key, memory.entries.shrinkage, query, selection)
            for row in scores:
                best = row.argsort(descending=True)[:3].tolist()
                for index, share in zip(best, row[best].softmax(0).tolist()):
                    received[index] += share
            readings = {index: count + 1 for index, count in readings.items()}
            _, memory = memory.read(query, selection)
    expected = torch.tensor([received[index] / readings[index] for index in sorted(received)])
    assert_close(memory.entries.usage, expected, atol=1e-5, rtol=1e-5)


def test_an_old_entry_that_was_read_more_often_in_all_yields_to_a_young_one_that_is_read_more_often_now():
    old, young = frame(1, 1), frame(2, 1)
    old, young = (
        old._replace(use=torch.tensor([6.0]), life=torch.tensor([60.0])),
        young._replace(use=torch.tensor([2.0]), life=torch.tensor([4.0])),
    )
    assert torch.equal(prototypes(join(old, young), 1).frame, torch.tensor([2]))
    memory = Memory(replace(SMALL, prototypes=1, max_long=2), join(old, young), long=2)
    assert torch.equal(memory.without_the_least_used().frame, torch.tensor([2]))


def test_the_most_used_of_the_frames_that_leave_survive():
    before = remembered(3)
    third = frame(3)
    after = before.write(third)  # the fourth frame: the second and third leave, the exemplar stays
    candidates = before.entries.at(slice(6, 18))
    best = per_reading(before)[6:18].topk(5).indices
    assert after.long == 5 and after.recent == (6,)
    assert_close(after.entries.key[:5], candidates.key[best])
    assert torch.equal(after.entries.frame[:5], candidates.frame[best])
    assert torch.equal(after.entries.frame[5:], torch.tensor([0] * 6 + [3] * 6))


def test_prototypes_mix_values_as_their_key_would_read_them():
    before = remembered(3)
    after = before.write(frame(3))
    candidates = before.entries.at(slice(6, 18))
    best = candidates.at(per_reading(before)[6:18].topk(5).indices)
    expected = read_all(candidates.key, candidates.shrinkage, candidates.value, best.key,
                        best.selection).value
    assert_close(after.entries.value[:5], expected)


def test_long_term_memory_never_exceeds_its_bound():
    sizes = [remembered(n).long for n in range(1, 30)]
    assert max(sizes) == 12


def test_all_that_tie_with_the_least_used_are_forgotten():
    memory = remembered(12, reads=False)  # nothing was read: every usage is 0, so an eviction takes them all
    assert memory.long <= 5 + 5


def test_without_long_term_memory_everything_is_kept():
    config = MemoryConfig(top_k=3, max_mid_frames=4, min_mid_frames=2, prototypes=5, max_long=12,
                          long_term=False)
    assert remembered(20, config).size == 20 * 6


@pytest.mark.parametrize("changes",
                         [{"min_mid_frames": 1}, {"prototypes": 500, "max_long": 1000}, {"prototypes": 12},
                          {"top_k": 1000}, {"max_mid_frames": 2, "min_mid_frames": 2}])
def test_settings_that_break_the_authors_code(changes):
    memory = remembered(14, replace(SMALL, **changes))
    reading, _ = memory.read(random(7, 4), torch.ones(7, 4))
    assert reading.value.isfinite().all() and torch.equal(
        memory.entries.frame[memory.long : memory.long + 6], torch.zeros(6).long()
    )


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="min_mid_frames <= max_mid_frames"):
        MemoryConfig(min_mid_frames=11)
    with pytest.raises(ValueError, match="max_long at least prototypes"):
        MemoryConfig(prototypes=200, max_long=100)
