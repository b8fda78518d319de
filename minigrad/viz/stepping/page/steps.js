"use strict";
// Shows one frame at a time: what elements of the SVG it lights up, its words, and its row. See film.py for the data.
const frames = JSON.parse(document.getElementById("frames").textContent);
const last = frames.length - 1;
const at = (id) => document.getElementById(id);
const graph = at("graph");
const rows = Array.from(document.querySelectorAll("#rows tbody tr"));
const marked = {}; // "h3" -> elements
for (const element of graph.querySelectorAll("[class^=bw-]")) {
  const key = element.getAttribute("class").split(" ")[1];
  (marked[key] = marked[key] || []).push(element);
}
let now = -1;
let timer = null;

function state(key, name) {
  for (const element of marked[key] || []) {
    element.classList.toggle("now", name === "now");
    element.classList.toggle("past", name === "past");
  }
}

function show(k) {
  k = Math.max(0, Math.min(last, k));
  if (k === now) return;
  now = k;
  for (const key of Object.keys(marked)) state(key, "");
  const texts = {};
  frames.forEach((frame, i) => {
    if (i > k) return;
    for (const edge of frame.edges) state("e" + edge, i === k ? "now" : "past");
    for (const [node, text] of frame.grads) texts[node] = text;
  });
  for (const [node, text] of Object.entries(texts)) {
    state("g" + node, "past");
    for (const element of marked["g" + node] || []) element.textContent = text;
  }
  for (const node of frames[k].nodes) state("h" + node, "now");
  const head = document.createElement("h2");
  head.textContent = frames[k].head;
  const table = document.createElement("table");
  for (const row of frames[k].rows) {
    const line = table.insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
  at("words").replaceChildren(head, table);
  rows.forEach((row, i) => {
    row.classList.toggle("now", i === k);
    row.classList.toggle("past", i < k);
  });
  rows[k].scrollIntoView({ block: "nearest" });
  const halo = frames[k].nodes.length ? (marked["h" + frames[k].nodes[0]] || [])[0] : null;
  if (halo) halo.scrollIntoView({ block: "center", inline: "center" });
  at("slider").value = k;
  at("count").textContent = k === 0 ? "beginning" : k === last ? "the leaves" : "step " + k + " of " + (last - 1);
  at("first").disabled = at("previous").disabled = k === 0;
  at("last").disabled = at("next").disabled = k === last;
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => (now === last ? play(false) : show(now + 1)), 1500) : null;
  at("play").textContent = on ? "stop" : "play";
  at("play").setAttribute("aria-pressed", String(on));
}

function go(k) {
  play(false);
  show(k);
}

at("first").onclick = () => go(0);
at("previous").onclick = () => go(now - 1);
at("next").onclick = () => go(now + 1);
at("last").onclick = () => go(last);
at("slider").oninput = () => go(Number(at("slider").value));
at("play").onclick = () => {
  const on = timer === null;
  if (on && now === last) show(0);
  play(on);
};
rows.forEach((row, i) => (row.onclick = () => go(i)));
const keys = {
  ArrowRight: () => go(now + 1), ArrowLeft: () => go(now - 1), PageDown: () => go(now + 1), PageUp: () => go(now - 1),
  Home: () => go(0), End: () => go(last), " ": () => at("play").click(),
};
document.addEventListener("keydown", (event) => {
  if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === " " && event.target.tagName === "BUTTON") return; // it presses that
  event.preventDefault();
  keys[event.key]();
});
show(0);
