// What became of a vehicle's updates: a mark for each iteration, told apart by shape as well.

import { makeSvg } from "./dom.js";

export const STRIP_LENGTH = 20;
const STEP = 8;
const SIZE = 6;

/** What each outcome is called, and the path of its mark at x. */
const MARKS = {
  "paid": { words: "contributed", path: (x) => `M${x} 4h${SIZE}v${SIZE}h-${SIZE}z` },
  "left out": { words: "left out", path: (x) => `M${x} 4l${SIZE} ${SIZE}m0 -${SIZE}l-${SIZE} ${SIZE}` },
  "absent": { words: "sent nothing", path: (x) => `M${x + 1.5} 7h3` },
};

/** Fill `holder` with a strip of the last iterations of the vehicle at `address`. */
export function drawOutcomes(holder, fleet, address, length = STRIP_LENGTH) {
  const iterations = fleet.iterations.slice(-length);
  const found = iterations.map((iteration) => fleet.outcome(iteration, address));
  const count = (outcome) => found.filter((each) => each === outcome).length;
  const label = Object.entries(MARKS).map(([outcome, { words }]) => `${words} ${count(outcome)}`);
  const width = length * STEP;
  holder.replaceChildren(
    makeSvg(
      "svg",
      { class: "outcomes", role: "img", width, height: 14, "aria-label": label.join(", ") },
      ...Object.entries(MARKS).map(([outcome, { path }]) =>
        makeSvg("path", {
          "data-outcome": outcome,
          d: found.map((each, n) => (each === outcome ? path(n * STEP + 1) : "")).join(""),
        }),
      ),
    ),
  );
}

/** What the marks mean. */
export function legend() {
  return Object.entries(MARKS).flatMap(([outcome, { words, path }]) => [
    makeSvg(
      "svg",
      { class: "outcomes", width: 9, height: 14, "aria-hidden": "true" },
      makeSvg("path", { "data-outcome": outcome, d: path(1) }),
    ),
    document.createTextNode(words),
  ]);
}
