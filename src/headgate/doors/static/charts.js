// Plots, drawn by ECharts, which is loaded with the first of them. A page gives the figures:
// <div class="plot" data-plot='{"names": ["2026-11-01", …], "lines": [{"name": "downloads", "values": [1, …]}], "kind": "bar"}'
//      data-plot-module="…" data-plot-library="…" role="img" aria-label="what it shows">
// Colours are those of headgate.css, and change with the theme. Nothing moves.

let library;
const drawn = new Set();

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

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

function bytes(value) {
  const step = value < 1000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), UNITS.length - 1);
  return `${NUMBER.format(value / 1000 ** step)} ${UNITS[step]}`;
}

function seconds(value) {
  if (value < 90 && value !== 60) return `${NUMBER.format(value)} s`;
  return value < 7200 ? `${NUMBER.format(value / 60)} min` : `${NUMBER.format(value / 3600)} h`;
}

// How a figure is said: at an axis, and in full.
const SAID = {
  count: [(value) => SHORT.format(value), (value) => NUMBER.format(value)],
  bytes: [bytes, bytes],
  seconds: [seconds, seconds],
};

// Ticks of times at whole minutes and hours, at most five of them.
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
function ticksOf(lines) {
  const most = Math.max(...lines.flatMap((line) => line.values));
  const interval = STEPS.find((step) => most / step <= 5) ?? 172800;
  return { interval, max: Math.ceil(most / interval) * interval };
}

const day = (name) => (/^\d{4}-\d\d-\d\d$/.test(name) ? name.slice(5) : name);
const shortened = (name) => (name.length > 22 ? `${name.slice(0, 21)}…` : name);

function options({ names, lines, kind = "line", stacked = false, unit = "count", lying = false }) {
  const look = getComputedStyle(document.documentElement);
  const colour = (name) => look.getPropertyValue(name).trim();
  const ink = colour("--tblr-secondary-color");
  const edge = colour("--tblr-border-color");
  const [atAxis, inFull] = SAID[unit];
  const category = { type: "category", data: names, inverse: lying, axisTick: { show: false },
    axisLabel: { color: ink, formatter: lying ? shortened : day }, axisLine: { lineStyle: { color: edge } } };
  const value = { type: "value", minInterval: unit === "count" ? 1 : undefined, splitNumber: 4, ...(unit === "seconds" ? ticksOf(lines) : {}),
    axisLabel: { color: ink, formatter: atAxis, hideOverlap: true }, splitLine: { lineStyle: { color: edge } } };
  const several = lines.length > 1;
  return {
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 4, right: 16, top: several ? 40 : 12, bottom: 4, containLabel: true },
    legend: several ? { top: 0, left: 0, type: "scroll", icon: "roundRect", itemWidth: 12, itemHeight: 12,
      textStyle: { color: ink }, inactiveColor: edge, pageTextStyle: { color: ink }, pageIconColor: ink } : undefined,
    tooltip: { trigger: "axis", renderMode: "richText", axisPointer: { type: kind === "bar" ? "shadow" : "line" }, confine: true,
      backgroundColor: colour("--tblr-bg-surface"), borderColor: edge, textStyle: { color: colour("--tblr-body-color") },
      valueFormatter: (figure) => (figure === null || figure === undefined ? "–" : inFull(figure)) },
    xAxis: lying ? value : category,
    yAxis: lying ? category : value,
    series: lines.map((line, number) => ({ name: line.name, type: kind, data: line.values,
      stack: stacked ? "all" : undefined, barMaxWidth: 26, connectNulls: true, symbol: "circle", symbolSize: 6,
      showAllSymbol: true, showSymbol: line.values.filter((one) => one !== null).length < 40,
      color: colour(line.colour ?? `--plot-${(number % 6) + 1}`),
      // An edge in the colour of the ground keeps neighbours apart for whoever does not tell their colours.
      itemStyle: kind === "bar" ? { borderColor: colour("--tblr-bg-surface"), borderWidth: stacked && names.length < 60 ? 1 : 0 } : undefined })),
  };
}

export async function draw(place) {
  if (place.dataset.drawn) return;
  place.dataset.drawn = "yes";
  const echarts = await load(place.dataset.plotLibrary);
  const figures = JSON.parse(place.dataset.plot);
  if (figures.lying) place.style.height = `${Math.max(figures.names.length * 34 + 76, 130)}px`;
  const chart = echarts.init(place, null, { renderer: "svg" });
  chart.setOption(options(figures));
  drawn.add([place, chart, figures]);
  new ResizeObserver(() => chart.resize()).observe(place);
}

function redraw() {
  for (const one of drawn) {
    const [place, chart, figures] = one;
    if (place.isConnected) chart.setOption(options(figures), true);
    else { chart.dispose(); drawn.delete(one); }
  }
}

// After theme.js has heard of it.
addEventListener("theme", () => queueMicrotask(redraw));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(redraw));
