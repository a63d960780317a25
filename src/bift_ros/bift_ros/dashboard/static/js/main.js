// Puts the page together: one stream feeds the fleet, panels are drawn once a frame.

import { Announcer } from "./announcer.js";
import { Attention } from "./attention.js";
import { ChainTable } from "./chain_table.js";
import { ChainView } from "./chain_view.js";
import { Curves } from "./curves.js";
import { Details } from "./details.js";
import { byId, setAttribute, setText } from "./dom.js";
import { Fleet } from "./fleet.js";
import { FleetTable } from "./fleet_table.js";
import { Refusals } from "./refusals.js";
import { Selection } from "./selection.js";
import { Summary } from "./summary.js";
import { onThemeChange, setUpThemeButton } from "./theme.js";

const RETRY_MILLISECONDS = 1000;
const SILENCE_CHECK_MILLISECONDS = 1000;

const fleet = new Fleet();
const selection = new Selection();
const panels = [
  new Summary(fleet),
  new Curves(fleet),
  new Attention(fleet, selection),
  new ChainView(fleet, selection),
  new ChainTable(fleet, selection),
  new FleetTable(fleet, selection),
  new Refusals(fleet, selection),
  new Details(fleet, selection),
  new Announcer(fleet),
];

let scheduled = false;

function drawSoon() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    for (const panel of panels) panel.draw();
    if (fleet.vehicles.size && !performance.getEntriesByName("drawn").length) performance.mark("drawn");
    document.body.dataset.drawn = fleet.vehicles.size;
  });
}

function showConnection(state) {
  setAttribute(byId("connection"), "data-state", state);
  setText(byId("connection"), state === "live" ? "live" : "connection lost, trying again");
}

/** Follow the fleet: `onDocument(document)` for each event, `onState(word)` for the connection. */
function follow(onDocument, onState) {
  const source = new EventSource("/api/events");
  source.onopen = () => onState("live");
  source.onmessage = (event) => onDocument(JSON.parse(event.data));
  source.onerror = () => {
    onState("lost");
    // A refused connection closes for good: begin anew, with everything.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => follow(onDocument, onState), RETRY_MILLISECONDS);
    }
  };
}

setUpThemeButton(byId("theme"));
onThemeChange(() => {
  for (const panel of panels) panel.restyle?.();
  drawSoon();
});
selection.onChange(drawSoon);
follow((document) => {
  fleet.take(document);
  drawSoon();
}, showConnection);
// Who falls silent sends nothing that would say so.
setInterval(drawSoon, SILENCE_CHECK_MILLISECONDS);
