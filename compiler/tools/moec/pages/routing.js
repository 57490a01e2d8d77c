// The part of a page about a routing trace: `data.routing` is what `moec routing --json` prints.
function drawRouting(routing) {
  const layers = routing.layers.map((d, i) => Object.assign({index: i, label: d.name || "layer " + i}, d));
  const served = layers.filter(d => d.tokens > 0 && d.experts > 0);
  const share = d => d3.format(".1%")(d), number = d3.format(".3f");
  addFacts([["tokens", count(d3.max(layers, d => d.tokens) || 0)], ["layers of experts", layers.length],
    ["experts per layer", d3.max(layers, d => d.experts) || 0], ["for each token", d3.max(layers, d => d.slots) || 0],
    ["mean imbalance", number(d3.mean(served, d => d.imbalance) || 0)],
    ["mean entropy", number(d3.mean(served, d => d.entropy) || 0)],
    ["shared with the token before", share(d3.mean(served, d => d.reuse) || 0)]]);
  if (!served.length) return;

  // ---- Load ----
  const load = addSection("Load of the experts", "Each row is a layer, each cell an expert; colors are its tokens as a multiple "
    + "of the mean of its layer. White cells have no token. Choose a row to see which experts it chooses together.");
  const left = 46, right = 150, width = 1180, inner = width - left - right;
  const columns = d3.max(layers, d => d.experts), cell = Math.max(7, Math.min(20, 520 / layers.length));
  const height = layers.length * cell + 34, svg = addSvg(load, width, height);
  const mean = d => d3.sum(d.loads) / d.experts;
  const worst = Math.max(2, d3.max(served, d => d.imbalance + 1));
  // The mean is in the middle of the scale, whatever the worst expert is.
  const color = d3.scaleDiverging(t => d3.interpolateRdYlBu(1 - t)).domain([0, 1, worst]).clamp(true);
  const x = d3.scaleLinear().domain([0, columns]).range([left, left + inner]);
  let chosen = served[0];
  const row = svg.selectAll("g.layer").data(layers).enter().append("g").attr("class", "layer")
    .attr("transform", d => `translate(0,${18 + d.index * cell})`).style("cursor", "pointer")
    .on("click", d => { if (d.tokens) choose(d); });
  row.append("rect").attr("class", "mark").attr("x", left - 4).attr("y", -1).attr("width", inner + 8)
    .attr("height", cell).attr("fill", "none").attr("stroke", "#16202e").attr("stroke-width", 1.5).attr("opacity", 0);
  withTip(row.selectAll("rect.cell").data(d => d.loads.map((value, expert) => ({layer: d, value, expert}))).enter()
    .append("rect").attr("class", "cell").attr("x", d => x(d.expert)).attr("height", cell - 1.5)
    .attr("width", Math.max(0.5, inner / columns - (inner / columns > 4 ? 1 : 0)))
    .attr("fill", d => d.value ? color(d.value / mean(d.layer)) : "#fff").attr("stroke", d => d.value ? "none" : "#e3e7ee"),
    d => `${d.layer.label}\nexpert ${d.expert}\n${count(d.value)} of ${count(d3.sum(d.layer.loads))} assignments, `
      + `${(d.value / (mean(d.layer) || 1)).toFixed(2)} × the mean`);
  const step = Math.ceil(14 / cell);
  row.filter(d => d.index % step === 0).append("text").attr("x", left - 10).attr("y", cell / 2 + 3)
    .attr("text-anchor", "end").text(d => d.index);
  // Imbalance beside its row.
  const bar = d3.scaleLinear().domain([0, d3.max(served, d => d.imbalance) || 1]).range([0, right - 60]);
  svg.append("text").attr("x", left).attr("y", 10).text("experts 0 to " + (columns - 1));
  svg.append("text").attr("x", left + inner + 14).attr("y", 10).text("imbalance");
  withTip(row.append("rect").attr("x", left + inner + 14).attr("y", 1).attr("height", Math.max(2, cell - 4))
    .attr("width", d => Math.max(1, bar(d.imbalance))).attr("rx", 2).attr("fill", "#4f86e8"),
    d => `${d.label}\n(max − mean) / mean = ${number(d.imbalance)}\nentropy ${number(d.entropy)}\nunused experts ${d.unused}`);
  row.filter(() => cell >= 11).append("text").attr("x", d => left + inner + 20 + Math.max(1, bar(d.imbalance)))
    .attr("y", cell / 2 + 3).text(d => d.imbalance.toFixed(2));
  const scale = load.append("div").attr("class", "legend");
  [0.25, 0.5, 1, (1 + worst) / 2, worst].forEach(v => {
    const item = scale.append("span");
    item.append("i").style("background", color(v));
    item.append("span").text(v.toFixed(2) + " × the mean");
  });

  // ---- Together ----
  const pairs = addSection("Chosen together", "");
  const text = pairs.select("p"), side = 560, area = addSvg(pairs, width, side + 24), best = area.append("g")
    .attr("transform", `translate(${side + 90},0)`), matrix = area.append("g").attr("transform", "translate(40,16)");
  function choose(layer) {
    chosen = layer;
    svg.selectAll("rect.mark").attr("opacity", d => d === chosen ? 1 : 0);
    const {experts, counts} = layer.coactivation, n = experts.length, size = side / n;
    text.text(`Layer ${layer.index}, ${layer.label}: how often a token chooses two experts, next to what independent `
      + `choices would give${n < layer.experts ? `; the ${n} busiest experts` : ""}.`);
    const cells = [];
    for (let a = 0; a < n; ++a)
      for (let b = 0; b < n; ++b) {
        if (a === b) continue;
        const expected = counts[a * n + a] * counts[b * n + b] / layer.tokens * (layer.slots - 1) / (layer.slots || 1)
          * layer.experts / Math.max(1, layer.experts - 1);
        cells.push({a, b, value: counts[a * n + b], lift: expected ? counts[a * n + b] / expected : 0});
      }
    const shade = d3.scaleDiverging(t => d3.interpolateRdYlBu(1 - t)).domain([0, 1, 3]).clamp(true);
    matrix.selectAll("*").remove();
    withTip(matrix.selectAll("rect").data(cells).enter().append("rect").attr("x", d => d.b * size)
      .attr("y", d => d.a * size).attr("width", size - (size > 4 ? 1 : 0)).attr("height", size - (size > 4 ? 1 : 0))
      .attr("fill", d => d.value ? shade(d.lift) : "#fff"),
      d => `experts ${experts[d.a]} and ${experts[d.b]}\n${count(d.value)} tokens, ${d.lift.toFixed(2)} × independent choices`);
    const every = Math.ceil(14 / size);
    matrix.selectAll("text").data(experts.filter((_, i) => i % every === 0)).enter().append("text").attr("x", -8)
      .attr("y", (_, i) => i * every * size + size / 2 + 4).attr("text-anchor", "end").text(d => d);
    best.selectAll("*").remove();
    best.append("text").attr("y", 10).style("font-weight", 600).text("Most frequent pairs");
    const top = cells.filter(d => d.a < d.b && d.value).sort((p, q) => q.value - p.value).slice(0, 20);
    const length = d3.scaleLinear().domain([0, d3.max(top, d => d.value) || 1]).range([0, 260]);
    const line = best.selectAll("g").data(top).enter().append("g").attr("transform", (_, i) => `translate(0,${24 + i * 24})`);
    line.append("text").attr("y", 13).text(d => `${experts[d.a]} + ${experts[d.b]}`);
    line.append("rect").attr("x", 90).attr("y", 2).attr("height", 15).attr("rx", 3).attr("width", d => Math.max(1, length(d.value)))
      .attr("fill", "#4bb38a");
    line.append("text").attr("x", d => 98 + length(d.value)).attr("y", 14)
      .text(d => `${share(d.value / layer.tokens)} of tokens, ${d.lift.toFixed(1)} ×`);
    if (!top.length) best.append("text").attr("y", 34).text("none");
  }
  choose(chosen);

  // ---- Table ----
  addTable(addSection("Layers", "Entropy is that of the loads, 1 where they are even. Reuse is the part of a token's experts "
    + "that the token before it chose, too."), [
    ["", d => d.index, true], ["name", d => d.label], ["experts", d => d.experts, true], ["slots", d => d.slots, true],
    ["tokens", d => count(d.tokens), true], ["imbalance", d => number(d.imbalance), true],
    ["entropy", d => number(d.entropy), true], ["unused", d => d.unused, true], ["reuse", d => share(d.reuse), true],
    ["largest weight", d => d.largest_weight ? number(d.largest_weight) : "", true]], layers);
}

if (data.routing) drawRouting(data.routing);
