// Boxes that follow one another stand straight below each other. dagre places them so that each lies a little beside
// the one before, and twelve blocks become a staircase.
//
//   straighten(graph, seen, across)    // changes the places in a graph that dagre.layout has laid out
//
// In each box, inner ones first, what lies at the same height is a band: it moves sideways as a whole, so nothing comes
// to overlap. Where a box is much wider than each of its bands, it shrinks to the widest; each band goes to where the
// values come straight from the band before, as far as there is room.

const STAIRS = 0.6; // of a box's width, which is wide for a band: else dagre's own places are better

function straighten(graph, seen, across) {
  // Names as for a drawing downwards: heights along the flow of values, and sideways across it.
  const [y, x, height, width] = across ? ["x", "y", "width", "height"] : ["y", "x", "height", "width"];
  const place = (thing) => graph.node(thing.key);
  const lines = seen.edges.map((edge) => {
    const found = graph.edge(...ends(edge), edge.key); // with x and y, those of the label, if it has one
    return { edge, inner: found.points.slice(1, -1), label: "x" in found ? [found] : [] };
  });
  lines.sort((a, b) => a.inner.length - b.inner.length); // short edges are the ones to be straight
  const boxes = [...seen.boxes].sort((a, b) => b.depth - a.depth);
  for (const box of [...boxes, null]) {
    // null: all of the drawing.
    const frame = box && place(box);
    const holds = (point) =>
      !frame || (Math.abs(point[x] - frame[x]) <= frame[width] / 2 && Math.abs(point[y] - frame[y]) <= frame[height] / 2);
    const within = [...seen.items, ...seen.boxes].filter((thing) => box === null || boxesAround(thing).includes(box));
    const bands = bandsOf(within.filter((thing) => thing.parent === box).map(place), y, height);
    const points = lines.flatMap((line) => [...line.inner, ...line.label]).filter(holds);
    const spans = [...within.map((thing) => [place(thing), place(thing)[width] / 2]), ...points.map((point) => [point, 0])];
    for (const [thing, half] of spans) {
      const band = bands[bandAt(bands, thing[y])];
      if (!band) continue;
      band.left = Math.min(band.left, thing[x] - half);
      band.right = Math.max(band.right, thing[x] + half);
    }
    // As narrow as the widest band: what would come straight, and does not fit, goes as near as it can.
    const left = Math.min(...bands.map((band) => band.left));
    const right = Math.max(...bands.map((band) => band.right));
    const widest = Math.max(...bands.map((band) => band.right - band.left));
    if (!bands.length || widest > STAIRS * (right - left)) continue;
    bands.forEach((band, k) => {
      const wanted = k ? bands[k - 1].shift + aside(k) : left + (widest - band.left - band.right) / 2;
      band.shift = Math.max(left - band.left, Math.min(wanted, left + widest - band.right));
    });
    for (const thing of within.map(place)) thing[x] += shiftAt(bands, thing[y]);
    for (const point of points) point[x] = Math.max(left, Math.min(point[x] + shiftAt(bands, point[y]), left + widest));
    if (frame) {
      const less = right - left - widest;
      frame[width] -= less;
      frame[x] -= less / 2;
    }

    // How far band k must move for a value from the band before to come straight down.
    function aside(k) {
      for (const { edge, inner } of lines) {
        if (LEAVES.has(edge.source.kind) || edge.kind === "repeat") continue;
        const path = [place(edge.source), ...inner, place(edge.target)].filter(holds);
        const at = path.map((point) => bandAt(bands, point[y]));
        const last = at.lastIndexOf(k - 1);
        const next = at.indexOf(k);
        if (last >= 0 && next >= 0) return path[last][x] - path[next][x];
      }
      return 0;
    }
  }
}

// Heights in which something lies, from the least to the largest: {start, end, left, right}.
function bandsOf(places, y, height) {
  const found = [];
  for (const place of [...places].sort((a, b) => a[y] - a[height] / 2 - (b[y] - b[height] / 2))) {
    const [start, end] = [place[y] - place[height] / 2, place[y] + place[height] / 2];
    const last = found[found.length - 1];
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else found.push({ start, end, left: Infinity, right: -Infinity });
  }
  return found;
}

// The number of the band at a height, or -1.
function bandAt(bands, y) {
  return bands.findIndex((band) => band.start <= y && y <= band.end);
}

// How far to move what is at a height: as its band; between two bands, by what is between their shifts.
function shiftAt(bands, y) {
  const next = bands.findIndex((band) => y <= band.end);
  if (next < 0) return bands[bands.length - 1].shift;
  const [a, b] = [bands[Math.max(next - 1, 0)], bands[next]];
  if (y >= b.start || a === b) return b.shift;
  return a.shift + ((b.shift - a.shift) * (y - a.end)) / (b.start - a.end);
}
