// All that is known of a block.

import { facts, make, table } from "./dom.js";
import { count, percent, plural, time, words } from "./format.js";

/** The elements that show a block. */
export function blockDetails(fleet, block, selection) {
  const { model } = block;
  const beside = fleet.chain.lanes.get(block.hash) > 0;
  return make(
    "div",
    {},
    facts({
      "hash": hash(block.hash),
      "parent": fleet.blocks.has(block.previous_hash)
        ? selection.link("block", block.previous_hash, hash(block.previous_hash))
        : hash(block.previous_hash),
      "where": beside ? "beside the chain: a fork" : "on the chain",
      "miner": selection.vehicleAt(block.miner, fleet),
      "made": `${new Date(block.timestamp).toISOString().slice(0, 10)} ${time(block.timestamp)}`,
      "stands here": plural(fleet.standing(block.hash), "vehicle"),
      "holds": Object.entries(block.transactions).map(([kind, n]) => plural(n, words(kind))).join(", ") || "nothing",
    }),
    model ? modelDetails(model) : null,
    block.updates.length ? updates(fleet, block, selection) : null,
  );
}

function modelDetails(model) {
  return make(
    "section",
    {},
    make("h3", {}, "New global model"),
    facts({
      "task": model.model_id,
      "iteration": `${model.current_iter} of ${model.total_iter}`,
      "rule": words(model.rule),
      "accuracy": percent(model.accuracy),
      "file": hash(model.global_cid),
    }),
  );
}

function updates(fleet, block, selection) {
  const paid = new Set(block.model?.contributors);
  const rows = [...block.updates].sort((a, b) => paid.has(b[0]) - paid.has(a[0]) || b[1] - a[1]);
  const outcomes = fleet.iterations.find((each) => each.block === block)?.outcomes ?? {};
  const silent = Object.keys(outcomes).filter((address) => outcomes[address] === "not revealed");
  const headings = ["Vehicle", "Accuracy", "Samples", make("span", { class: "unseen" }, "Outcome")];
  const row = (address, accuracy, samples, outcome) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, selection.vehicleAt(address, fleet)),
      make("td", { class: "number" }, percent(accuracy)),
      make("td", { class: "number" }, count(samples)),
      make("td", { "data-outcome": outcome }, outcome),
    );
  return make(
    "section",
    {},
    make("h3", {}, `${plural(block.updates.length, "update")}, ${count(paid.size)} rewarded`),
    table(
      headings,
      ...rows.map((update) => row(...update, paid.has(update[0]) ? "rewarded" : "left out")),
      ...silent.map((address) => row(address, NaN, NaN, "not revealed")),
    )[0],
  );
}

const hash = (text) => make("code", {}, text);
