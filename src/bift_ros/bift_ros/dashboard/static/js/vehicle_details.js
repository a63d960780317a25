// All that is known of a vehicle: what it says, how its updates fared, and its samples.

import { Chart } from "./chart.js";
import { facts, make } from "./dom.js";
import { bytes, count, decimal, NONE, percent, plural, seconds, shortHash } from "./format.js";
import { drawOutcomes } from "./outcomes.js";
import { SampleGrid } from "./samples.js";

const OUTCOMES = 40;

export class VehicleDetails {
  constructor(fleet, name) {
    this._fleet = fleet;
    this.name = name;
    this._facts = make("div");
    this._outcomes = make("div", { class: "strip" });
    this._samples = new SampleGrid(name);
    const chart = make("div", { class: "chart" });
    this.element = make(
      "div",
      {},
      this._facts,
      make("h3", {}, "Its updates"),
      this._outcomes,
      chart,
      make("h3", {}, "Its dataset"),
      this._samples.element,
    );
    this._chart = new Chart(chart, {
      title: `Accuracy of ${name}'s updates`,
      series: [
        { label: "global", colour: "muted", dash: [4, 3] },
        { label: "its own", colour: "accent", points: true },
      ],
      x: { label: "iteration", format: (_, value) => value ?? NONE },
      y: { format: (value) => percent(value, 0) },
    });
  }

  draw(vehicle) {
    const { status } = vehicle;
    const shown = entries(vehicle, this._fleet);
    const key = JSON.stringify(shown);
    if (key !== this._key) {
      this._key = key;
      this._facts.replaceChildren(facts(shown));
    }
    if (this._drawnChain !== this._fleet.chainRevision) {
      this._drawnChain = this._fleet.chainRevision;
      this._drawUpdates(vehicle.address);
    }
    if (status) this._samples.draw(status);
  }

  _drawUpdates(address) {
    drawOutcomes(this._outcomes, this._fleet, address, OUTCOMES);
    const { iterations } = this._fleet;
    const own = iterations.map((each) => each.accuracies.get(address) ?? null);
    const paid = iterations.filter((each) => each.outcome(address) === "contributed").length;
    this._chart.draw(
      [iterations.map((each) => each.number), iterations.map((each) => each.accuracy), own],
      `${plural(paid, "iteration")} of ${iterations.length} rewarded, the newest update ` +
        percent(own.findLast((value) => value !== null) ?? NaN),
    );
  }
}

/** What a vehicle says of itself, as text; what it does not say is left out. */
function entries(vehicle, fleet) {
  const { status } = vehicle;
  if (!status) return { "address": vehicle.address, "heard": "not yet" };
  const silence = fleet.silence(vehicle);
  const said = (value, text) => (value == null ? null : text(value));
  return {
    "state": fleet.isSilent(vehicle) ? `silent for ${seconds(silence)}` : status.state,
    "address": vehicle.address,
    "mines": status.mines ? "yes" : "no",
    "tip": `${status.height}, ${shortHash(status.tip)}`,
    "final": `${status.final_height}, ${shortHash(status.final)}`,
    "rival of a final block": status.conflict || null,
    "stake": count(status.balance),
    "training": `epoch ${status.epoch} of ${status.local_epochs}, loss ${decimal(status.loss)}`,
    "last iteration":
      `training ${seconds(status.training_seconds)}, storage ${seconds(status.storage_seconds)}, ` +
      `consensus ${seconds(status.consensus_seconds)}`,
    "camera": `${plural(status.frames_seen, "frame")}, ${count(status.skipped)} skipped`,
    "waiting": plural(status.mempool, "transaction"),
    "hears": plural(status.peers, "other vehicle"),
    "fetched": said(status.fetched_bytes, bytes),
    "served": said(status.served_bytes, bytes),
    "its update": bytes(status.update_bytes),
    "memory": `${bytes(status.rss_mb * 2 ** 20)}, at most ${bytes(status.peak_rss_mb * 2 ** 20)}`,
    "GPU memory": status.gpu_limit_mb
      ? `${bytes(status.gpu_mb * 2 ** 20)} of ${bytes(status.gpu_limit_mb * 2 ** 20)}`
      : null,
    "disk left": said(status.disk_free_mb, (mb) => bytes(mb * 2 ** 20)),
    "refused": `${count(status.refused)}${status.last_refusal ? `; last: ${status.last_refusal}` : ""}`,
  };
}
