"use strict";
// What of the graph is seen: the groups that are open, and the nodes, boxes and edges that this leaves.
//
//   const model = new Model(JSON.parse(text));
//   model.openWithin(1, 300);    // modules to depth 1, and no more than 300 nodes
//   model.seen();                // {items, boxes, edges}
//
// Nodes and groups are alike here: things with a key, "n3" or "g1", and a parent, a group or null. A group that is
// closed stands for all that is in it.

class Model {
  constructor(data) {
    this.data = data;
    this.nodes = data.nodes.map((node, i) => ({ ...node, key: `n${i}`, isGroup: false }));
    this.groups = data.groups.map((group, i) => ({ ...group, key: `g${i}`, isGroup: true, children: [] }));
    for (const thing of [...this.nodes, ...this.groups]) {
      thing.parent = thing.in === undefined ? null : this.groups[thing.in];
    }
    this.top = [];
    [...this.inOrder()].forEach((thing, i) => {
      thing.order = i;
      (thing.parent ? thing.parent.children : this.top).push(thing);
    });
    this.edges = data.edges.map((e) => ({ ...e, source: this.nodes[e.source], target: this.nodes[e.target] }));
    this.open = new Set();
    this.hidden = new Set(); // kinds of nodes that are not shown
  }

  // Every node after the groups around it, which come where their first node does. Groups without nodes are left out.
  inOrder() {
    const found = new Set();
    for (const node of this.nodes) {
      for (const group of this.around(node).reverse()) found.add(group);
      found.add(node);
    }
    return found;
  }

  // The groups around a thing, innermost first.
  around(thing) {
    const found = [];
    for (let group = thing.parent; group; group = group.parent) found.push(group);
    return found;
  }

  isShown(thing) {
    return thing.isGroup || !this.hidden.has(thing.kind) || "output" in (thing.marks ?? {});
  }

  // The groups that are open and in no closed one, outermost first, and what is directly in them and outside.
  walk(open = this.open) {
    const boxes = [];
    const items = [];
    const left = [this.top];
    while (left.length) {
      for (const thing of left.pop()) {
        if (!this.isShown(thing)) continue;
        if (thing.isGroup && open.has(thing)) {
          boxes.push(thing);
          left.push(thing.children);
        } else {
          items.push(thing);
        }
      }
    }
    items.sort((a, b) => a.order - b.order);
    return { boxes, items };
  }

  count(open = this.open) {
    return this.walk(open).items.length;
  }

  seen() {
    const { boxes, items } = this.walk();
    const isSeen = new Set(items);
    const stands = new Map(); // group -> the closed group that stands for it, or null
    const standsFor = (group) => {
      if (group === null) return null;
      if (!stands.has(group)) stands.set(group, standsFor(group.parent) ?? (this.open.has(group) ? null : group));
      return stands.get(group);
    };
    const edges = new Map();
    for (const edge of this.edges) {
      const source = standsFor(edge.source.parent) ?? edge.source;
      const target = standsFor(edge.target.parent) ?? edge.target;
      if ((source === target && source.isGroup) || !isSeen.has(source) || !isSeen.has(target)) continue;
      const key = `${source.key} ${target.key} ${edge.kind ?? ""}`;
      if (!edges.has(key)) edges.set(key, { key, source, target, kind: edge.kind, count: 0, parts: [] });
      const merged = edges.get(key);
      merged.count += edge.count ?? 1;
      merged.parts.push(edge);
    }
    return { boxes, items, edges: [...edges.values()] };
  }

  // Open level after level of groups, to a depth (null: all), while no more than `most` nodes are seen. True if all.
  openWithin(depth, most) {
    this.open = new Set();
    for (let level = this.top; ; ) {
      const groups = level.filter((thing) => thing.isGroup);
      if (!groups.length) return true;
      const wanted = groups.filter((group) => depth === null || group.level === undefined || group.level < depth);
      const open = new Set([...this.open, ...wanted]);
      if (!wanted.length || this.count(open) > most) return false;
      this.open = open;
      level = wanted.flatMap((group) => group.children);
    }
  }

  // Open a group, and what is around it; close others, the deepest first, where more than `limit` would be seen.
  openUp(group, limit) {
    const kept = new Set([group, ...this.around(group)]);
    for (const each of kept) this.open.add(each);
    const others = [...this.open].filter((each) => !kept.has(each));
    others.sort((a, b) => b.depth - a.depth);
    const closed = [];
    for (const other of others) {
      if (this.count() <= limit) break;
      this.open.delete(other);
      closed.push(other);
    }
    return closed;
  }

  // What is seen of a thing: itself, or the closed group that it is in.
  standIn(thing) {
    const closed = this.around(thing).filter((group) => !this.open.has(group));
    return closed.length ? closed[closed.length - 1] : thing;
  }

  // The things whose id, name, class or shape has `query` in it; nodes first, in the order in which they ran.
  search(query) {
    const wanted = query.trim().toLowerCase();
    if (!wanted) return [];
    const alike = wanted.replace(/(\d)\s*[x*,]\s*(?=\d)/g, "$1×"); // 32x64 is what is written 32×64
    const hits = (text) => text !== undefined && [wanted, alike].some((w) => text.toLowerCase().includes(w));
    return [...this.nodes, ...this.groups.filter((g) => g.children.length)].filter((thing) =>
      [thing.id, thing.title, thing.name, thing.own, ...(thing.isGroup ? [thing.label] : [thing.shape, thing.dtype])].some(hits),
    );
  }
}
