"use strict";
/* The page: the work list, what is known of a scan, and the marks that a reader gives it. Text from outside is only ever
   put in as text. */

const $ = (name) => document.getElementById(name);
const ROW = 64; // height of a row of the list in pixels
const MOST_BESIDE = 4; // scans of a session side by side
const NO_WEBGL = "This browser has no WebGL 2, with which scans are drawn. Take a current Firefox, Chrome, Edge or Safari, and switch on its hardware acceleration. List and marks work without.";
const NO_SCAN = { mark: "", note: "", lesions: new Map(), missed: [] };

const page = {
  told: null, scans: [], order: [], at: -1, level: 0, lesion: 0, arming: false, states: new Map(), panels: [], data: new Map(), turn: 0,
};
const marks = new Marks(tell);

/* What the scripts of the folder call. */
const mriad = {
  list(told) { page.told = told; },
  scan(number, data) { page.data.get(number)?.done(data); },
};
window.mriad = mriad;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function tell(what, trouble) {
  if (what) $("kept").textContent = what;
  if (trouble === undefined) return;
  $("trouble").textContent = trouble;
  $("trouble").hidden = !trouble;
}

const number = (value, digits = 4) => {
  if (value === null || value === undefined || value === "") return "–";
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(Number(value).toPrecision(digits)));
};
const unit = (scan) => ({ ml: "ml", mm2: "mm²", px: "px" })[scan.unit] || "";
const many = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const stateOf = (scan) => page.states.get(scan.path) || NO_SCAN;
const isRead = (scan) => Boolean(stateOf(scan).mark);
const current = () => page.scans[page.at];

/* ---- start ---- */

async function start() {
  if (!page.told) return tell("", "There is no list of scans beside this page: list.js is missing or damaged.");
  page.scans = page.told.scans.map((scan, index) => ({ ...scan, index }));
  rankUncertainty();
  const { threshold, level } = page.told;
  page.level = level;
  page.draws = Boolean(document.createElement("canvas").getContext("webgl2"));
  $("detector").textContent = `${many(page.scans.length, "scan")}, anomalous above ${number(threshold)} (${page.told.rule})`;
  await marks.open();
  $("reader").value = marks.reader;
  $("download").hidden = false;
  restate();
  drawCurve();
  arrange();
  if (page.order.length) select(page.order[0]);
}

/* Ranks of scores between that of a scan and the threshold: what lies nearest is the least sure. */
function rankUncertainty() {
  const scored = page.scans.filter((scan) => scan.score !== null && scan.score !== undefined).sort((a, b) => a.score - b.score);
  const border = scored.filter((scan) => scan.score <= page.told.threshold).length - 0.5;
  scored.forEach((scan, rank) => { scan.sureness = Math.abs(rank - border); });
}

function restate() {
  page.states = marks.state(new Map(page.scans.map((scan) => [scan.path, scan.decision])));
  const read = page.scans.filter(isRead).length;
  $("progress").textContent = `${read} of ${page.scans.length} read`;
}

/* ---- the list ---- */

const ORDERS = {
  score: (a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity),
  uncertain: (a, b) => (a.sureness ?? Infinity) - (b.sureness ?? Infinity),
  size: (a, b) => (b.size ?? -1) - (a.size ?? -1),
  lesions: (a, b) => (b.lesions ?? -1) - (a.lesions ?? -1),
  path: (a, b) => a.path.localeCompare(b.path, undefined, { numeric: true }),
  given: (a, b) => a.index - b.index,
};
const FILTERS = {
  all: () => true, unread: (scan) => !isRead(scan), read: isRead, error: (scan) => Boolean(scan.error),
  anomalous: (scan) => scan.decision === 1, healthy: (scan) => scan.decision === 0,
};

function arrange() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean), choice = $("filter").value;
  const kept = FILTERS[choice] || ((scan) => stateOf(scan).mark === choice);
  page.order = page.scans
    .filter((scan) => kept(scan) && words.every((word) => `${scan.path} ${stateOf(scan).note}`.toLowerCase().includes(word)))
    .sort(ORDERS[$("order").value]).map((scan) => scan.index);
  $("shown").textContent = page.order.length === page.scans.length ? "" : `${page.order.length} of ${page.scans.length} shown`;
  $("rows").style.height = `${ROW * page.order.length}px`;
  paintList();
}

function paintList() {
  const list = $("list"), rows = $("rows");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(page.order.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
  rows.replaceChildren(...page.order.slice(first, last).map((index, place) => row(page.scans[index], first + place)));
}

function row(scan, place) {
  const state = stateOf(scan), cut = Math.max(scan.path.lastIndexOf("/"), scan.path.lastIndexOf("\\")) + 1;
  const picture = make("span", { className: "thumb" });
  if (scan.shown) picture.append(make("img", { src: `thumbs/${scan.index}.webp`, alt: "", decoding: "async" }));
  const call = scan.decision === 1 ? "anomalous" : scan.decision === 0 ? "healthy" : "not scored";
  const found = scan.lesions === undefined ? "" : scan.lesions ? `${many(scan.lesions, "lesion")}, ${number(scan.size, 3)} ${unit(scan)}` : "no lesion";
  const element = make("div", { className: `row ${scan.index === page.at ? "here" : ""} ${state.mark ? "read" : ""}`, title: scan.path },
    picture,
    make("span", { className: "words" },
      make("span", { className: "file" }, scan.path.slice(cut)),
      make("span", { className: "folder" }, scan.path.slice(0, cut) || " "),
      make("span", { className: "found" }, scan.error && (scan.decision ?? null) === null ? "could not be read" : found)),
    make("span", { className: "numbers" },
      make("b", {}, scan.score === null || scan.score === undefined ? "–" : Math.abs(scan.score) < 1000 ? scan.score.toPrecision(4) : number(scan.score)),
      make("span", { className: `call ${call.replace(" ", "-")}` }, call),
      make("span", { className: `mark mark-${state.mark}` }, state.mark || " ")));
  element.style.top = `${place * ROW}px`;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", String(scan.index === page.at));
  element.addEventListener("click", () => select(scan.index));
  return element;
}

function step(by) {
  const place = page.order.indexOf(page.at);
  const next = place < 0 ? 0 : Math.min(page.order.length - 1, Math.max(0, place + by));
  if (page.order.length) select(page.order[next]);
}

/* ---- a scan ---- */

async function select(index) {
  page.at = index;
  page.lesion = 0;
  page.now = null;
  arm(false);
  const list = $("list"), top = ROW * page.order.indexOf(index);
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  paintList();
  describe();
  await show();
}

/* The scans to show: this one, and beside it those of its session. */
function shown() {
  const scan = current();
  if (!$("show-beside").checked) return [scan];
  const others = page.scans.filter((other) => other.examination === scan.examination && other !== scan && other.shown);
  return [scan, ...others.slice(0, MOST_BESIDE - 1)].sort((a, b) => a.index - b.index);
}

async function show() {
  const turn = ++page.turn, scan = current();
  if (!page.draws) return say(NO_WEBGL);
  if (!scan.shown) {
    page.panels.forEach((panel) => { panel.element.hidden = true; });
    return say(scan.error || "There is nothing to show of this scan.");
  }
  say("Loading …", true);
  try {
    const scans = shown(), loaded = await Promise.all(scans.map((one) => load(one.index)));
    if (turn !== page.turn) return; // another one was chosen meanwhile
    page.now = loaded[scans.indexOf(scan)];
    while (page.panels.length < scans.length) await addPanel();
    if (turn !== page.turn) return;
    page.panels.forEach((panel, place) => { panel.element.hidden = place >= scans.length; });
    $("panels").style.setProperty("--columns", scans.length);
    $("panels").classList.toggle("several", scans.length > 1);
    for (const [place, one] of scans.entries()) {
      const panel = page.panels[place];
      panel.caption.textContent = [one.contrast, one.path.slice(Math.max(one.path.lastIndexOf("/"), one.path.lastIndexOf("\\")) + 1)].filter(Boolean).join("  ");
      panel.element.classList.toggle("here", one === scan);
      await panel.show(one, loaded[place], look());
      if (turn !== page.turn) return;
    }
    say("");
    describe();
    if (page.now.lesions.length) choose(1);
    else toCentre();
    windowSliders();
    ahead();
  } catch (error) {
    if (turn === page.turn) say(`This scan cannot be shown: ${error.message}`);
  }
}

function load(index) {
  if (page.data.has(index)) return page.data.get(index).promise;
  const waiting = {};
  waiting.promise = new Promise((done, failed) => {
    const element = make("script", { src: `scans/${index}.js` });
    waiting.done = (data) => { element.remove(); done(data); };
    element.onerror = () => { page.data.delete(index); element.remove(); failed(new Error(`scans/${index}.js is not there`)); };
    document.head.append(element);
  });
  page.data.set(index, waiting);
  for (const old of page.data.keys()) { // a few scans are kept, no more
    if (page.data.size <= 8) break;
    if (old !== index) page.data.delete(old);
  }
  return waiting.promise;
}

/* Fetch the next one while this is read. */
function ahead() {
  const next = page.scans[page.order[page.order.indexOf(page.at) + 1]];
  if (next?.shown) load(next.index).catch(() => {});
}

async function addPanel() {
  const panel = new Panel(follow, clicked);
  $("panels").append(panel.element);
  page.panels.push(panel);
  await panel.open();
  new ResizeObserver(() => panel.resized()).observe(panel.stage);
}

const visible = () => page.panels.filter((panel) => !panel.element.hidden && panel.data);
const mine = () => visible().find((panel) => panel.entry === current());

function look() {
  const state = stateOf(current());
  return {
    level: page.level, scale: page.told.scale, outline: $("show-outline").checked, map: $("show-map").checked, smooth: $("show-smooth").checked,
    chosen: 0, marks: new Map(), missed: state.missed,
  };
}

function relook() {
  const state = stateOf(current());
  for (const panel of visible()) {
    const here = panel.entry === current();
    panel.setLook({ ...look(), chosen: here ? page.lesion : 0, marks: here ? lesionMarks() : new Map(), missed: state.missed });
  }
}

/* The others of a session go where one of them went. */
function follow(moved) {
  const mm = moved.here();
  for (const panel of visible()) if (panel !== moved) panel.go(mm);
}

function clicked(panel) {
  if (!page.arming) return;
  arm(false);
  const place = panel.here().map((mm) => Math.round(mm * 100) / 100);
  mark({ mark: "missed", x: place[0], y: place[1], z: place[2] });
}

function toCentre() {
  const panel = mine();
  if (panel) panel.go(panel.toWorld([0.5, 0.5, 0.5]));
  if (panel) follow(panel);
  relook();
}

function say(text, soft = false) {
  $("message").textContent = text;
  $("message").hidden = !text;
  $("message").classList.toggle("soft", soft);
}

/* ---- what is known of it ---- */

function describe() {
  const scan = current(), state = stateOf(scan);
  $("name").textContent = scan.path;
  const facts = [
    ["score", scan.score === null || scan.score === undefined ? "none" : `${number(scan.score)}, threshold ${number(scan.threshold ?? page.told.threshold)}`],
    ["call", scan.decision === 1 ? "anomalous" : scan.decision === 0 ? "healthy" : "none"],
    scan.contrast && ["contrast", scan.contrast],
    scan.error && ["trouble", scan.error],
  ].filter(Boolean);
  $("facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  for (const button of $("verdict").children) {
    button.classList.toggle("on", button.dataset.mark === state.mark);
    button.setAttribute("aria-pressed", String(button.dataset.mark === state.mark));
  }
  if (document.activeElement !== $("note")) $("note").value = state.note;
  describeLesions();
}

function lesionMarks() {
  const kept = new Map(), lesions = page.now?.lesions || [];
  for (const [which, { mark, place }] of stateOf(current()).lesions) {
    if (mark && lesions[which - 1] && near(lesions[which - 1].at, place, 1)) kept.set(which, mark);
  }
  return kept;
}

function describeLesions() {
  const scan = current(), lesions = (mine() && page.now?.lesions) || [], given = lesionMarks(), state = stateOf(scan);
  $("lesions-title").textContent = scan.lesions ? `${many(scan.lesions, "lesion")} above ${number(page.told.level, 3)}` : "No lesion";
  $("rest-false").hidden = lesions.length === 0;
  const rows = lesions.map((lesion, place) => {
    const which = place + 1, mark = given.get(which) || "";
    const element = make("div", { className: `lesion ${which === page.lesion ? "here" : ""} mark-${mark}` },
      make("span", { className: "which" }, String(which)),
      make("span", {}, `${number(lesion.size, 3)} ${unit(scan)}`),
      make("span", { className: "faint", title: "highest value of the map" }, number(lesion.peak, 3)),
      ...["true", "false"].map((value) => {
        const button = make("button", { type: "button", className: mark === value ? "on" : "" }, value);
        button.addEventListener("click", (event) => { event.stopPropagation(); choose(which); markLesion(value); });
        return button;
      }));
    element.addEventListener("click", () => choose(which));
    return element;
  });
  if (scan.lesions > lesions.length && lesions.length) rows.push(make("p", { className: "faint" }, `${scan.lesions - lesions.length} smaller ones are not listed.`));
  $("lesions").replaceChildren(...rows);
  $("missed").replaceChildren(...state.missed.map((place, order) => {
    const back = make("button", { type: "button", title: "Take it back" }, "×");
    const element = make("div", { className: "lesion" }, make("span", { className: "which" }, "+"),
      make("span", {}, place.map((mm) => mm.toFixed(0)).join(", ") + (scan.volume ? " mm" : "")), make("span"), back);
    back.addEventListener("click", (event) => { event.stopPropagation(); mark({ mark: "withdrawn", x: place[0], y: place[1], z: place[2] }); });
    element.addEventListener("click", () => { mine()?.go(place); follow(mine()); });
    return element;
  }));
}

function choose(which) {
  const panel = mine(), lesion = page.now?.lesions[which - 1];
  if (!panel || !lesion) return;
  page.lesion = which;
  panel.go(lesion.peak_at);
  follow(panel);
  relook();
  describeLesions();
  $("lesions").children[which - 1]?.scrollIntoView({ block: "nearest" });
}

function nextLesion(by) {
  const count = page.now?.lesions.length || 0;
  if (count) choose(((page.lesion - 1 + by + count) % count) + 1);
}

/* ---- marks ---- */

function mark(what, more = false) {
  const scan = current();
  if (!marks.reader) {
    tell("", "Say who reads: put a name in the field at the top. The mark was not made.");
    $("reader").focus();
    return;
  }
  const state = stateOf(scan);
  marks.add({
    path: scan.path, note: what.lesion === undefined && what.mark !== "missed" && what.mark !== "withdrawn" ? state.note : "",
    score: scan.score ?? "", decision: scan.decision ?? "", lesions: scan.listed ?? "", patient: page.scans[scan.patient]?.path ?? scan.path, ...what,
  });
  if (!more) remark();
}

function remark() {
  restate();
  describe();
  relook();
  paintList();
}

function markScan(value) {
  mark({ mark: stateOf(current()).mark === value ? "" : value });
}

function markLesion(value) {
  const lesion = page.now?.lesions[page.lesion - 1];
  if (!lesion) return;
  const [x, y, z] = lesion.at;
  mark({ lesion: page.lesion, x, y, z, mark: lesionMarks().get(page.lesion) === value ? "" : value });
}

function restFalse() {
  const given = lesionMarks(), lesions = (page.now?.lesions || []).map((lesion, place) => [place + 1, ...lesion.at]).filter(([which]) => !given.has(which));
  for (const [lesion, x, y, z] of lesions) mark({ lesion, x, y, z, mark: "false" }, Boolean(marks.reader));
  remark();
}

function keepNote() {
  const scan = current();
  if (scan && $("note").value !== stateOf(scan).note) mark({ mark: stateOf(scan).mark, note: $("note").value });
}

function arm(on) {
  page.arming = on && Boolean(mine());
  document.body.classList.toggle("arming", page.arming);
  $("add-missed").classList.toggle("on", page.arming);
}

/* ---- the level and the window ---- */

const span = () => page.told.levels;
const toSlider = (level) => Math.round((1000 * (level - span()[0])) / (span()[1] - span()[0] || 1));
const fromSlider = (value) => span()[0] + ((span()[1] - span()[0]) * value) / 1000;

/* Components that a healthy val scan has on average above a level: between two levels that were counted, on the line. */
function cost(level) {
  const counted = page.told.healthy; // levels falling
  if (!counted.length) return null;
  if (level >= counted[0][0]) return 0;
  for (let place = 1; place < counted.length; place++) {
    const [above, fewer] = counted[place - 1], [below, more] = counted[place];
    if (level >= below) return above === below ? more : more + ((fewer - more) * (level - below)) / (above - below);
  }
  return null;
}

function costText(level) {
  if (!page.told.healthy.length) return "its false components are not known: an older checkpoint";
  const found = cost(level);
  if (found === null) return "below what was counted on val";
  return `${found < 0.005 ? "no" : found < 10 ? found.toFixed(2) : found.toFixed(0)} false components per healthy val scan`;
}

function setLevel(level) {
  page.level = level;
  $("level").value = toSlider(level);
  const calibrated = level === page.told.level;
  $("level-value").textContent = number(level) + (calibrated ? " (calibrated)" : "");
  $("level-cost").textContent = costText(level);
  $("level-reset").disabled = calibrated;
  cancelAnimationFrame(page.frame);
  page.frame = requestAnimationFrame(() => { if (current()) relook(); });
}

function drawCurve() {
  const { healthy, level, lesion_level: lesion, healthy_scans: scans } = page.told, [low, high] = span();
  const place = (value) => (100 * (value - low)) / (high - low || 1);
  $("calibrated").style.left = `${place(level)}%`;
  $("lesion-level").style.left = `${place(lesion ?? low)}%`;
  $("lesion-level").hidden = lesion === null;
  $("lesion-level").title = "at most one false component per healthy val scan";
  const inside = healthy.filter(([value]) => value >= low && value <= high);
  const most = Math.log1p(Math.max(1, ...inside.map(([, count]) => count)));
  const points = inside.map(([value, count]) => `${place(value).toFixed(2)},${(30 - (28 * Math.log1p(count)) / most).toFixed(2)}`);
  if (points.length > 1) {
    const curve = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    curve.setAttribute("points", points.join(" "));
    $("curve").setAttribute("viewBox", "0 0 100 31");
    $("curve").replaceChildren(curve);
  }
  const legend = [`▍calibrated ${number(level)}`];
  if (lesion !== null) legend.push(`▏one false ${number(lesion)}`);
  if (healthy.length) legend.push(`curve: ${scans} healthy val scans`);
  $("level-legend").textContent = legend.join("   ").replaceAll(/(\S) (?=\S)/g, "$1\u00a0");
  setLevel(level);
}

function windowSliders() {
  const panel = mine();
  if (!panel) return;
  const [low, high] = panel.data.window, [least, most] = panel.range, room = most - least || 1;
  page.window = { least, room };
  $("window-level").value = Math.round((1000 * ((low + high) / 2 - least)) / room);
  $("window-width").value = Math.max(1, Math.round((1000 * (high - low)) / room));
}

function setWindow() {
  const panel = mine();
  if (!panel) return;
  const middle = page.window.least + (page.window.room * $("window-level").value) / 1000, half = (page.window.room * $("window-width").value) / 2000;
  panel.window(middle - half, middle + half);
}

function resetWindow() {
  for (const panel of visible()) panel.window(...panel.data.window);
  windowSliders();
}

/* ---- hands ---- */

const KEYS = {
  ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
  ArrowRight: () => nextLesion(1), n: () => nextLesion(1), ArrowLeft: () => nextLesion(-1), p: () => nextLesion(-1),
  a: () => markScan("agree"), m: () => markScan("miss"), f: () => markScan("false"), u: () => markScan("unsure"),
  t: () => markLesion("true"), x: () => markLesion("false"), X: restFalse, c: () => arm(!page.arming), Escape: () => arm(false),
  e: () => $("note").focus(), "/": () => $("search").focus(), "?": () => $("help").showModal(), w: resetWindow, 0: () => setLevel(page.told.level),
  "[": () => setLevel(fromSlider(Math.max(0, toSlider(page.level) - 10))), "]": () => setLevel(fromSlider(Math.min(1000, toSlider(page.level) + 10))),
  o: () => $("show-outline").click(), h: () => $("show-map").click(), s: () => $("show-smooth").click(), b: () => $("show-beside").click(),
};

document.addEventListener("keydown", (event) => {
  const target = event.target, typing = target.matches("input:not([type=range]):not([type=checkbox]), textarea, select") || $("help").open;
  if (event.key === "Escape" && typing && !$("help").open) target.blur();
  const action = KEYS[event.key.length === 1 && event.key !== "X" ? event.key.toLowerCase() : event.key];
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !action || (target.type === "range" && event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  event.stopPropagation();
  if (current() || event.key === "?" || event.key === "/") action();
}, { capture: true });

$("verdict").addEventListener("click", (event) => { const button = event.target.closest("button"); if (button) markScan(button.dataset.mark); });
$("note").addEventListener("change", keepNote);
$("rest-false").addEventListener("click", restFalse);
$("add-missed").addEventListener("click", () => arm(!page.arming));
$("list").addEventListener("scroll", paintList);
for (const name of ["search", "order", "filter"]) $(name).addEventListener("input", () => { $("list").scrollTop = 0; arrange(); });
for (const name of ["order", "filter"]) $(name).addEventListener("change", () => $("list").focus());
for (const name of ["show-outline", "show-map", "show-smooth"]) $(name).addEventListener("change", relook);
$("show-beside").addEventListener("change", show);
$("level").addEventListener("input", () => setLevel(fromSlider(Number($("level").value))));
$("level-reset").addEventListener("click", () => setLevel(page.told.level));
for (const name of ["window-level", "window-width"]) $(name).addEventListener("input", setWindow);
$("window-reset").addEventListener("click", resetWindow);
$("help-button").addEventListener("click", () => $("help").showModal());
$("reader").addEventListener("change", () => { marks.rename($("reader").value); restate(); marks.told(); tell("", ""); describe(); arrange(); if (current()) relook(); });
$("download").addEventListener("click", () => {
  const link = make("a", { href: URL.createObjectURL(new Blob([marks.csv()], { type: "text/csv" })), download: "marks.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
window.addEventListener("resize", paintList);
window.addEventListener("pagehide", keepNote); // what the server has not taken waits in this browser
window.addEventListener("load", start);
