// Where each block stands, by the lanes that the server gives: the chain on lane 0, forks beneath.

/**
 * Lay out the blocks (a Map by hash) that have a lane (a Map by hash).
 *
 * `canonical`: the chain's, lowest first. `levels`: the hashes at each height, by lane.
 */
export function layOut(blocks, lanes) {
  const placed = [...lanes.keys()].map((hash) => blocks.get(hash));
  placed.sort((a, b) => a.index - b.index || lanes.get(a.hash) - lanes.get(b.hash));
  const levels = new Map();
  for (const { index, hash } of placed) levels.set(index, [...(levels.get(index) ?? []), hash]);
  const canonical = placed.filter(({ hash }) => lanes.get(hash) === 0);
  return {
    canonical,
    lanes,
    levels,
    lowest: placed[0]?.index ?? 0,
    highest: placed.at(-1)?.index ?? 0,
    forks: placed.length - canonical.length,
    depth: Math.max(0, ...lanes.values()),
  };
}
