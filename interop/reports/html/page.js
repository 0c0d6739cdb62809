// The report's page: filters, a pair, a cell. Where one is, and the filters, are in the URL's hash.
// What is not shown is not in the document. Texts of peers are hostile: they only ever become text.
"use strict";

const FEW = 8; // the cells that fit a filter and are shown at once: the grid is below them
const narrow = matchMedia("(max-width: 44rem)").matches; // a phone: what is not the answer is folded
const STEP = narrow ? 30 : 100; // the entries of a list that are shown at once, and then each time more
const FILTERS = ["peer", "role", "version", "severity", "q", "verdict"];
const RED = ["failed", "flaky", "error", "warned"];
const MARKS = { passed: "✓", deviating: "≈", tolerated: "≈", unsupported: "–", warned: "!", failed: "✗", flaky: "✗", error: "✗" };

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const live = !$("#index").textContent;
let report; // the index, and its cells as objects
let where = new URLSearchParams();
let shown = ""; // the view, without filters
let left = null; // the link by which the overview was left, and how far it was scrolled then
const pairsLeft = new Map(); // of each pair that was left for a cell, which lists were open, and how far it was scrolled
let blocks = new Map(); // the evidence of scenarios, as promises

// --- making elements ---

/** Makes an element; a child that is a string becomes text, with odd characters made visible. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((c) => c !== "" && c != null).flatMap((c) => (typeof c === "string" ? visible(c) : c)));
  return made;
}

/** Splits a text so that control, format and lone surrogate characters show as escapes. */
function visible(text) {
  return text.split(/((?!\n)[\p{C}\p{Zl}\p{Zp}])/u).filter(Boolean).map((part) => {
    if (part === "\n" || !/^[\p{C}\p{Zl}\p{Zp}]$/u.test(part)) return part;
    const code = part.codePointAt(0).toString(16);
    const escape = document.createElement("span");
    escape.className = "esc";
    escape.textContent = code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
    return escape;
  });
}

/** Returns the first entries of a list as elements, with a button for more of them. */
function some(entries, make, { from = 0, tag = "li", count = STEP } = {}) {
  const part = entries.slice(from, from + count).map(make);
  const rest = entries.length - from - count;
  if (rest > 0) {
    const more = el(tag, {}, el("button", { type: "button", class: "quiet", click: () => {
      const next = some(entries, make, { from: from + count, tag });
      more.replaceWith(...next);
      focus(next[0].querySelector("a") ?? next[0]);
    } }, `Show ${Math.min(STEP, rest)} of ${rest.toLocaleString("en")} more`));
    part.push(more);
  }
  return part;
}

function focus(element) {
  if (!element.matches("a, button, input, select, [tabindex]")) element.tabIndex = -1;
  element.focus();
}

const fold = (title, ...parts) => el("section", {}, el("details", { class: "aside", open: !narrow }, el("summary", {}, el("h2", {}, title)), parts));
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const badge = (verdict) => el("span", { class: `badge ${verdict}` }, `${MARKS[verdict]} ${verdict}`);
const command = (text) => el("div", { class: "command" }, el("code", {}, text), el("button", { type: "button", class: "copy quiet" }, "Copy"));

// --- data ---

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

const asked = async (path) => (await fetch(path)).json();

async function load() {
  report = live ? await asked("index.json") : await unpacked($("#index").textContent);
  report.pairCells = new Map();
  report.cells = report.cells.map(([s, c, n, v, r, culprit, cause]) => {
    const { id, rule, severity, quoted } = report.scenarios[n];
    const cell = { s: report.servers[s], c: report.clients[c], n: id, rule, severity, quoted, block: n, verdict: report.verdicts[v], reason: report.reasons[r], culprit, cause };
    const key = `${cell.s} ${cell.c}`;
    if (!report.pairCells.has(key)) report.pairCells.set(key, []);
    report.pairCells.get(key).push(cell);
    return cell;
  });
  blocks = new Map();
}

async function evidence(cell) {
  if (!blocks.has(cell.block)) {
    const packed = $(`#block-${cell.block}`);
    blocks.set(cell.block, packed ? unpacked(packed.textContent) : asked(`evidence/${encodeURIComponent(cell.n)}`));
  }
  return (await blocks.get(cell.block))[`${cell.s} ${cell.c}`];
}

function api(id) {
  const [program, name] = id.split("/");
  const [peer, version = ""] = program.split("@");
  return { peer, version, name };
}

// --- where one is ---

/** Returns the hash for a place; filters stay. */
function to(place) {
  const next = new URLSearchParams();
  for (const name of FILTERS) if (where.get(name)) next.set(name, where.get(name));
  for (const [name, value] of Object.entries(place)) value ? next.set(name, value) : next.delete(name);
  return `#${next}`;
}

const link = (cell, ...words) => el("a", { href: to({ s: cell.s, c: cell.c, n: cell.n }) }, words.length ? words : cell.n);
const go = (hash) => { location.hash = hash === "#" ? "" : hash.slice(1); };

/** Returns a function that says whether a cell fits the filters. */
function filter() {
  const { peer, role, version, severity, q, verdict } = Object.fromEntries(FILTERS.map((name) => [name, where.get(name) ?? ""]));
  const verdicts = verdict ? verdict.split(",") : [];
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const side = (id) => { const found = api(id); return (!peer || found.peer === peer) && (!version || found.version === version); };
  return (cell) =>
    ((role !== "client" && side(cell.s)) || (role !== "server" && side(cell.c))) &&
    (!severity || cell.severity === severity) &&
    (!verdicts.length || verdicts.includes(cell.verdict)) &&
    (!words.length || words.every((word) => `${cell.n} ${cell.s} ${cell.c} ${cell.rule} ${cell.quoted.join(" ")} ${cell.reason}`.toLowerCase().includes(word)));
}

const isFiltered = () => FILTERS.some((name) => where.get(name));

async function route() {
  where = new URLSearchParams(location.hash.slice(1));
  const [s, c, n] = ["s", "c", "n"].map((name) => where.get(name));
  const view = s && c ? [s, c, n ?? ""].join(" ") : "";
  const before = shown;
  shown = view;
  const detail = $("#detail");
  const overview = $("#overview");
  if (view && !before) {
    const link = document.activeElement;
    left = overview.contains(link) && link.hash ? { link, top: scrollY } : null;
  }
  const pairs = [before, view].map((each) => each.split(" ").slice(0, 2).join(" "));
  const inPair = before && pairs[0] === pairs[1];
  if (inPair && n && before === `${pairs[0]} `) pairsLeft.set(pairs[0], { top: scrollY, open: opened(detail) });
  const come = inPair && !n ? before.split(" ")[2] : ""; // the cell from which one comes back
  if (!view) {
    overview.hidden = false;
    detail.hidden = true;
    detail.replaceChildren();
    document.title = `zaptools interop: ${$(".state").textContent.trim()}`;
    showFilters();
    showGrid();
    if (before) back(before);
    return;
  }
  const cells = report.pairCells.get(`${s} ${c}`) ?? [];
  const cell = n && cells.find((each) => each.n === n);
  const made = n && cell ? await cellView(cell) : pairView(s, c, cells, n, come);
  if (shown !== view) return; // another place was asked for meanwhile
  overview.hidden = true;
  detail.hidden = false;
  detail.replaceChildren(...made);
  const title = $("h1", detail);
  document.title = `${title.textContent} - zaptools interop`;
  if (before !== view) {
    const again = come && all(".scenarios a", detail).find((each) => each.textContent === come);
    if (!again) title.tabIndex = -1;
    (again || title).focus({ preventScroll: true });
    window.scrollTo({ top: (again && pairsLeft.get(pairs[1])?.top) || 0, behavior: "instant" });
    if (again) again.scrollIntoView({ block: "nearest", behavior: "instant" });
  }
}

const opened = (detail) => all("details[data-list]", detail).filter((each) => each.open).map((each) => each.dataset.list);

/** Takes up the overview where it was left; if it was not shown before, at the pair that was. */
function back(before) {
  const [server, client] = before.split(" ");
  const pair = $(`[data-pair="${CSS.escape(`${server} ${client}`)}"]`) ?? $("#main");
  if (!left) {
    pair.focus();
    return;
  }
  const { link, top } = left;
  const again = link.isConnected ? link : all("a", $("#overview")).find((each) => each.hash === link.hash && each.offsetParent);
  (again ?? pair).focus({ preventScroll: true });
  window.scrollTo({ top, behavior: "instant" });
}

// --- the grid ---

function showFilters() {
  const form = $("#filters");
  $("#filter").hidden = false;
  const apis = [...new Set([...report.servers, ...report.clients])].map(api).filter(({ peer }) => peer !== "judge");
  const peer = where.get("peer") ?? "";
  const options = (select, values, none) => {
    select.replaceChildren(el("option", { value: "" }, none), ...values.map((value) => el("option", { value }, value)));
  };
  options(form.peer, [...new Set(apis.map((each) => each.peer))], "any");
  options(form.version, [...new Set(apis.filter((each) => !peer || each.peer === peer).map((each) => each.version).filter(Boolean))], "any");
  for (const name of ["peer", "role", "version", "severity"]) form[name].value = where.get(name) ?? "";
  form.role.disabled = !peer && !where.get("version");
  if (document.activeElement !== form.q) form.q.value = where.get("q") ?? "";
  const verdicts = (where.get("verdict") ?? "").split(",");
  for (const box of all("[name=verdict]", form)) {
    box.checked = verdicts.includes(box.value);
    box.parentElement.hidden = !box.checked && !report.cells.some((cell) => cell.verdict === box.value);
  }
}

function showGrid() {
  const fits = filter();
  const filtered = isFiltered();
  const found = report.cells.filter(fits);
  const counts = new Map();
  for (const cell of found) counts.set(`${cell.s} ${cell.c}`, (counts.get(`${cell.s} ${cell.c}`) ?? 0) + 1);
  const used = new Set();
  for (const row of all("#grid tbody tr")) {
    let any = false;
    [...row.cells].forEach((box, column) => {
      const target = $("a", box);
      if (!target) return;
      const count = counts.get(target.dataset.pair) ?? 0;
      target.href = to(Object.fromEntries(target.dataset.pair.split(" ").map((id, i) => ["sc"[i], id])));
      box.classList.toggle("dimmed", filtered && !count);
      $(".matches", target).textContent = filtered && count ? counted(count, "cell") : "";
      if (count || !filtered) { any = true; used.add(column); }
    });
    row.hidden = !any;
  }
  for (const row of all("#grid tr")) [...row.cells].forEach((box, column) => { box.hidden = column > 0 && filtered && !used.has(column); });
  const links = reachable();
  links.forEach((each, i) => { each.tabIndex = i ? -1 : 0; });
  for (const row of all("#topics tbody tr")) row.hidden = filtered && !found.some((cell) => cell.n.split(".")[0] === row.dataset.topic);
  showCauses(found, filtered);
  $("#matching").textContent = filtered ? `${counted(found.length, "cell")} of ${report.cells.length.toLocaleString("en")} match${found.length === 1 ? "es" : ""}` : "";
  const matches = $("#matches");
  matches.hidden = !filtered;
  matches.replaceChildren(...(filtered ? [
    el("h2", {}, `${counted(found.length, "cell")} match${found.length === 1 ? "es" : ""}`),
    el("ul", { class: "scenarios" }, some(found, (cell) => entry(cell, true), { count: FEW })),
  ] : []));
}

/** Shows the causes that have a cell among those that were found. */
function showCauses(found, filtered) {
  const causes = new Set(found.map((cell) => `${cell.cause}`));
  const section = $("#causes");
  if (!section) return;
  for (const each of all("[data-cause]", section)) each.hidden = filtered && !causes.has(each.dataset.cause);
  for (const each of all(".more", section)) each.hidden = filtered;
  for (const each of all(".cause", section)) each.hidden = !$("[data-cause]:not([hidden])", each);
  section.hidden = !$(".cause:not([hidden])", section);
}

const reachable = () => all("#grid td a").filter((each) => each.offsetParent);

function entry(cell, pair = false) {
  return el("li", {}, badge(cell.verdict), " ", link(cell), pair && !report.outside ? el("span", { class: "sub" }, `  ${cell.s} ↔ ${cell.c}`) : "",
    cell.severity === "should" ? el("span", { class: "sub" }, "  should") : "",
    cell.culprit ? el("span", { class: "blame" }, cell.culprit === "unknown" ? "  culprit unknown" : `  ${cell.culprit} at fault`) : "",
    el("span", { class: "reason" }, cell.verdict === "passed" ? cell.rule : short(cell.reason)));
}

const short = (text, most = 300) => (text.length > most ? `${text.slice(0, most)}…` : text);

// --- a pair ---

const crumbs = (...parts) => el("nav", { class: "crumbs", "aria-label": "Where you are" }, el("a", { href: to({}) }, report.outside || "All pairs"), parts.map((part) => [el("span", { "aria-hidden": "true" }, "›"), part]));

function pairView(s, c, cells, missing, come) {
  const pair = report.pairs[`${s} ${c}`] ?? { verdict: "not run", words: "not run", deviations: [] };
  const fits = filter();
  const listed = cells.filter(fits);
  const kept = history.state?.open ?? pairsLeft.get(`${s} ${c}`)?.open; // the lists that were open
  const groups = [["Not as expected", RED], ["Known to be flaky", ["tolerated"]], ["Known deviations", ["deviating"]], ["Unsupported", ["unsupported"]], ["Passed", ["passed"]]];
  const state = { works: "passed", deviates: "deviating", broken: "failed" }[pair.verdict] ?? "";
  const absent = [report.servers.includes(s) ? "" : `no row ${s}`, report.clients.includes(c) ? "" : `no column ${c}`].filter(Boolean).join(" and ");
  const note = absent && !report.pairs[`${s} ${c}`] ? `This run has ${absent}.` : missing ? `This run has no cell ${missing} of this pair.` : "";
  return [
    crumbs(el("span", {}, report.outside ? "All scenarios" : `${s} ↔ ${c}`)),
    note ? el("p", { class: "note" }, note) : "",
    el("section", { class: `verdict ${state}` },
      el("h1", {}, s === "judge/Raw" || c === "judge/Raw" ? `${s === "judge/Raw" ? c : s} alone` : `${s} ↔ ${c}`),
      el("p", { class: "culprit" }, pair.words),
      pair.sentence ? el("p", {}, pair.sentence) : "",
      pair.cell ? el("p", {}, el("a", { class: "button", href: to({ s, c, n: pair.cell }) }, `Show ${pair.cell}`)) : "",
      pair.deviations.length ? el("ul", {}, pair.deviations.map((known) => el("li", {}, known.means ? [known.means, " ", el("span", { class: "sub" }, known.cause)] : known.cause, known.plain ? el("b", {}, " (in plain use)") : "", ": ",
        known.scenarios.slice(0, 5).map((n, i) => [i ? ", " : "", link({ s, c, n })]), known.scenarios.length > 5 ? ` and ${known.scenarios.length - 5} more` : ""))) : "",
      changes(s, c)),
    isFiltered() ? el("p", { class: "note" }, `${counted(listed.length, "cell")} of ${cells.length} fit the filter. `, el("a", { href: `#${new URLSearchParams({ s, c })}` }, "Show all")) : "",
    ...groups.map(([title, verdicts]) => {
      const found = listed.filter((cell) => verdicts.includes(cell.verdict));
      if (!found.length) return "";
      const list = el("ul", { class: "scenarios" });
      const at = found.findIndex((cell) => cell.n === come);
      const fill = () => { if (!list.children.length) list.append(...some(found, (cell) => entry(cell), { count: Math.max(STEP, at + 1) })); };
      const open = at >= 0 || (kept ? kept.includes(title) : verdicts === RED || isFiltered());
      if (open) fill();
      const toggle = ({ target }) => {
        fill();
        if (target.isConnected) history.replaceState({ open: opened($("#detail")) }, "");
      };
      return el("section", {}, el("details", { open, toggle, "data-list": title }, el("summary", {}, el("h2", {}, title), el("span", { class: "sub" }, `  ${found.length}`)), list));
    }),
  ].filter(Boolean);
}

// --- a cell ---

async function cellView(cell) {
  const found = await evidence(cell);
  const culprit = found.culprit;
  const fits = filter();
  const red = RED.includes(cell.verdict); // from a failure to the next one, in whatever pair
  const siblings = (red ? report.cells.filter((each) => RED.includes(each.verdict)) : report.pairCells.get(`${cell.s} ${cell.c}`)).filter((each) => each === cell || fits(each));
  const at = siblings.indexOf(cell);
  const step = (found, words, name) => (found ? el("a", { href: to({ s: found.s, c: found.c, n: found.n }), class: name, rel: name, title: red ? `${found.n}, ${found.s} ↔ ${found.c}` : found.n }, words) : "");
  const fault = culprit?.frame;
  const gaps = (found.rows ?? []).filter((row) => row.gap);
  const faulty = found.rows?.find((row) => row.frame === fault && fault !== undefined);
  const parts = [
    crumbs(el("a", { href: to({ s: cell.s, c: cell.c }) }, report.outside ? "All scenarios" : `${cell.s} ↔ ${cell.c}`), el("span", {}, cell.n),),
    el("section", { class: `verdict ${cell.verdict}` },
      el("h1", {}, cell.n),
      el("p", {}, badge(cell.verdict), report.outside ? ` ${report.outside}, and the testbed's judge` : ` between server ${cell.s} and client ${cell.c}`),
      el("blockquote", {}, cell.rule, el("span", { class: "sub" }, `  (a ${cell.severity})`), cell.quoted.map((rule) => el("span", { class: "quoted" }, rule.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part))))),
      culprit ? el("p", { class: "culprit" }, culprit.side === "unknown" ? "Which side is at fault is unknown" : `At fault: the ${culprit.side}, ${culprit.api}`) : "",
      faulty ? el("p", {}, el("a", { href: "#", click: (event) => { event.preventDefault(); toFault(); } }, `Frame ${fault}, ${faulty.by} → ${faulty.to}`), faulty.by === culprit.side ? " " : ", which it read wrongly or left unanswered: ", el("code", { class: "frame-text" }, short(faulty.text, 400))) : "",
      gaps.length ? el("p", {}, el("a", { href: "#", click: (event) => { event.preventDefault(); toFault(".gap"); } }, gaps[0].at === "wire" ? `Missing on the wire, from the ${gaps[0].gap}` : `Missing at the ${gaps[0].at}`), " ", el("code", { class: "frame-text" }, short(gaps[0].text.replace("missing: ", ""), 400))) : "",
      el("dl", {}, [
        ["Why", culprit?.why],
        ["Seen", cell.verdict === "passed" ? "" : found.raised || cell.reason],
        [`The ${found.told?.side} ${found.told?.verb}`, found.told && !cell.reason.includes(found.told.message) ? found.told.message : ""],
        ["Known deviation", found.excuses?.join("; ")],
        ["Expected, and not shown", found.unshown?.join("; ")],
        ["Not repaired", found.vanished],
        ["Faults injected", found.acts?.join(", ")],
        ...(found.violations ?? []),
        ...(found.runs ?? []).map((run) => [`Run ${run.run}`, `${run.verdict}${run.reason ? `: ${run.reason}` : ""}`]),
      ].filter(([, words]) => words).map(([term, words]) => [el("dt", {}, term), el("dd", {}, short(words, 2000))])),
      changes(cell.s, cell.c, cell.n)),
    timeline(cell, found.rows ?? [], fault, culprit?.side),
    difference(found.difference, cell),
    el("section", {}, el("h2", {}, "Run it again"), command(found.again), found.show ? [el("p", { class: "sub" }, "or show this record on the terminal"), command(found.show)] : ""),
    elsewhere(cell),
    fold("What ran", el("dl", {}, [["Server", cell.s], ["Client", cell.c]].map(([side, id]) => [el("dt", {}, side), el("dd", {}, id, report.peers[id] ? `: ${report.peers[id]}` : "")]))),
  ];
  parts[0].append(el("span", { class: "next" }, step(siblings[at - 1], red ? "‹ previous failure" : "‹ previous", "prev"), step(siblings[at + 1], red ? "next failure ›" : "next ›", "next")));
  return parts.filter(Boolean);
}

function timeline(cell, rows, fault, blamed) {
  const at = rows.findIndex((row) => fault !== undefined && row.frame === fault);
  const from = at < STEP ? 0 : at - 10;
  const list = el("ol", { class: "timeline" },
    el("li", { class: "head" }, el("div", {}, "ms"), el("div", { class: "server" }, `server ${cell.s}`), el("div", { class: "wire" }, "wire"), el("div", { class: "client" }, `client ${cell.c}`)),
    from ? el("li", {}, el("div", { class: "wire happened" }, `${counted(from, "earlier row")} `, el("button", { type: "button", class: "quiet", click: (event) => event.target.closest("li").replaceWith(...some(rows.slice(0, from), (row) => line(row, fault, blamed))) }, "Show"))) : "",
    some(rows, (row) => line(row, fault, blamed), { from }));
  return el("section", {}, el("h2", {}, "What happened"), rows.length ? list : el("p", { class: "sub" }, "Nothing is recorded."));
}

function line(row, fault, blamed) {
  const time = el("time", {}, row.t.toFixed(1));
  if (row.gap) return gap(row, time);
  if (row.frame === undefined) {
    const [, verb, words] = /^((?:\(\d+\) )?(?:asked|told):)?([^]*)$/.exec(row.text);
    const kind = row.at === "wire" ? "happened" : verb?.includes("asked") ? "asked" : "told";
    const text = el("div", { class: `${row.at} ${kind}${row.bad ? " bad" : ""}` }, verb ? el("b", {}, verb) : "", words, row.tail ? ` ${row.tail}` : "");
    return el("li", {}, time, text, row.at === "wire" ? "" : el("div", { class: "wire" }));
  }
  const isFault = row.frame === fault;
  return el("li", isFault ? { class: "fault", id: "fault", tabindex: "-1" } : {}, time,
    el("div", { class: "wire" }, isFault ? el("span", { class: "flag" }, row.by === blamed ? "▶ at fault" : `▶ read wrongly, or left unanswered, by the ${blamed}`) : "",
      el("div", { class: `arrow by-${row.by} to-${row.to}` }, el("span", { class: "number" }, `#${row.frame}`),
        el("span", { class: "unseen" }, ` ${row.by} to ${row.to}: `), row.by === "judge" ? " judge" : "", row.connection ? ` c${row.connection}` : "", " ",
        el("code", {}, row.text), row.tail ? el("span", { class: "sub" }, ` ${row.tail}`) : ""),
      (row.breach ?? []).map((words) => el("div", { class: "bad" }, `breach: ${words}`))));
}

/** Returns the row of what had to come and did not: a place of its own, since nothing is there. */
function gap(row, time) {
  const words = el("code", {}, row.text);
  const tail = row.tail ? el("span", { class: "sub" }, ` ${row.tail}`) : "";
  if (row.at !== "wire") return el("li", { class: "gap", tabindex: "-1" }, time, el("div", { class: row.at }, words, tail), el("div", { class: "wire" }));
  const to = row.gap === "server" ? "client" : "server";
  return el("li", { class: "gap", tabindex: "-1" }, time, el("div", { class: "wire" },
    el("div", { class: `arrow by-${row.gap} to-${to}` }, el("span", { class: "unseen" }, `${row.gap} to ${to}: `), words, tail)));
}

function toFault(what = "#fault") {
  const fault = $(what);
  fault?.scrollIntoView({ block: "center" });
  fault?.focus({ preventScroll: true });
}

function difference(found, cell) {
  if (!found) return "";
  const mine = found.side === "server" ? cell.s : cell.c;
  const words = [...new Set((found.texts ?? []).flatMap((each) => each.words))];
  const [here, there] = found.counts;
  if (here !== there) words.push(`it wrote ${counted(here, "text")}, and ${found.api} wrote ${there}`);
  return el("section", {}, el("h2", {}, `Beside ${found.api}, which passes in this place`),
    el("p", {}, words.length ? `What ${mine} wrote differs: ${words.join("; ")}.` : `${mine} wrote the same texts: the difference is in something else.`),
    some(found.texts ?? [], (each) => {
      const [one, other] = apart(each.mine, each.other);
      return el("div", { class: "texts" }, el("span", {}, mine), el("code", {}, one), el("span", {}, found.api), el("code", {}, other));
    }, { tag: "div" }));
}

/** Marks what is not the same at the beginning and the end of two texts. */
function apart(one, other) {
  const least = Math.min(one.length, other.length);
  let head = 0;
  while (head < least && one[head] === other[head]) head++;
  let tail = 0;
  while (tail < least - head && one.at(-1 - tail) === other.at(-1 - tail)) tail++;
  return [one, other].map((text) => [text.slice(0, head), head < text.length - tail ? el("mark", {}, text.slice(head, text.length - tail)) : "", tail ? text.slice(-tail) : ""]);
}

function elsewhere(cell) {
  const chips = (title, fits, name) => {
    const found = report.cells.filter((each) => each.n === cell.n && fits(each));
    return found.length < 2 ? "" : [el("h3", {}, title), el("div", { class: "elsewhere" }, found.map((each) => {
      const chip = link(each, el("span", { "aria-hidden": "true" }, `${MARKS[each.verdict]} `), name(each), el("span", { class: "unseen" }, ` ${each.verdict}`));
      chip.classList.add(each.verdict);
      if (each === cell) chip.setAttribute("aria-current", "true");
      return chip;
    }))];
  };
  const parts = [
    chips(`With client ${cell.c}`, (each) => each.c === cell.c, (each) => each.s),
    chips(`With server ${cell.s}`, (each) => each.s === cell.s, (each) => each.c),
  ].filter(Boolean);
  return parts.length ? fold("The same scenario elsewhere", parts) : "";
}

/** Returns when a cell, or a pair and its cells, changed in the runs before. */
function changes(s, c, n) {
  const { runs, pairs, cells } = report.history;
  const of = cells[`${s} ${c}`] ?? {};
  const states = n ? of[n] : pairs[`${s} ${c}`];
  const list = (states ?? []).map((each, i) => el("li", {}, `${each.verdict}${each.wire ? ", with other texts on the wire" : ""}: ${i ? "since" : "first"} ${runs[each.run]}`)).reverse();
  const lines = n ? [] : Object.entries(of).filter(([, found]) => found.at(-1).run === runs.length - 1 && found.at(-1).verdict !== found.at(-2).verdict)
    .map(([name, found]) => el("li", {}, link({ s, c, n: name }), `: ${found.at(-2).verdict} → ${found.at(-1).verdict} in this run`));
  if (!list.length && !lines.length) return runs.length > 1 ? el("p", { class: "sub" }, `The same since ${runs[0]}.`) : "";
  return el("details", { open: true }, el("summary", {}, el("h2", {}, "History")), el("ul", {}, list, lines));
}

// --- keys, buttons ---

async function copy(button) {
  const text = button.previousElementSibling.textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Select and copy";
  $("#said").textContent = done ? "Copied" : "";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

function inGrid(event, link) {
  const links = reachable();
  const place = (each) => [each.closest("tr").rowIndex, each.closest("td").cellIndex];
  const [row, column] = place(link);
  const next = {
    ArrowRight: () => links.find((each) => place(each)[0] === row && place(each)[1] > column),
    ArrowLeft: () => links.findLast((each) => place(each)[0] === row && place(each)[1] < column),
    ArrowDown: () => links.find((each) => place(each)[0] > row && place(each)[1] === column),
    ArrowUp: () => links.findLast((each) => place(each)[0] < row && place(each)[1] === column),
    Home: () => links.find((each) => place(each)[0] === row),
    End: () => links.findLast((each) => place(each)[0] === row),
  }[event.key]?.();
  if (!next) return;
  event.preventDefault();
  link.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input[type=search], select");
  const pair = event.target.closest?.("#grid td a");
  if (event.key === "Escape" && typing) event.target.blur();
  else if (event.key === "Escape" && shown) go(to(where.get("n") ? { s: where.get("s"), c: where.get("c") } : {}));
  else if (typing) return;
  else if (event.key === "/" && !shown) { event.preventDefault(); $("#filter").open = true; $("#filters").q.focus(); }
  else if (pair) inGrid(event, pair);
  else if (event.key === "ArrowLeft" && !event.target.closest("[tabindex='0']")) $(".crumbs .prev")?.click();
  else if (event.key === "ArrowRight" && !event.target.closest("[tabindex='0']")) $(".crumbs .next a.next")?.click();
});

document.addEventListener("click", (event) => {
  if (event.target.matches(".copy")) copy(event.target);
});

/** Writes the form's filters into the hash; while one types, without a new entry in the history. */
function filterBy(event) {
  const form = $("#filters");
  const next = { verdict: all("[name=verdict]:checked", form).map((box) => box.value).join(",") };
  for (const name of ["peer", "role", "version", "severity", "q"]) next[name] = form[name].value;
  if (event.target === form.peer) next.version = "";
  if (!next.peer && !next.version) next.role = "";
  const hash = to(next);
  if (event.target === form.q) { history.replaceState(null, "", hash); route(); } else go(hash);
}

const THEMES = ["auto", "light", "dark"];

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  $("#theme").textContent = `Theme: ${name}`;
  try { localStorage.setItem("theme", name); } catch { /* a file's page may have no storage */ }
}

function listen() {
  const form = $("#filters");
  form.addEventListener("input", filterBy);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { form.q.value = ""; go("#"); form.q.blur(); });
  for (const button of all(".copy")) button.hidden = false;
}

/** Shows a run while it goes on: the server tells when there are more cells. */
function follow() {
  const source = new EventSource("news");
  let busy = false;
  source.onmessage = async ({ data }) => {
    const { done, total, ended } = JSON.parse(data);
    if (ended) source.close();
    $("#live").hidden = ended;
    $("#live").textContent = `${done.toLocaleString("en")} of ${counted(total, "cell")}`;
    if (busy && !ended) return;
    busy = true;
    try { await refresh(); } finally { busy = false; }
  };
  source.onerror = () => { $("#live").textContent = "The run has gone"; };
}

async function refresh() {
  const html = await (await fetch("overview.html")).text();
  await load();
  const overview = $("#overview");
  const named = (details) => $("summary h2", details)?.textContent ?? $("summary", details).textContent;
  const open = new Map(all("details", overview).map((each) => [named(each), each.open]));
  const { activeElement } = document;
  const form = $("#filter");
  overview.innerHTML = html; // the server's templates have escaped it
  $("#filter").replaceWith(form);
  foldAsides();
  for (const each of all("details", overview)) each.open = open.get(named(each)) ?? each.open;
  for (const button of all(".copy", overview)) button.hidden = false;
  if (!where.get("n")) await route(); // a cell that is read stays as it is
  const again = activeElement.dataset.pair && $(`[data-pair="${CSS.escape(activeElement.dataset.pair)}"]`);
  if (again || form.contains(activeElement)) (again || activeElement).focus();
}

function foldAsides() {
  for (const each of all(".aside", $("#overview"))) each.open = !narrow;
}

async function start() {
  let theme = "auto";
  try { theme = localStorage.getItem("theme") ?? theme; } catch { /* as above */ }
  setTheme(THEMES.includes(theme) ? theme : "auto");
  $("#theme").hidden = false;
  $("#theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % 3]));
  listen();
  foldAsides();
  await load();
  addEventListener("hashchange", route);
  addEventListener("beforeprint", () => { for (const each of all("details")) each.open = true; });
  await route();
  $("#filter").open = !narrow || isFiltered();
  document.documentElement.dataset.ready = "";
  if (live) follow();
}

start();
