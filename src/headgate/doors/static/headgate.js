// What the pages do by themselves. Without it everything still works, by links and forms.
// Elements say what they want by data attributes; one listener per kind of event, on the document.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const typing = (target) => target.closest("input, textarea, select, [contenteditable]");

// Times: the server writes them, here they go on.
const STEPS = [[60, 1, "second"], [3600, 60, "minute"], [86400, 3600, "hour"], [5184000, 86400, "day"],
  [63072000, 2630016, "month"], [Infinity, 31557600, "year"]];

function ago(moment) {
  const distance = (Date.now() - moment) / 1000;
  const length = Math.abs(distance);
  if (length < 5) return "just now";
  const [, unit, word] = STEPS.find(([below]) => length < below);
  const count = Math.floor(length / unit);
  const said = `${count} ${word}${count === 1 ? "" : "s"}`;
  return distance > 0 ? `${said} ago` : `in ${said}`;
}

function tick(root = document) {
  for (const time of all("time[data-ago]", root)) {
    const said = ago(Date.parse(time.dateTime));
    if (time.textContent !== said) time.textContent = said;
  }
}
setInterval(tick, 20_000);

// Toasts go after ten seconds, unless somebody is at them.
function keepTime(toast) {
  if (toast.dataset.toast === "timed") return;
  toast.dataset.toast = "timed";
  let timer = 0;
  const begin = () => { timer = setTimeout(() => toast.remove(), 10_000); };
  const hold = () => clearTimeout(timer);
  for (const kind of ["pointerenter", "focusin"]) toast.addEventListener(kind, hold);
  for (const kind of ["pointerleave", "focusout"]) toast.addEventListener(kind, begin);
  if (!toast.classList.contains("toast-wrong")) begin();
}

export function toast(text, isWrong = false) {
  const made = document.createElement("div");
  made.className = isWrong ? "toast-said toast-wrong" : "toast-said";
  made.dataset.toast = "";
  const said = document.createElement("p");
  said.textContent = text;
  made.append(said);
  document.getElementById("toasts")?.append(made);
  keepTime(made);
}

// Copying.
async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const field = document.createElement("textarea"); // no clipboard without https
    field.value = button.dataset.copy;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
  toast("Copied");
}

// Light, dark, or as the system has it.
function switchTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const now = document.documentElement.dataset.bsTheme;
  const next = now === "dark" ? "light" : "dark";
  if (next === system) localStorage.removeItem("theme");
  else localStorage.setItem("theme", next);
  dispatchEvent(new Event("theme"));
  toast(next === system ? `Colours: ${next}, as your system has it` : `Colours: ${next}`);
}

// Dialogs.
function open(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  dialog.showModal();
  const field = dialog.querySelector("input:not([type=hidden])");
  field?.focus();
  if (id === "palette") field.select();
}

// Lists: j and k go from row to row, Enter opens, x ticks; other keys press the button that has them.
function rows() {
  return all("[data-list] [data-row]").filter((row) => row.offsetParent !== null);
}

function step(by) {
  const found = rows();
  if (!found.length) return;
  const here = found.findIndex((row) => row.classList.contains("here"));
  const next = here < 0 ? (by > 0 ? 0 : found.length - 1) : Math.min(Math.max(here + by, 0), found.length - 1);
  found.forEach((row, number) => row.classList.toggle("here", number === next));
  found[next].scrollIntoView({ block: "nearest" });
  const target = found[next].querySelector("a[href]") ?? found[next];
  if (target === found[next]) target.tabIndex = -1;
  target.focus();
}

function press(key) {
  const row = document.querySelector("[data-row].here");
  if (key === "x") { row?.querySelector("input[type=checkbox]")?.click(); return Boolean(row); }
  const named = `[data-key="${CSS.escape(key)}"]`;
  const ticked = document.querySelector("[data-list] input[type=checkbox]:checked");
  // A button that belongs to one row (data-of) is never pressed for another (data-is), which may still be on its way.
  const outside = all(named).filter((one) => !one.closest("[data-row]")
    && (!one.dataset.of || !row?.dataset.is || one.dataset.of === row.dataset.is));
  const ofTicked = (one) => "forTicked" in one.dataset;
  const button = (ticked ? outside.find(ofTicked) ?? outside[0] : null)
    ?? row?.querySelector(named) ?? outside.find((one) => !ofTicked(one));
  button?.click();
  return Boolean(button);
}

function choose(dialog, by) {
  const links = all("a[href]", dialog);
  if (!links.length) return;
  const here = links.findIndex((link) => link.classList.contains("here"));
  const next = (here + by + links.length) % links.length;
  links.forEach((link, number) => link.classList.toggle("here", number === next));
  dialog.dataset.chosen = links[next].href;
  links[next].scrollIntoView({ block: "nearest" });
}

// An answer that comes late takes nobody's choice away; typing on does.
function choiceAgain(dialog) {
  all("a[href]", dialog).find((link) => link.href === dialog.dataset.chosen)?.classList.add("here");
}
document.getElementById("palette")?.addEventListener("input", (event) => delete event.currentTarget.dataset.chosen);

function keysOfPalette(event) {
  const dialog = document.getElementById("palette");
  if (event.key === "ArrowDown") choose(dialog, 1);
  else if (event.key === "ArrowUp") choose(dialog, -1);
  else if (event.key === "Enter" && dialog.querySelector("a.here")) dialog.querySelector("a.here").click();
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    open("palette");
    return;
  }
  if (document.getElementById("palette")?.open) { keysOfPalette(event); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
  const keys = { j: () => step(1), k: () => step(-1), "?": () => open("keys"),
    "/": () => (document.querySelector("[data-filter]") ?? document.getElementById("find"))?.focus() };
  if (keys[event.key]) keys[event.key]();
  else if (!/^[a-z]$/.test(event.key) || !press(event.key)) return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const hit = (selector) => event.target.closest(selector);
  const button = hit("[data-copy], [data-opens], [data-closes], [data-dismiss], [data-theme-switch], [data-term], [data-print]");
  if (!button) {
    const row = hit("[data-row]");
    if (row) for (const one of rows()) one.classList.toggle("here", one === row);
    if (event.target instanceof HTMLDialogElement) event.target.close();
    return;
  }
  if ("copy" in button.dataset) copy(button);
  else if ("opens" in button.dataset) open(button.dataset.opens);
  else if ("closes" in button.dataset) button.closest("dialog").close();
  else if ("dismiss" in button.dataset) button.closest("[data-toast]").remove();
  else if ("themeSwitch" in button.dataset) switchTheme();
  else if ("print" in button.dataset) print();
  else addTerm(button);
});

// A chip puts its key into the filter beside it.
function addTerm(button) {
  const field = button.closest("form").querySelector("[data-filter]");
  field.value = `${field.value.trimEnd()} ${button.dataset.term}`.trimStart();
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

// What must be typed to confirm.
document.addEventListener("input", (event) => {
  const wanted = event.target.dataset.mustBe;
  if (wanted !== undefined) {
    event.target.setCustomValidity(event.target.value.trim() === wanted ? "" : `Type ${wanted} to confirm.`);
  }
});

// A box that ticks all rows of its list.
document.addEventListener("change", (event) => {
  if ("all" in event.target.dataset) {
    for (const box of all("[data-row] input[type=checkbox]", event.target.closest("[data-list]"))) box.checked = event.target.checked;
  }
});

// Files are read into the field that takes them, chosen or dropped.
async function readInto(field, file) {
  if (!field || !file) return;
  field.value = await file.text();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}
document.addEventListener("change", (event) => {
  if ("fileInto" in event.target.dataset) readInto(document.getElementById(event.target.dataset.fileInto), event.target.files[0]);
});
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => {
    const field = event.target.closest?.("[data-takes-file]");
    if (!field) return;
    event.preventDefault();
    if (kind === "drop") readInto(field, event.dataTransfer.files[0]);
  });
}

// Files of a form with data-uploads="id of a list" are sent one after the other, each with a bar; the answer says what became
// of it. Without this, the form sends them all at once.
function awaited(file) {
  const row = document.createElement("li"), bar = document.createElement("progress"), said = document.createElement("span");
  said.textContent = file.name;
  bar.max = file.size || 1;
  bar.value = 0;
  bar.setAttribute("aria-label", file.name);
  row.append(said, bar);
  return row;
}

function send(form, name, file, row) {
  const sent = new FormData(form);
  sent.delete(name);
  sent.append(name, file); // behind the proof
  const request = new XMLHttpRequest(), bar = row.querySelector("progress");
  return new Promise((resolve) => {
    request.upload.addEventListener("progress", (event) => { bar.value = Math.min(event.loaded, bar.max); });
    request.upload.addEventListener("load", () => bar.removeAttribute("value")); // it is being read and checked
    request.addEventListener("loadend", () => {
      const isRow = request.status && !request.getResponseHeader("hx-retarget");
      if (isRow) row.outerHTML = request.responseText;
      else {
        bar.remove();
        row.firstChild.textContent = `${file.name}: not sent`;
        if (request.status) document.getElementById("toasts").insertAdjacentHTML("beforeend", request.responseText);
        else toast(`The connection broke off while ${file.name} was sent.`, true);
        prepare(document);
      }
      resolve();
    });
    request.open("POST", form.action);
    request.setRequestHeader("hx-request", "true");
    request.send(sent);
  });
}

async function sendAll(form) {
  const field = form.querySelector("input[type=file][multiple]"), button = form.querySelector("[type=submit]");
  const waiting = [...field.files].map((file) => [file, awaited(file)]);
  document.getElementById(form.dataset.uploads).replaceChildren(...waiting.map(([, row]) => row));
  button.disabled = true;
  for (const [file, row] of waiting) await send(form, field.name, file, row);
  button.disabled = false;
  field.value = "";
}

document.addEventListener("submit", (event) => {
  if (!("uploads" in event.target.dataset)) return;
  event.preventDefault();
  sendAll(event.target);
});

// Progress by server-sent events.
function follow(bar) {
  if (bar.dataset.following) return;
  bar.dataset.following = "yes";
  const source = new EventSource(bar.dataset.events);
  source.addEventListener("message", (event) => {
    const { value, most, text, done } = JSON.parse(event.data);
    const progress = bar.querySelector("progress");
    if (!bar.isConnected) { source.close(); return; }
    if (most) progress.max = most;
    if (value === null) progress.removeAttribute("value");
    else if (value !== undefined) progress.value = value;
    if (text !== undefined) bar.querySelector("[data-said]").textContent = text;
    if (done) { source.close(); location.reload(); }
  });
}

// Plots: the library comes only where one is.
async function plot(root) {
  const found = all("[data-plot]", root);
  if (!found.length) return;
  const { draw } = await import(found[0].dataset.plotModule);
  found.forEach(draw);
}

function prepare(root) {
  tick(root);
  all("[data-toast]", root).forEach(keepTime);
  all("[data-events]", root).forEach(follow);
  plot(root);
}

document.addEventListener("htmx:after:swap", () => {
  prepare(document);
  all("#palette[open]").forEach(choiceAgain);
});
prepare(document);
// On a narrow screen tabs are a strip that scrolls.
all(".tabs [aria-current]").forEach((tab) => {
  const strip = tab.closest("ul");
  strip.scrollLeft = tab.offsetLeft - strip.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2;
});
