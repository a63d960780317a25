// What the page knows: the server's documents taken in, and what follows from them.

const MAX_TRAFFIC = 900;

export class Fleet {
  constructor() {
    this.vehicles = new Map(); // By name.
    this.blocks = new Map(); // By hash.
    this.losses = {};
    this.traffic = [];
    this.findings = [];
    this.head = "";
    this.relations = {}; // By vehicle's name: where it stands, seen from the head.
    this.iterations = []; // Of the newest task: {number, total, block, ...}, oldest first.
    this.chainRevision = 0; // Grows with every change of the chain.
    this._lanes = new Map(); // By hash.
    this._iterations = new Map(); // By their block's hash.
    this._names = new Map();
    this._clockOffset = 0;
    this.chain = layOut(this.blocks, this._lanes);
  }

  /** Take in a document of /api/events. */
  take(document) {
    if (document.whole) this._forget();
    this._clockOffset = document.clock - performance.now() / 1000;
    this._silentSeconds = document.silent_seconds;
    for (const vehicle of document.vehicles) {
      this.vehicles.set(vehicle.name, vehicle);
      this._names.set(vehicle.address, vehicle.name);
    }
    for (const block of document.blocks) this.blocks.set(block.hash, block);
    this.losses = document.losses;
    this.findings = document.findings;
    this.traffic.push(...document.traffic);
    this.traffic.splice(0, this.traffic.length - MAX_TRAFFIC);
    Object.assign(this.relations, document.relations);
    const moved = change(this._lanes, document.lanes, (lane) => lane);
    const finished = change(this._iterations, document.iterations, (each, hash) => this._iteration(each, hash));
    if (moved || finished || document.head !== this.head) {
      this.head = document.head;
      this.chain = layOut(this.blocks, this._lanes);
      this.iterations = [...this._iterations.values()].sort((a, b) => a.number - b.number);
      this.chainRevision += 1;
    }
  }

  /** The newest task that has finished an iteration; empty before the first has. */
  get task() {
    return this.iterations.at(-1)?.task ?? "";
  }

  /** Whether the members have ended it by their votes, as vehicles say that stand on the head. */
  get isCancelled() {
    return [...this.vehicles.values()].some(
      ({ tip, status }) =>
        tip === this.head && status?.cancelled && status.model_id === this.task,
    );
  }

  /** Height of the last final block, as the vehicles say that are heard. */
  get finalHeight() {
    const heard = [...this.vehicles.values()].filter((vehicle) => !this.isSilent(vehicle));
    return Math.max(0, ...heard.map(({ status }) => status?.final_height ?? 0));
  }

  /** What an address is called. */
  nameOf(address) {
    return this._names.get(address) ?? address.slice(0, 10);
  }

  /** Seconds since a vehicle spoke; null before it has. */
  silence(vehicle) {
    if (!vehicle.status) return null;
    return Math.max(0, this.now - vehicle.heard_at);
  }

  isSilent(vehicle) {
    const silence = this.silence(vehicle);
    return silence === null || silence > this._silentSeconds;
  }

  /** The listener's clock, in seconds. */
  get now() {
    return performance.now() / 1000 + this._clockOffset;
  }

  /** How many vehicles stand on a block. */
  standing(hash) {
    let number = 0;
    for (const vehicle of this.vehicles.values()) number += vehicle.tip === hash;
    return number;
  }

  _forget() {
    this.vehicles.clear();
    this.blocks.clear();
    this.traffic = [];
    this.head = "";
    this.relations = {};
    this._iterations.clear();
    this._lanes.clear();
  }

  _iteration({ lowest, highest, outcomes, others }, hash) {
    const block = this.blocks.get(hash);
    const { current_iter: number, total_iter: total, model_id: task, rule, accuracy } = block.model;
    const accuracies = new Map(block.updates.map(([sender, claimed]) => [sender, claimed]));
    const outcome = (address) => outcomes[address] ?? others;
    return { block, number, total, task, rule, accuracy, lowest, highest, accuracies, outcomes, outcome };
  }
}

/** Take changes into a map, where null takes away; whether there were any. */
function change(map, changes, made) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) map.delete(key);
    else map.set(key, made(value, key));
  }
  return Object.keys(changes).length > 0;
}

/**
 * Lay out the blocks (a Map by hash) that the server gives a lane (a Map by hash): the chain 0.
 *
 * `canonical`: the chain's, lowest first. `levels`: the hashes at each height, by lane.
 */
function layOut(blocks, lanes) {
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
