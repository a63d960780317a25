// Where each block stands: the chain on lane 0, the forks on lanes beneath it.

/**
 * Lay out the blocks (a Map by hash) around the chain that ends in `head`.
 *
 * `canonical`: its blocks, lowest first. `lanes`: each placed block's lane by hash. `levels`: the
 * hashes at each height, by lane. Blocks below the lowest known one of the chain are not placed:
 * nobody can tell whether they are forks.
 */
export function layOut(blocks, head) {
  const canonical = branch(blocks, head);
  const lanes = new Map(canonical.map((block) => [block.hash, 0]));
  const lowest = canonical.length ? canonical[0].index : 0;
  const beside = [...blocks.values()]
    .filter((block) => canonical.length && block.index >= lowest && !lanes.has(block.hash))
    .sort((a, b) => a.index - b.index || (a.hash < b.hash ? -1 : 1));
  const ends = []; // The height up to which each lane beneath is taken.
  for (const block of beside) {
    const parentsLane = lanes.get(block.previous_hash) ?? 0;
    const continues = parentsLane > 0 && ends[parentsLane - 1] === block.index - 1;
    const lane = continues ? parentsLane : freeLane(ends, block.index);
    ends[lane - 1] = block.index;
    lanes.set(block.hash, lane);
  }
  return {
    canonical,
    lanes,
    lowest,
    highest: Math.max(lowest, canonical.at(-1)?.index ?? 0, beside.at(-1)?.index ?? 0),
    levels: levelsOf(canonical, beside, lanes),
    forks: beside.length,
    depth: ends.length,
  };
}

function branch(blocks, head) {
  const found = [];
  let block = blocks.get(head);
  while (block) {
    found.push(block);
    const parent = blocks.get(block.previous_hash);
    block = parent && parent.index === block.index - 1 ? parent : undefined;
  }
  return found.reverse();
}

function freeLane(ends, index) {
  // A gap of one block keeps two forks apart on a lane.
  const free = ends.findIndex((end) => end < index - 1);
  return (free >= 0 ? free : ends.length) + 1;
}

function levelsOf(canonical, beside, lanes) {
  const levels = new Map();
  for (const block of [...canonical, ...beside]) {
    if (!levels.has(block.index)) levels.set(block.index, []);
    levels.get(block.index).push(block.hash);
  }
  for (const hashes of levels.values()) hashes.sort((a, b) => lanes.get(a) - lanes.get(b));
  return levels;
}
