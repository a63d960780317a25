// The four charts at the top: what is learnt, and what it takes of the network.

import { Chart } from "./chart.js";
import { byId } from "./dom.js";
import { bytes, decimal, percent } from "./format.js";

const ITERATION = { label: "iteration", format: (_, value) => value ?? "–", range: iterationRange };
const TIME = { label: "time", time: true, format: (_, value) => clock(value) };

export class Curves {
  constructor(fleet) {
    this._fleet = fleet;
    this._accuracy = chartIn("accuracy", {
      title: "Accuracy by iteration",
      series: [
        { label: "best", colour: "muted", hidden: true },
        { label: "worst", colour: "muted", hidden: true },
        { label: "global", colour: "accent", width: 2 },
      ],
      bands: [[1, 2]],
      x: ITERATION,
      y: { format: (value) => percent(value, 0), exact: percent, range: shareRange },
    });
    this._loss = chartIn("loss", {
      title: "Mean training loss by iteration",
      series: [{ label: "mean", colour: "second", width: 2 }],
      x: ITERATION,
      y: { format: (value) => decimal(value, 1), exact: decimal, range: fromZero },
    });
    this._files = chartIn("files", {
      title: "Bytes of files a second, all vehicles",
      series: [
        { label: "fetched", colour: "accent" },
        { label: "served", colour: "second", dash: [4, 3] },
      ],
      x: TIME,
      y: { format: (value) => bytes(value), range: fromZero },
    });
    this._messages = chartIn("messages", {
      title: "Messages a second",
      series: [
        { label: "transactions", colour: "accent" },
        { label: "blocks", colour: "second", width: 2 },
      ],
      x: TIME,
      y: { format: (value) => decimal(value, 0), exact: (value) => decimal(value, 1), range: fromOne },
    });
  }

  draw() {
    this._drawLearning();
    this._drawTraffic();
  }

  restyle() {
    for (const chart of [this._accuracy, this._loss, this._files, this._messages]) chart.restyle();
  }

  _drawLearning() {
    const { iterations, losses, task, chainRevision } = this._fleet;
    if (this._drawnChain !== chainRevision) {
      this._drawnChain = chainRevision;
      const newest = iterations.at(-1);
      this._accuracy.draw(
        [
          iterations.map((each) => each.number),
          iterations.map((each) => each.highest),
          iterations.map((each) => each.lowest),
          iterations.map((each) => each.accuracy),
        ],
        newest
          ? `${iterations.length} iterations; global model now ${percent(newest.accuracy)}, the ` +
              `vehicles' own ${percent(newest.lowest)} to ${percent(newest.highest)}`
          : "no iteration yet",
      );
    }
    if (this._drawnLosses !== losses) {
      this._drawnLosses = losses;
      // Before the first block the chain names no task yet.
      const byIteration = losses[task] ?? Object.values(losses)[0] ?? {};
      const numbers = Object.keys(byIteration).map(Number);
      const values = Object.values(byIteration);
      this._loss.draw([numbers, values], values.length ? `now ${decimal(values.at(-1))}` : "none yet");
    }
  }

  _drawTraffic() {
    const { traffic } = this._fleet;
    const newest = traffic.at(-1);
    if (this._drawnTraffic === newest) return;
    this._drawnTraffic = newest;
    // The samples' clock has no date; the page's own tells how long ago each was.
    const offset = Date.now() / 1000 - this._fleet.now;
    const times = traffic.map((sample) => sample.at + offset);
    this._files.draw(
      [times, traffic.map((s) => s.fetched), traffic.map((s) => s.served)],
      newest ? `now ${bytes(newest.fetched)} fetched, ${bytes(newest.served)} served` : "none yet",
    );
    const blocks = ({ messages }) => messages.block ?? 0;
    const transactions = ({ messages }) =>
      Object.values(messages).reduce((sum, n) => sum + n, 0) - (messages.block ?? 0);
    this._messages.draw(
      [times, traffic.map(transactions), traffic.map(blocks)],
      newest
        ? `now ${decimal(transactions(newest), 1)} transactions, ${decimal(blocks(newest), 1)} blocks`
        : "none yet",
    );
  }
}

const chartIn = (id, options) => new Chart(byId(id).querySelector(".chart"), options);

const clock = (seconds) =>
  seconds ? new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour12: false }) : "–";

function iterationRange(_, lowest, highest) {
  return [Math.min(1, lowest), Math.max(highest, lowest + 4)];
}

function shareRange(_, lowest, highest) {
  const room = Math.max(0.02, (highest - lowest) * 0.08);
  return [Math.max(0, lowest - room), Math.min(1, highest + room)];
}

function fromOne(_, lowest, highest) {
  return [0, Math.max(1, highest * 1.08)];
}

function fromZero(_, lowest, highest) {
  return [0, highest > 0 ? highest * 1.08 : 1];
}
