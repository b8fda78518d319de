// The page: what its controls, the mouse and the keys do. All that is drawn is drawn by redraw().

const data = JSON.parse(document.getElementById("graph").textContent);
const model = new Model(data);
const find = (id) => document.getElementById(id);
const svg = find("drawing");
const state = { color: data.options.color, show: { leaves: data.options.parameters, ...data.options }, direction: data.options.direction, hits: [], hit: -1 };
const view = { x: 0, y: 0, scale: 1 };
let drawn = null; // what place() returned, and `seen`
let elements = new Map(); // key -> element
let pinned = null; // the thing whose tooltip stays

// --- drawing -------------------------------------------------------------------------------------------------------

// Lay out and draw what is seen. `anchor`, a thing, stays where it was on the screen.
function redraw(anchor = null) {
  const held = anchor && positionOf(anchor);
  const seen = model.seen();
  const lines = new Map(seen.items.map((item) => [item.key, linesOf(item, state.show, state.color)]));
  const sizes = new Map(seen.items.map((item) => [item.key, sizeOf(lines.get(item.key))]));
  for (const box of seen.boxes) sizes.set(box.key, [textWidth(boxTitle(box)) + 34, TITLE]);
  const labels = new Map();
  for (const edge of seen.edges) {
    const text = seen.items.length > data.labelled && edge.kind === undefined ? "" : labelOf(edge, state.show);
    if (text) labels.set(edge.key, text);
    if (text) sizes.set(edge.key, [textWidth([["small", text]]) + 8, LINE]);
  }
  drawn = { ...place(seen, sizes, state.direction), seen };
  elements = new Map();
  const add = (thing, element) => (elements.set(thing.key, element), element);
  const boxes = [...seen.boxes].sort((a, b) => a.depth - b.depth);
  find("boxes").replaceChildren(...boxes.map((box) => add(box, drawnBox(box, drawn.things.get(box.key), data))));
  find("titles").replaceChildren(...boxes.map((box) => drawnTitle(box, drawn.things.get(box.key))));
  find("edges").replaceChildren(
    ...seen.edges.map((edge) => {
      const label = labels.has(edge.key) ? { text: labels.get(edge.key), ...drawn.labels.get(edge.key) } : null;
      return add(edge, drawnEdge(edge, drawn.lines.get(edge.key), label, data, state.show));
    }),
  );
  find("nodes").replaceChildren(
    ...seen.items.map((item) => add(item, drawnItem(item, drawn.things.get(item.key), lines.get(item.key), data, state.color))),
  );
  const legend = state.show.legend ? legendOf(seen, data, state.color) : [];
  legend.push(...data.notes.map((note) => make("p", { class: "note" }, note)));
  find("legend").replaceChildren(...legend);
  find("legend").hidden = !legend.length;
  pin(null);
  showHits();
  if (held) hold(anchor, held);
  const rolled = data.rolled > 1 ? `; × ${data.rolled} drawn once: viz.graph(..., roll=False) shows all` : "";
  tell(`${seen.items.length} shown, ${data.total} nodes in all${rolled}`);
}

// Where a thing, or what stands for it, is on the screen: its upper middle.
function positionOf(thing) {
  const place = drawn.things.get(thing.key) ?? drawn.things.get(model.standIn(thing).key);
  return place && { x: view.x + view.scale * place.x, y: view.y + view.scale * (place.y - place.height / 2) };
}

function hold(thing, before) {
  const now = positionOf(thing);
  if (now && before) moveTo(view.x + before.x - now.x, view.y + before.y - now.y, view.scale);
}

function tell(text) {
  find("status").textContent = text;
}

// --- moving and zooming --------------------------------------------------------------------------------------------

function moveTo(x, y, scale) {
  Object.assign(view, { x, y, scale });
  find("world").setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${scale.toFixed(4)})`);
}

// Zoom by a factor; the point (x, y) of the drawing's window stays where it is.
function zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
  const scale = Math.min(4, Math.max(0.02, view.scale * factor));
  const by = scale / view.scale;
  moveTo(x - (x - view.x) * by, y - (y - view.y) * by, scale);
}

// Show all of it; or, to `read` it, its beginning, if all of it would be too small.
function fit(read = false) {
  const { left, top, right, bottom } = drawn.bounds;
  const margin = 24;
  // Beside the legend, where there is room.
  const legend = find("legend").offsetWidth ? find("legend").offsetWidth + 14 : 0;
  const start = svg.clientWidth > 3 * legend ? legend : 0;
  const [width, height] = [svg.clientWidth - start, svg.clientHeight];
  const fits = [(width - 2 * margin) / (right - left), (height - 2 * margin) / (bottom - top)];
  const whole = Math.max(0.02, Math.min(...fits, 1.25));
  const across = { LR: "left", RL: "right" }[state.direction];
  const scale = !read || whole >= 0.75 ? whole : Math.max(0.6, Math.min(1, fits[across ? 1 : 0]));
  const room = { x: [width, left, right], y: [height, top, bottom] };
  // The middle of the window where it fits; else its beginning, along the flow, or the first node, across it.
  const at = ([length, low, high], along, reversed, first) => {
    if (scale * (high - low) <= length - 2 * margin + 1) return length / 2 - (scale * (low + high)) / 2;
    if (along) return reversed ? length - margin - scale * high : margin - scale * low;
    return length / 2 - scale * first;
  };
  const first = drawn.things.get(drawn.seen.items[0]?.key) ?? { x: 0, y: 0 };
  const x = at(room.x, Boolean(across), across === "right", first.x);
  const y = at(room.y, !across, state.direction === "BT", first.y);
  moveTo(start + x, y, scale);
}

function centre(thing) {
  const place = drawn.things.get(thing.key);
  const scale = Math.max(view.scale, 0.7);
  const y = thing.isGroup ? place.y - place.height / 2 + 40 : place.y;
  moveTo(svg.clientWidth / 2 - scale * place.x, svg.clientHeight / 2 - scale * y, scale);
}

const pointers = new Map(); // id -> {x, y}: one moves the drawing, two zoom it
let moved = 0;

svg.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  if (!pointers.size) moved = 0;
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
});
addEventListener("pointermove", (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) return;
  const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
  const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
  moved += Math.abs(dx) + Math.abs(dy);
  if (others.length) {
    const [other] = others;
    const apart = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
    const box = svg.getBoundingClientRect();
    const now = { x: event.clientX, y: event.clientY };
    zoom(apart(now) / apart(last), (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
  } else if (moved > 3) {
    svg.classList.add("moving");
    moveTo(view.x + dx, view.y + dy, view.scale);
  }
  Object.assign(last, { x: event.clientX, y: event.clientY });
});
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    svg.classList.remove("moving");
  });
}
svg.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 20 : 1;
    zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) / 400), event.clientX - box.left, event.clientY - box.top);
  },
  { passive: false },
);
find("larger").addEventListener("click", () => zoom(1.3));
find("smaller").addEventListener("click", () => zoom(1 / 1.3));
find("fit").addEventListener("click", () => fit());

// --- opening and closing -------------------------------------------------------------------------------------------

function toggle(group) {
  if (model.open.has(group)) {
    model.open.delete(group);
    redraw(group);
  } else {
    const closed = model.openUp(group, data.limit);
    redraw(group);
    if (closed.length) tell(`Closed ${closed.length} other modules: more than ${data.limit} nodes take long to lay out`);
  }
  elements.get(group.key)?.focus({ preventScroll: true });
}

function collapseAll() {
  model.open = new Set();
  redraw();
  fit();
}

function expandAll() {
  const all = model.openWithin(null, data.limit);
  redraw();
  fit(true);
  if (!all) tell(`More than ${data.limit} nodes take long to lay out: open modules one by one`);
}

find("collapse").addEventListener("click", collapseAll);
find("expand").addEventListener("click", expandAll);
for (const id of ["collapse", "expand"]) find(id).disabled = !model.groups.length;

const things = new Map([...model.nodes, ...model.groups].map((thing) => [thing.key, thing]));

function thingAt(target) {
  const element = target.closest?.("[data-key]");
  if (!element || !svg.contains(element)) return null;
  return things.get(element.dataset.key) ?? drawn.seen.edges.find((edge) => edge.key === element.dataset.key);
}

svg.addEventListener("click", (event) => {
  if (moved > 3) return;
  const thing = thingAt(event.target);
  if (thing?.isGroup) toggle(thing);
  else pin(thing === pinned ? null : thing, event);
});

// --- the tooltip ---------------------------------------------------------------------------------------------------

function showTooltip(thing, x, y, left = x) {
  const tooltip = find("tooltip");
  tooltip.replaceChildren(...tooltipOf(thing, data));
  tooltip.hidden = false;
  const [width, height] = [tooltip.offsetWidth, tooltip.offsetHeight];
  tooltip.style.left = `${Math.max(4, x + 14 + width > innerWidth ? left - width - 14 : x + 14)}px`;
  tooltip.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - height - 4))}px`;
}

function hideTooltip() {
  if (!pinned) find("tooltip").hidden = true;
}

// Keep the tooltip of a thing, and show what it is connected with; null: of none.
function pin(thing, event) {
  pinned = thing;
  for (const element of elements.values()) element.classList.remove("pinned", "linked");
  svg.classList.toggle("linking", Boolean(thing));
  find("tooltip").classList.toggle("pinned", Boolean(thing));
  if (!thing) {
    find("tooltip").hidden = true;
    return;
  }
  elements.get(thing.key)?.classList.add("pinned", "linked");
  for (const edge of drawn.seen.edges) {
    if (![edge, edge.source, edge.target].includes(thing)) continue;
    for (const each of [edge, edge.source, edge.target]) elements.get(each.key)?.classList.add("linked");
  }
  if (!event) return;
  const box = elements.get(thing.key)?.getBoundingClientRect();
  const isNode = box && drawn.things.has(thing.key);
  showTooltip(thing, isNode ? box.right : event.clientX, isNode ? box.top - 14 : event.clientY, isNode ? box.left : event.clientX);
}

svg.addEventListener("pointermove", (event) => {
  if (pinned || pointers.size) return;
  const thing = thingAt(event.target);
  if (thing && !(thing.isGroup && model.open.has(thing) && event.target.classList.contains("body"))) {
    showTooltip(thing, event.clientX, event.clientY);
  } else hideTooltip();
});
svg.addEventListener("pointerleave", hideTooltip);
svg.addEventListener("focusin", (event) => {
  const thing = thingAt(event.target);
  if (!thing || !event.target.matches(":focus-visible")) return;
  const box = event.target.getBoundingClientRect();
  const frame = svg.getBoundingClientRect();
  const outside = box.right < frame.left || box.left > frame.right || box.bottom < frame.top || box.top > frame.bottom;
  if (outside && drawn.things.has(thing.key)) centre(thing);
  const place = event.target.getBoundingClientRect();
  showTooltip(thing, place.right, Math.min(place.top, frame.bottom - 40));
});
svg.addEventListener("focusout", hideTooltip);

// --- search --------------------------------------------------------------------------------------------------------

function showHits() {
  for (const element of elements.values()) element.classList.remove("hit", "holds-hit", "current");
  const inside = new Map();
  for (const hit of state.hits) {
    const seen = model.standIn(hit);
    if (seen === hit) elements.get(hit.key)?.classList.add("hit");
    else inside.set(seen, (inside.get(seen) ?? 0) + 1);
  }
  for (const group of inside.keys()) elements.get(group.key)?.classList.add("holds-hit");
  if (state.hit >= 0) elements.get(state.hits[state.hit].key)?.classList.add("current");
  const wanted = find("search").value.trim();
  const counted = state.hit >= 0 ? `${state.hit + 1} of ${state.hits.length}` : `${state.hits.length} found`;
  find("hits").textContent = wanted ? counted : "";
  svg.classList.toggle("searching", state.hits.length > 0);
}

function search() {
  state.hits = model.search(find("search").value).filter((thing) => model.isShown(thing));
  state.hit = -1;
  showHits();
}

function goToHit(step) {
  if (!state.hits.length) return;
  const count = state.hits.length;
  state.hit = state.hit < 0 && step < 0 ? count - 1 : (state.hit + step + count) % count;
  const hit = state.hits[state.hit];
  if (model.standIn(hit) !== hit) {
    model.openUp(hit.parent, data.limit);
    redraw();
  }
  showHits();
  centre(hit);
}

find("search").addEventListener("input", search);
find("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") goToHit(event.shiftKey ? -1 : 1);
  if (event.key === "Escape") {
    event.target.value = "";
    search();
    svg.focus();
  }
});

// --- keys ----------------------------------------------------------------------------------------------------------

const KEYS = {
  "+": () => zoom(1.3),
  "=": () => zoom(1.3),
  "-": () => zoom(1 / 1.3),
  0: () => fit(),
  c: collapseAll,
  e: expandAll,
  "/": () => find("search").focus(),
  Escape: () => pin(null),
  ArrowLeft: () => moveTo(view.x + 60, view.y, view.scale),
  ArrowRight: () => moveTo(view.x - 60, view.y, view.scale),
  ArrowUp: () => moveTo(view.x, view.y + 60, view.scale),
  ArrowDown: () => moveTo(view.x, view.y - 60, view.scale),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
  const thing = thingAt(event.target);
  if (thing && (event.key === "Enter" || event.key === " ")) {
    if (thing.isGroup) toggle(thing);
    else {
      const box = event.target.getBoundingClientRect();
      pin(thing === pinned ? null : thing, { clientX: box.right, clientY: box.top });
    }
  } else if (event.key in KEYS) KEYS[event.key]();
  else return;
  event.preventDefault();
});

// --- controls ------------------------------------------------------------------------------------------------------

const SHOWN = {
  shapes: "shapes",
  dtypes: "dtypes",
  leaves: "parameters",
  parameters: "parameter counts",
  saved: "kept for backward",
  gradients: "gradients on edges",
  lines: "source lines",
  legend: "legend",
};

function setUp() {
  find("title").textContent = data.title;
  const names = Object.keys(data.statistics);
  find("color").append(make("option", { value: "" }, names.length ? "by kind" : "by kind (nothing was recorded)"));
  find("color").append(...names.map((name) => make("option", { value: name }, data.statistics[name].what)));
  find("color").value = state.color ?? "";
  find("color").disabled = !names.length;
  find("color").addEventListener("change", (event) => {
    state.color = event.target.value || null;
    redraw();
  });
  for (const [name, words] of Object.entries(SHOWN)) {
    const box = make("input", { type: "checkbox", id: `show-${name}` });
    box.checked = state.show[name];
    box.addEventListener("change", () => {
      state.show[name] = box.checked;
      hideParameters();
      redraw();
    });
    const label = make("label", {}, box, words);
    if (name === "gradients" && !data.edges.some((edge) => edge.gradient)) {
      Object.assign(box, { checked: false, disabled: true });
      label.setAttribute("title", "No gradients were recorded: give viz.graph a function and its model");
    }
    find("options").append(label);
  }
  const across = make("input", { type: "checkbox", id: "show-across" });
  across.checked = state.direction === "LR";
  across.addEventListener("change", () => {
    state.direction = across.checked ? "LR" : data.options.direction === "LR" ? "TB" : data.options.direction;
    redraw();
    fit(true);
  });
  find("options").append(make("label", {}, across, "left to right"));
  addEventListener("pointerdown", (event) => {
    if (!find("menu").contains(event.target)) find("menu").open = false;
  });
}

const hideParameters = () => (model.hidden = new Set(state.show.leaves ? [] : ["parameter"]));

setUp();
hideParameters();
model.openWithin(data.options.depth, data.options.most);
redraw();
fit(true);
document.body.classList.add("ready");
