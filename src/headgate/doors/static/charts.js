// Plots, drawn by ECharts, which is loaded with the first of them. A page gives the figures:
// <div class="plot" data-plot='{"names": ["2026-11-01", …], "lines": [{"name": "downloads", "values": [1, …]}], "kind": "bar"}'
//      data-plot-module="…" data-plot-library="…" role="img" aria-label="what it shows">

let library;

function load(address) {
  library ??= new Promise((loaded, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.addEventListener("load", () => loaded(window.echarts));
    script.addEventListener("error", failed);
    document.head.append(script);
  });
  return library;
}

export async function draw(place) {
  if (place.dataset.drawn) return;
  place.dataset.drawn = "yes";
  const echarts = await load(place.dataset.plotLibrary);
  const { names, lines, kind = "line", stacked = false } = JSON.parse(place.dataset.plot);
  const look = getComputedStyle(document.documentElement);
  const ink = look.getPropertyValue("--tblr-secondary-color").trim();
  const edge = look.getPropertyValue("--tblr-border-color").trim();
  const chart = echarts.init(place, null, { renderer: "svg" });
  chart.setOption({
    animation: false,
    color: ["#2f86d1", "#d9822b", "#2a9d5c", "#8a5cd0", "#c23b54", "#6b7a89"],
    grid: { left: 8, right: 8, top: lines.length > 1 ? 32 : 12, bottom: 4, containLabel: true },
    legend: lines.length > 1 ? { top: 0, textStyle: { color: ink } } : undefined,
    tooltip: { trigger: "axis", renderMode: "richText" },
    xAxis: { type: "category", data: names, axisLabel: { color: ink }, axisLine: { lineStyle: { color: edge } } },
    yAxis: { type: "value", minInterval: 1, axisLabel: { color: ink }, splitLine: { lineStyle: { color: edge } } },
    series: lines.map((line) => ({ name: line.name, type: kind, data: line.values, showSymbol: false,
      stack: stacked ? "all" : undefined, areaStyle: stacked ? {} : undefined })),
  });
  new ResizeObserver(() => chart.resize()).observe(place);
}
