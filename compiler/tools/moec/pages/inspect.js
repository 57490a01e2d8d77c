// The page of `moec inspect`: `data` is the manifest with `file_bytes` and `sections`.
const weights = data.weights || [], layers = (data.experts || {}).layers || [];
const blocks = data.fused_blocks || [], code = data.code || [];
const palette = ["#4f86e8", "#f0a43c", "#4bb38a", "#c86fb8", "#e26d5c", "#7d8ca3", "#8a6fd1", "#57b5c9", "#b5b04a", "#a57c5b"];

addFacts([["file", bytes(data.file_bytes)], ["weights", bytes(d3.sum(weights, d => d.bytes))],
  ["segments of weights", count(weights.length)], ["layers of experts", layers.length],
  ["experts per layer", d3.max(layers, d => d.experts) || 0],
  ["instruction sets", code.map(d => d.isa.replace("x86-64-", "")).join(", ") || "none"]]);

// ---- Sections ----
const sections = data.sections.filter(d => d.bytes > 0);
const strip = addSection("Sections of the file", "In file order, by size.");
{
  const width = 1180, svg = addSvg(strip, width, 46), total = d3.sum(sections, d => d.bytes);
  // Small ones stay visible.
  const size = d => Math.max(0.012, d.bytes / total), whole = d3.sum(sections, size);
  let x = 0;
  const bars = sections.map((d, i) => { const w = width * size(d) / whole, bar = {d, x, w, i}; x += w; return bar; });
  withTip(svg.selectAll("rect").data(bars).enter().append("rect").attr("x", d => d.x).attr("width", d => d.w - 2)
    .attr("height", 34).attr("rx", 5).attr("fill", d => palette[d.i % palette.length]),
    d => `${d.d.kind} ${d.d.name}\n${bytes(d.d.bytes)} at ${count(d.d.offset)}\n${d.d.hash}`);
  const legend = strip.append("div").attr("class", "legend").selectAll("span").data(sections).enter().append("span");
  legend.append("i").style("background", (_, i) => palette[i % palette.length]);
  legend.append("span").text(d => `${d.kind} ${d.name} ${bytes(d.bytes)}`);
}

// ---- Signature ----
const type = d => `${d.type}[${d.dims.map(dim => dim === "" ? "?" : dim).join(" × ")}]`;
const signature = main.append("div").attr("class", "row");
const columns = [["name", d => d.name], ["type", type]];
addTable(addSection("Inputs", `${data.inputs.length} of them; a name stands for an extent known at run time.`, signature),
  columns, data.inputs);
addTable(addSection("Outputs", `${data.outputs.length} of them.`, signature), columns, data.outputs);

// ---- Weights ----
if (weights.length) {
  const section = addSection("Weights", "Each area is a segment of the weights section, as large as its bytes; colors are "
    + "the parts of the model that the names begin with.");
  const root = {children: new Map()};
  weights.forEach(d => {
    // Layers are levels of their own: model.layers.3.mlp.
    const parts = d.name.split(/[.\/]+/).filter(part => part);
    let node = root;
    parts.forEach((part, i) => {
      if (!node.children) node.children = new Map();
      if (!node.children.has(part)) node.children.set(part, {name: part});
      node = node.children.get(part);
      if (i === parts.length - 1) node.segments = (node.segments || []).concat(d);
    });
  });
  const toTree = (node, path) => {
    const children = Array.from(node.children ? node.children.values() : [], child => toTree(child, path.concat(child.name)));
    (node.segments || []).forEach(d => children.push({segment: d, path}));
    return {path, children};
  };
  const tree = d3.hierarchy(toTree(root, []), d => d.children).sum(d => d.segment ? d.segment.bytes : 0)
    .sort((a, b) => b.value - a.value);
  const width = 1180, height = 460;
  d3.treemap().size([width, height]).paddingInner(1).round(true)(tree);
  const group = d => {
    const number = d.data.path.findIndex(part => /^\d+$/.test(part));
    return d.data.path.slice(0, number < 0 ? Math.min(2, d.data.path.length) : number + 1).join(".");
  };
  const groups = Array.from(new Set(tree.leaves().map(group)));
  const color = name => palette[groups.indexOf(name) % palette.length];
  const svg = addSvg(section, width, height);
  const leaf = svg.selectAll("g").data(tree.leaves().filter(d => d.value > 0)).enter().append("g")
    .attr("transform", d => `translate(${d.x0},${d.y0})`);
  withTip(leaf.append("rect").attr("width", d => Math.max(0, d.x1 - d.x0)).attr("height", d => Math.max(0, d.y1 - d.y0))
    .attr("rx", 2).attr("fill", d => color(group(d))).attr("fill-opacity", d => /expert|moe|gate_up|down_proj/.test(d.data.segment.name) ? 1 : 0.7),
    d => `${d.data.segment.name}\n${d.data.segment.type}, ${d.data.segment.layout}\n${bytes(d.data.segment.bytes)}`);
  leaf.filter(d => d.x1 - d.x0 > 90 && d.y1 - d.y0 > 30).append("text").attr("x", 6).attr("y", 16)
    .style("pointer-events", "none")
    .text(d => { const room = Math.floor((d.x1 - d.x0 - 12) / 6), name = d.data.path.slice(-2).join("."); return name.length > room ? name.slice(0, room - 1) + "…" : name; });
  leaf.filter(d => d.x1 - d.x0 > 90 && d.y1 - d.y0 > 46).append("text").attr("x", 6).attr("y", 31).style("fill-opacity", 0.7)
    .style("pointer-events", "none").text(d => bytes(d.value));
  const legend = section.append("div").attr("class", "legend").selectAll("span").data(groups.slice(0, 40)).enter().append("span");
  legend.append("i").style("background", color);
  legend.append("span").text(d => d);
  addTable(section.append("details").call(d => d.append("summary").text("All segments")), [
    ["name", d => d.name], ["type", d => d.type], ["layout", d => d.layout],
    ["offset", d => count(d.offset), true], ["bytes", d => bytes(d.bytes), true]], weights);
}

// ---- Blocks ----
if (layers.length || blocks.length) {
  const row = main.append("div").attr("class", "row");
  addTable(addSection("Layers of experts", "In program order.", row), [
    ["name", d => d.name], ["experts", d => d.experts, true], ["for each token", d => d.slots, true],
    ["hidden", d => d.hidden, true], ["inner", d => d.inner, true]], layers);
  addTable(addSection("Fused", "What the compiler has fused, by the nodes it came from.", row), [
    ["nodes", d => d.slice(0, d.lastIndexOf(": "))], ["what", d => d.slice(d.lastIndexOf(": ") + 2)]], blocks);
}

// ---- Origin ----
const facts = Object.entries(data.model || {}).map(([k, v]) => ["model " + k, v])
  .concat(Object.entries(data.options || {}).map(([k, v]) => ["option " + k, v]))
  .concat([["compiler", data.compiler], ["format", data.format], ["host interface", data.host_interface]])
  .concat(code.map(d => ["code for " + d.isa, bytes(d.bytes)]));
addTable(addSection("Origin", "What it was made from, and how."), [["", d => d[0]], ["", d => "" + d[1]]], facts);
