// Where things are drawn: dagre lays out what is seen, with boxes around groups; here is what it leaves to do.
//
//   place(model.seen(), sizes, "TB")    // {things: Map key -> {x, y, width, height}, lines: Map key -> points, ...}

const TITLE = 19; // height of a box's title
const PADDING = 8;
const LEAVES = new Set(["parameter", "leaf", "input", "detached"]);

// sizes: Map key -> [width, height] of items, width of the titles of boxes and of the labels of edges.
function place(seen, sizes, direction) {
  const across = direction === "LR" || direction === "RL";
  const graph = new dagre.graphlib.Graph({ compound: true, multigraph: true });
  const [ranksep, nodesep, edgesep] = across ? [44, 26, 22] : [30, 18, 12];
  // "DL" keeps operations in a row straight, where the mean of all four alignments drifts to where parameters lie.
  graph.setGraph({ rankdir: direction, align: "DL", ranksep, nodesep, edgesep });
  const widths = widened(seen, sizes);
  for (const item of seen.items) {
    graph.setNode(item.key, { width: widths.get(item.key), height: sizes.get(item.key)[1] });
  }
  for (const box of seen.boxes) graph.setNode(box.key, {});
  for (const thing of [...seen.boxes, ...seen.items]) if (thing.parent) graph.setParent(thing.key, thing.parent.key);
  for (const edge of seen.edges) {
    const [width, height] = sizes.get(edge.key) ?? [0, 0];
    // Operations in a row stand straight below each other.
    const weight = LEAVES.has(edge.source.kind) || edge.kind === "repeat" ? 1 : 4;
    graph.setEdge(...ends(edge), { width, height, weight, labelpos: "c" }, edge.key);
  }
  for (const [source, leaf] of orders(seen)) graph.setEdge(source.key, leaf.key, { weight: 0 }, "order");
  if (seen.items.length) dagre.layout(graph);
  straighten(graph, seen, across);
  return finished(graph, seen, sizes, across);
}

// Keys of the ends of an edge as dagre gets them. What goes back to the beginning of a repeat is turned round: else
// dagre chooses which edge of the loop goes upwards, and the flow of values may be it.
function ends(edge) {
  const keys = [edge.source.key, edge.target.key];
  return edge.kind === "repeat" ? keys.reverse() : keys;
}

// Pairs (item, leaf) that put a box's parameters below what comes into the box: else boxes that follow one another
// would stand beside each other.
function orders(seen) {
  const fed = new Set(seen.edges.map((edge) => edge.target));
  const inputs = new Map(); // box -> the last item outside of it that something in it takes from
  const place = new Map(seen.items.map((item, i) => [item, i]));
  for (const edge of seen.edges) {
    if (LEAVES.has(edge.source.kind) || edge.kind === "repeat") continue;
    const around = new Set(boxesAround(edge.source));
    for (const box of boxesAround(edge.target)) {
      if (around.has(box)) break;
      if (!inputs.has(box) || place.get(inputs.get(box)) < place.get(edge.source)) inputs.set(box, edge.source);
    }
  }
  const leaves = seen.items.filter((item) => LEAVES.has(item.kind) && !fed.has(item));
  return leaves
    .map((leaf) => [inputs.get(boxesAround(leaf).find((box) => inputs.has(box))), leaf])
    .filter(([source]) => source !== undefined);
}

function boxesAround(item) {
  const found = [];
  for (let box = item.parent; box; box = box.parent) found.push(box);
  return found;
}

// Widths to be reserved: where a box's title is wider than all in it, its first item takes the room.
function widened(seen, sizes) {
  const widths = new Map(seen.items.map((item) => [item.key, sizes.get(item.key)[0]]));
  const first = new Map();
  for (const item of seen.items) {
    for (let box = item.parent; box && !first.has(box); box = box.parent) first.set(box, item.key);
  }
  for (const box of seen.boxes) {
    const key = first.get(box);
    if (key !== undefined) widths.set(key, Math.max(widths.get(key), sizes.get(box.key)[0]));
  }
  return widths;
}

function finished(graph, seen, sizes, across) {
  const things = new Map();
  const top = (box) => graph.node(box.key).y - graph.node(box.key).height / 2;
  // Room for titles. Downwards, all that lies below a box's top moves down; across, boxes grow into the room above.
  const cuts = across ? [] : [...new Set(seen.boxes.map((box) => Math.round(top(box))))].sort((a, b) => a - b);
  const lower = (y) => y + TITLE * cuts.findLastIndex((cut) => cut < y - 1) + TITLE;
  for (const item of seen.items) {
    const [width, height] = sizes.get(item.key);
    const { x, y } = graph.node(item.key);
    things.set(item.key, { x, y: lower(y), width, height });
  }
  for (const box of seen.boxes) {
    const { x, y, width, height } = graph.node(box.key);
    const upper = across ? y - height / 2 - TITLE + PADDING : lower(y - height / 2);
    const bottom = lower(y + height / 2);
    things.set(box.key, { x, y: (upper + bottom) / 2, width, height: bottom - upper });
  }
  const lines = new Map();
  const labels = new Map();
  for (const edge of seen.edges) {
    const found = graph.edge(...ends(edge), edge.key);
    const points = found.points.map((p) => ({ x: p.x, y: lower(p.y) })).slice(1, -1);
    if (edge.kind === "repeat") points.reverse();
    const [source, target] = [things.get(edge.source.key), things.get(edge.target.key)];
    const inner = points.length ? points : [{ x: (source.x + target.x) / 2, y: (source.y + target.y) / 2 }];
    lines.set(edge.key, [border(source, inner[0]), ...inner, border(target, inner[inner.length - 1])]);
    if (sizes.has(edge.key)) labels.set(edge.key, { x: found.x, y: lower(found.y) });
  }
  return { things, lines, labels, bounds: bounds([...things.values()], [...lines.values()].flat()) };
}

// Where the line from the middle of a rectangle to a point crosses its border.
function border(box, point) {
  const [dx, dy] = [point.x - box.x, point.y - box.y];
  const steps = Math.max(Math.abs(dx) / (box.width / 2), Math.abs(dy) / (box.height / 2));
  return steps <= 1 ? { ...point } : { x: box.x + dx / steps, y: box.y + dy / steps };
}

function bounds(boxes, points) {
  const found = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { x, y, width = 0, height = 0 } of [...boxes, ...points]) {
    found.left = Math.min(found.left, x - width / 2);
    found.right = Math.max(found.right, x + width / 2);
    found.top = Math.min(found.top, y - height / 2);
    found.bottom = Math.max(found.bottom, y + height / 2);
  }
  return found.left <= found.right ? found : { left: 0, top: 0, right: 1, bottom: 1 };
}

// A smooth path along points: a uniform cubic B-spline, which stays near them and so clear of what they go around.
function smooth(points) {
  const mix = (...parts) => ["x", "y"].map((k) => parts.reduce((sum, [w, p]) => sum + w * p[k], 0).toFixed(1)).join(" ");
  const last = points[points.length - 1];
  let path = `M${mix([1, points[0]])}`;
  for (let i = 1; i < points.length && points.length > 2; i++) {
    const [a, b, c] = [points[i - 1], points[i], points[i + 1] ?? last];
    if (i === 1) path += `L${mix([5 / 6, a], [1 / 6, b])}`;
    path += `C${mix([2 / 3, a], [1 / 3, b])} ${mix([1 / 3, a], [2 / 3, b])} ${mix([1 / 6, a], [2 / 3, b], [1 / 6, c])}`;
  }
  return `${path}L${mix([1, last])}`;
}
