// What the pages share: parts of a page, made with d3. `data` is the content of the page.
const tip = d3.select("body").append("div").attr("id", "tip");
const main = d3.select("main");
const count = d3.format(",d");

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  return (unit && value < 100 ? value.toFixed(1) : value.toFixed(0)) + " " + units[unit];
}

// Shows `text(d)` beside the mouse.
function withTip(selection, text) {
  return selection
    .on("mousemove", function (d) {
      const x = d3.event.clientX, y = d3.event.clientY, right = x > window.innerWidth - 440;
      tip.style("opacity", 1).text(text(d)).style("top", y + 14 + "px")
        .style("left", right ? null : x + 14 + "px").style("right", right ? window.innerWidth - x + 14 + "px" : null);
    })
    .on("mouseleave", () => tip.style("opacity", 0));
}

function addFacts(facts) {
  const box = main.append("div").attr("class", "facts").selectAll("div").data(facts).enter().append("div")
    .attr("class", "fact");
  box.append("b").text(d => d[1]);
  box.append("span").text(d => d[0]);
}

function addSection(title, text, parent = main) {
  const section = parent.append("section");
  section.append("h2").text(title);
  section.append("p").text(text);
  return section;
}

// `columns`: [title, value of a row, whether it is a number].
function addTable(section, columns, rows) {
  const table = section.append("div").attr("class", "scroll").append("table");
  const name = column => column[2] ? "number" : null;
  table.append("thead").append("tr").selectAll("th").data(columns).enter().append("th").attr("class", name)
    .text(d => d[0]);
  table.append("tbody").selectAll("tr").data(rows).enter().append("tr").selectAll("td")
    .data(row => columns.map(column => [column, column[1](row)])).enter().append("td")
    .attr("class", d => name(d[0])).text(d => d[1]);
}

function addSvg(section, width, height) {
  return section.append("svg").attr("viewBox", `0 0 ${width} ${height}`);
}
