// The drawing: what is seen as SVG, the tooltip and the legend. Names come in as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const LINE = 14; // px from line to line
const BESIDE = 30; // letters of a name and a shape that stand on one line

// An element: make("rect", {class: "body"}, ...children); texts become text.
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "path", "text", "tspan", "ellipse"].includes(name);
  const element = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const ruler = document.createElement("canvas").getContext("2d");
const FONTS = { name: "600 12px ", plain: "400 12px ", small: "400 10.5px ", strong: "600 10.5px " };

function textWidth(parts) {
  const family = getComputedStyle(document.body).fontFamily;
  return parts.reduce((sum, [style, text]) => {
    ruler.font = FONTS[style] + family;
    return sum + ruler.measureText(text).width;
  }, 4 * (parts.length - 1));
}

// --- what is written -----------------------------------------------------------------------------------------------

// The lines of a node or a closed group: lists of [style, text].
function linesOf(item, show, color) {
  const first = titleOf(item);
  const lines = [first];
  const shape = [show.shapes ? item.shape : "", show.dtypes ? item.dtype : ""].filter(Boolean).join(" ");
  const letters = first.reduce((sum, [, text]) => sum + text.length, 0);
  if (shape && letters + shape.length < BESIDE) first.push(["small", shape]);
  else if (shape) lines.push([["small", shape]]);
  if (item.isGroup) {
    const inside = [item.operations, show.parameters ? item.parameters : ""].filter(Boolean).join(", ");
    if (inside) lines.push([["small", inside]]);
  } else if (item.parameters && show.parameters && item.kind === "module") {
    lines.push([["small", item.parameters]]);
  }
  const small = [...(show.lines ? item.lines ?? [] : []), ...(show.saved ? item.saved ?? [] : [])];
  if (color && item.statistics?.[color]) small.push(item.statistics[color][0]);
  for (const text of small) lines.push([["small", clipped(text)]]);
  for (const text of Object.values(item.marks ?? {})) lines.push([["strong", clipped(text)]]);
  return lines;
}

// Name and class of a group or of the module that a node stands for, or the name of an operation, and how often.
function titleOf(thing) {
  const parts = thing.name ? [["plain", thing.name]] : [];
  parts.push([thing.kind === "parameter" ? "plain" : "name", thing.title]);
  if (thing.own) parts.push(["small", thing.own]);
  if (thing.repeat) parts.push(["name", thing.repeat]);
  return parts;
}

function clipped(text, longest = 60) {
  const letters = [...text];
  return letters.length <= longest ? text : `${letters.slice(0, longest - 1).join("")}…`;
}

// The words on an edge, or "".
function labelOf(edge, show) {
  const words = edge.kind === undefined ? [] : [edge.kind === "repeat" ? edge.parts[0].label ?? "" : edge.kind];
  if (edge.count > 1) words.push(`${edge.count}×`);
  if (show.gradients) words.push(...edge.parts.slice(0, 1).map((part) => part.gradient ?? ""));
  for (const part of edge.parts) words.push(...Object.values(part.marks ?? {}));
  return clipped([...new Set(words.filter(Boolean))].join(" "), 40);
}

function written(lines, x, y, anchor) {
  const text = make("text", { "text-anchor": anchor });
  lines.forEach((parts, i) => {
    parts.forEach(([style, words], k) => {
      const start = k ? { dx: 4 } : { x, y: y + i * LINE };
      text.append(make("tspan", { class: style, ...start }, words));
    });
  });
  return text;
}

// --- nodes, boxes and edges ----------------------------------------------------------------------------------------

// The outline of a shape of DOT, around the origin.
const OUTLINES = {
  ellipse: (w, h) => [make("rect", { x: -w / 2, y: -h / 2, width: w, height: h, rx: h / 2 })],
  octagon: (w, h) => [polygon(w, h, Math.min(7, h / 3))],
  note: (w, h) => [polygon(w, h, 6, [1]), make("path", { d: `M${w / 2 - 6} ${-h / 2}v6h6`, class: "fold" })],
  box3d: (w, h) => [
    make("rect", { x: -w / 2 + 4, y: -h / 2 + 4, width: w, height: h, rx: 4 }),
    make("rect", { x: -w / 2, y: -h / 2, width: w, height: h, rx: 4 }),
  ],
  plaintext: (w, h) => [make("rect", { x: -w / 2, y: -h / 2, width: w, height: h, class: "bare" })],
  rounded: (w, h) => [make("rect", { x: -w / 2, y: -h / 2, width: w, height: h, rx: Math.min(6, h / 3) })],
  box: (w, h) => [make("rect", { x: -w / 2, y: -h / 2, width: w, height: h, rx: 1 })],
};

// A rectangle with corners cut: all, or those that are counted from the upper left.
function polygon(w, h, cut, corners = [0, 1, 2, 3]) {
  const signs = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
  const points = signs.flatMap(([sx, sy], i) => {
    const [x, y] = [(sx * w) / 2, (sy * h) / 2];
    if (!corners.includes(i)) return [[x, y]];
    const pair = [[x, y - sy * cut], [x - sx * cut, y]];
    return i % 2 ? pair.reverse() : pair;
  });
  return make("path", { d: `M${points.map((p) => p.join(" ")).join("L")}Z` });
}

function sizeOf(lines) {
  return [Math.max(30, Math.ceil(Math.max(...lines.map(textWidth))) + 18), lines.length * LINE + 10];
}

// A node or a closed group.
function drawnItem(item, place, lines, data, color) {
  const kind = data.kinds[item.isGroup ? "module" : item.kind];
  const marks = Object.keys(item.marks ?? {});
  const [mark] = Object.keys(data.marks).filter((m) => marks.includes(m));
  const look = mark ? data.marks[mark] : undefined;
  const node = make("g", {
    class: `node ${item.isGroup ? "module" : item.kind} ${marks.map(className).join(" ")}`,
    transform: `translate(${place.x.toFixed(1)} ${place.y.toFixed(1)})`,
    tabindex: 0,
    role: item.isGroup ? "button" : "img",
    "aria-label": spoken(item, data),
    "aria-expanded": item.isGroup ? "false" : undefined,
    "data-key": item.key,
    "data-id": item.id,
  });
  const style = (name, value) => node.style.setProperty(name, value);
  style("--fill", `var(--${kind.css}-fill)`);
  style("--line", `var(--${kind.css}-line)`);
  if (mark) {
    style("--line", `var(--mark-${className(mark)})`);
    style("--width", look.width);
    if (look.dashed) style("--dash", "5 3");
    if (look.shape) style("--fill", "var(--alert)");
  }
  const step = color ? item.statistics?.[color]?.[1] : undefined;
  if (step !== undefined && step !== null && !look?.shape) {
    style("--fill", data.palette[step][0]);
    style("--text", data.palette[step][1]);
    node.classList.add("coloured");
  }
  const [w, h] = [place.width, place.height];
  node.append(make("rect", { class: "halo", x: -w / 2 - 5, y: -h / 2 - 5, width: w + 10, height: h + 10, rx: 9 }));
  if ("output" in (item.marks ?? {})) {
    node.append(...OUTLINES[look?.shape ?? kind.shape](w + 6, h + 6).map((each) => (each.classList.add("ring"), each)));
  }
  const outline = OUTLINES[look?.shape ?? kind.shape](w, h);
  for (const each of outline) if (!each.classList.contains("fold")) each.classList.add("body");
  node.append(...outline, written(lines, 0, -h / 2 + LINE + 3, "middle"));
  return node;
}

// An open group.
function drawnBox(box, place, data) {
  const [mark] = Object.keys(data.marks).filter((m) => m in (box.own_marks ?? {}));
  const [x, y] = [place.x - place.width / 2, place.y - place.height / 2];
  const group = make("g", {
    class: `box ${Object.keys(box.own_marks ?? {}).map(className).join(" ")}`,
    tabindex: 0,
    role: "button",
    "aria-label": spoken(box, data),
    "aria-expanded": "true",
    "data-key": box.key,
    "data-id": box.id,
  });
  if (mark) group.style.setProperty("--line", `var(--mark-${className(mark)})`);
  if (mark && data.marks[mark].dashed) group.style.setProperty("--dash", "5 3");
  group.append(
    make("rect", { class: "body", x, y, width: place.width, height: place.height, rx: 7 }),
    make("path", { class: "sign", d: `M${x + 8} ${y + 12}h7` }),
  );
  return group;
}

// Its title, above the edges that cross it.
function drawnTitle(box, place) {
  return written([boxTitle(box)], place.x - place.width / 2 + 20, place.y - place.height / 2 + 15, "start");
}

function boxTitle(box) {
  const marks = Object.values(box.own_marks ?? {}).map((text) => ["strong", clipped(text)]);
  return [...titleOf(box), ...marks];
}

function drawnEdge(edge, points, label, data, show) {
  const marks = edge.parts.flatMap((part) => Object.keys(part.marks ?? {}));
  const [mark] = Object.keys(data.marks).filter((m) => marks.includes(m));
  const kind = edge.kind ?? "value";
  const group = make("g", { class: `edge ${kind} ${marks.map(className).join(" ")}`, "data-key": edge.key });
  group.dataset.source = edge.source.id;
  group.dataset.target = edge.target.id;
  if (mark) group.style.setProperty("--line", `var(--mark-${className(mark)})`);
  if (mark && data.marks[mark].dashed) group.style.setProperty("--dash", "5 3");
  const widths = edge.parts.map((part) => part.width).filter((w) => w !== undefined);
  if (show.gradients && widths.length) group.style.setProperty("--width", Math.max(...widths));
  const d = smooth(points);
  const head = kind === "value" ? "arrow" : `arrow-${kind}`;
  group.append(make("path", { class: "reach", d }), make("path", { class: "line", d, "marker-end": `url(#${head})` }));
  if (label) group.append(written([[["small", label.text]]], label.x, label.y + 3.5, "middle"));
  return group;
}

function className(mark) {
  return mark.replaceAll(" ", "-");
}

function spoken(item, data) {
  const kind = item.isGroup ? `module ${item.title}` : data.kinds[item.kind].words;
  const parts = [item.id, kind, item.shape, item.repeat, ...Object.values(item.marks ?? {})];
  return parts.filter(Boolean).join(", ");
}

// --- tooltip and legend --------------------------------------------------------------------------------------------

function tooltipOf(thing, data) {
  const rows = [];
  const row = (name, text) => text && rows.push([name, text]);
  if (thing.parts) {
    for (const part of thing.parts.slice(0, 12)) {
      row(part.label ?? "value", [part.shape, part.dtype, part.gradient].filter(Boolean).join(" "));
      for (const text of Object.values(part.marks ?? {})) row("", text);
    }
    if (thing.parts.length > 12) row("", `… ${thing.parts.length - 12} more`);
    return card(`${thing.source.id} → ${thing.target.id}`, thing.kind ?? "", rows, []);
  }
  row("output", [thing.shape, thing.dtype].filter(Boolean).join(" "));
  row("class", thing.isGroup && !thing.part ? thing.title : "");
  row("runs", thing.operations);
  row("parameters", thing.parameters);
  row("alike", thing.alike);
  for (const [name, text] of thing.facts ?? []) row(name, text);
  for (const text of thing.saved ?? []) row("saved", text.replace(/^keeps /, ""));
  for (const [name, [, , text]] of Object.entries(thing.statistics ?? {})) row(data.statistics[name].what, text);
  row("line", thing.place);
  const words = thing.isGroup ? "" : data.kinds[thing.kind].words;
  return card(thing.id, [words, thing.level].filter(Boolean).join(", "), rows, Object.values(thing.marks ?? {}));
}

function card(title, kind, rows, marks) {
  const table = make("table");
  for (const [name, text] of rows) table.append(make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, text)));
  const head = make("p", {}, make("b", {}, title), kind ? ` ${kind}` : "");
  return [head, ...marks.map((text) => make("p", { class: "mark" }, text)), ...(rows.length ? [table] : [])];
}

// The kinds and marks that are seen, and the scale of the statistic that colours.
function legendOf(seen, data, color) {
  const things = [...seen.items, ...seen.boxes, ...seen.edges.flatMap((edge) => edge.parts)];
  const entries = [];
  const kinds = new Set(seen.items.map((item) => (item.isGroup ? "module" : item.kind)));
  for (const [kind, look] of Object.entries(data.kinds)) {
    if (kinds.has(kind)) entries.push(swatch(look.shape, look.words, `var(--${look.css}-fill)`, `var(--${look.css}-line)`));
  }
  for (const [mark, look] of Object.entries(data.marks)) {
    if (!things.some((thing) => mark in (thing.marks ?? {}))) continue;
    const fill = look.shape ? "var(--alert)" : "none";
    const entry = swatch(look.shape ?? "rounded", look.words, fill, `var(--mark-${className(mark)})`);
    entry.style.setProperty("--width", look.width);
    if (look.dashed) entry.style.setProperty("--dash", "4 2");
    entries.push(entry);
  }
  if (color) {
    const { what, low, high, log } = data.statistics[color];
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.background = `linear-gradient(to right, ${data.palette.map(([fill]) => fill).join(", ")})`;
    const scale = low === high ? [`${what}: ${low}`] : [`${what}${log ? ", logarithmic" : ""}`];
    entries.push(make("p", { class: "scale" }, ...scale, ...(low === high ? [] : [make("span", {}, low, bar, high)])));
  }
  return entries;
}

function swatch(shape, words, fill, line) {
  const svg = make("svg", { viewBox: "-15 -10 30 20", width: 30, height: 20, "aria-hidden": "true" });
  svg.append(...OUTLINES[shape](20, 11));
  for (const each of svg.children) each.classList.add("body");
  const entry = make("p", {}, svg, words);
  entry.style.setProperty("--fill", fill);
  entry.style.setProperty("--line", line);
  return entry;
}
