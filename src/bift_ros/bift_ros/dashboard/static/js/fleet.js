// What the page knows: the server's documents taken in, and what follows from them.

import { layOut } from "./chain_layout.js";

const MAX_TRAFFIC = 900;
const SILENT_SECONDS = 10; // At rest, vehicles speak every three seconds.

export class Fleet {
  constructor() {
    this.vehicles = new Map(); // By name.
    this.blocks = new Map(); // By hash.
    this.losses = {};
    this.traffic = [];
    this.findings = [];
    this.head = "";
    this.chain = layOut(this.blocks, "");
    this.iterations = []; // Of the task at the head: {number, total, block, ...}, oldest first.
    this.task = "";
    this.chainRevision = 0; // Grows with every change of the chain.
    this._names = new Map();
    this._clockOffset = 0;
  }

  /** Take in a document of /api/events. */
  take(document) {
    if (document.whole) this._forget();
    this._clockOffset = document.clock - performance.now() / 1000;
    for (const vehicle of document.vehicles) {
      this.vehicles.set(vehicle.name, vehicle);
      this._names.set(vehicle.address, vehicle.name);
    }
    for (const block of document.blocks) this.blocks.set(block.hash, block);
    this.losses = document.losses;
    this.findings = document.findings;
    this.traffic.push(...document.traffic);
    this.traffic.splice(0, this.traffic.length - MAX_TRAFFIC);
    if (document.blocks.length || document.head !== this.head) {
      this.head = document.head;
      this._readChain();
    }
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
    return silence === null || silence > SILENT_SECONDS;
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

  /** What became of a vehicle in an iteration: "paid", "left out" or "absent". */
  outcome(iteration, address) {
    if (iteration.paid.has(address)) return "paid";
    return iteration.senders.has(address) ? "left out" : "absent";
  }

  _forget() {
    this.vehicles.clear();
    this.blocks.clear();
    this.traffic = [];
    this.head = "";
  }

  _readChain() {
    this.chain = layOut(this.blocks, this.head);
    const models = this.chain.canonical.filter((block) => block.model);
    this.task = models.length ? models.at(-1).model.model_id : "";
    this.iterations = models
      .filter((block) => block.model.model_id === this.task)
      .map((block) => iterationOf(block));
    this.chainRevision += 1;
  }
}

function iterationOf(block) {
  const accuracies = block.updates.map(([, accuracy]) => accuracy);
  return {
    block,
    number: block.model.current_iter,
    total: block.model.total_iter,
    rule: block.model.rule,
    accuracy: block.model.accuracy,
    lowest: accuracies.length ? Math.min(...accuracies) : null,
    highest: accuracies.length ? Math.max(...accuracies) : null,
    paid: new Set(block.model.contributors),
    senders: new Map(block.updates.map(([sender, accuracy, samples]) => [sender, { accuracy, samples }])),
  };
}
