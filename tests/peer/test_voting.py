"""Members that vote over a bad network: no rivals become final, and in calm everything does."""

from __future__ import annotations

import pytest

from world.voters import Assembly


def storm(seed: int, size: int, liars: int = 0) -> Assembly:
    """A minute of losses, splits, crashes and forks, then calm."""
    assembly = Assembly(size, seed, liars)
    rng = assembly.rng
    for _ in range(12):
        assembly.delay_ms = (5, rng.choice((30, 300, 3_000)))
        assembly.loss = rng.choice((0.0, 0.1, 0.5))
        assembly.split = {v.number for v in assembly.voters if rng.random() < 0.4}
        if rng.random() < 0.5:
            assembly.split = set()
        victim = rng.choice(assembly.voters)
        if victim.online:
            victim.online = False
        else:
            victim.boot()
        assembly.run(rng.randint(1_000, 10_000))
    assembly.calm()
    return assembly


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 10])
def test_in_calm_each_block_is_final_soon(size: int) -> None:
    assembly = Assembly(size, seed=size)
    assembly.run(30_000)
    assembly.mining = False
    assembly.run(3_000)
    assert assembly.settled()
    assert assembly.honest[0].chain.tip.height > 5
    assert all(len(voter.final) > 4 for voter in assembly.honest)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("size", "liars"), [(3, 0), (4, 1), (7, 2)])
def test_whatever_happens_no_rivals_are_final_and_later_everything_is(
    seed: int, size: int, liars: int
) -> None:
    assembly = storm(seed, size, liars)
    before = max(v.chain.finality.final.height for v in assembly.honest)
    assembly.run(60_000)
    assembly.mining = False
    assembly.run(30_000)
    assert assembly.settled()
    assert assembly.honest[0].chain.finality.final.height > before
