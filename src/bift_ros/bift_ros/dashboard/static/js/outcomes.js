// What became of a vehicle's updates: a mark for each iteration, told apart by shape as well.

import { makeSvg } from "./dom.js";

export const STRIP_LENGTH = 20;
const STEP = 8;
const SIZE = 6;

/** What each mark is for, which outcomes it stands for, and its path at x. */
const MARKS = [
  { words: "contributed", outcomes: ["contributed"], path: (x) => `M${x} 4h${SIZE}v${SIZE}h-${SIZE}z` },
  { words: "left out", outcomes: ["left out"], path: (x) => `M${x} 4l${SIZE} ${SIZE}m0 -${SIZE}l-${SIZE} ${SIZE}` },
  {
    words: "sent nothing",
    outcomes: ["absent", "not committed", "not revealed"],
    path: (x) => `M${x + 1.5} 7h3`,
  },
];

/** Fill `holder` with a strip of the last iterations of the vehicle at `address`. */
export function drawOutcomes(holder, fleet, address, length = STRIP_LENGTH) {
  const iterations = fleet.iterations.slice(-length);
  const found = iterations.map(({ outcome }) => outcome(address));
  const count = (outcomes) => found.filter((each) => outcomes.includes(each)).length;
  const label = MARKS.map(({ words, outcomes }) => `${words} ${count(outcomes)}`);
  const width = length * STEP;
  holder.replaceChildren(
    makeSvg(
      "svg",
      { class: "outcomes", role: "img", width, height: 14, "aria-label": label.join(", ") },
      ...MARKS.map(({ outcomes, path }) =>
        makeSvg("path", {
          "data-outcome": outcomes[0],
          d: found.map((each, n) => (outcomes.includes(each) ? path(n * STEP + 1) : "")).join(""),
        }),
      ),
    ),
  );
}

/** What the marks mean. */
export function legend() {
  return MARKS.flatMap(({ words, outcomes, path }) => [
    makeSvg(
      "svg",
      { class: "outcomes", width: 9, height: 14, "aria-hidden": "true" },
      makeSvg("path", { "data-outcome": outcomes[0], d: path(1) }),
    ),
    document.createTextNode(words),
  ]);
}
