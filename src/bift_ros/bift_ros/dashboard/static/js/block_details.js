// All that is known of a block.

import { make } from "./dom.js";
import { facts } from "./facts.js";
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
        ? link(selection, "block", block.previous_hash, block.previous_hash)
        : hash(block.previous_hash),
      "where": beside ? "beside the chain: a fork" : "on the chain",
      "miner": vehicle(fleet, selection, block.miner),
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
  const headings = ["Vehicle", "Accuracy", "Samples", ""];
  return make(
    "section",
    {},
    make("h3", {}, `${plural(block.updates.length, "update")}, ${count(paid.size)} rewarded`),
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...headings.map((h) => make("th", { scope: "col" }, h || OUTCOME())))),
      make(
        "tbody",
        {},
        ...rows.map(([sender, accuracy, samples]) =>
          make(
            "tr",
            {},
            make("th", { scope: "row" }, vehicle(fleet, selection, sender)),
            make("td", { class: "number" }, percent(accuracy)),
            make("td", { class: "number" }, count(samples)),
            make("td", { "data-outcome": paid.has(sender) ? "paid" : "left out" }, paid.has(sender) ? "rewarded" : "left out"),
          ),
        ),
      ),
    ),
  );
}

const OUTCOME = () => make("span", { class: "unseen" }, "Outcome");
const hash = (text) => make("code", {}, text);

function vehicle(fleet, selection, address) {
  const name = fleet.nameOf(address);
  return fleet.vehicles.has(name) ? link(selection, "vehicle", name, name) : name;
}

function link(selection, kind, id, text) {
  const content = kind === "block" ? hash(text) : text;
  return make("button", { type: "button", class: "link", onclick: () => selection.choose(kind, id) }, content);
}
