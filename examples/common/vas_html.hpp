// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// An address space as one HTML file that needs nothing but a browser: no network, no name that could become markup.

#include "json.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace examples {

namespace detail {

inline constexpr std::string_view vas_page_head = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';
  img-src data:">
<link rel="icon" href="data:,">
<title>Address space</title>
<style>
:root { color-scheme: light; --paper: #fff; --ink: #1b1b1b; --dim: #666; --line: #ccc; --panel: #f4f4f2; --mark: #ffe08a }
:root[data-theme=dark] { color-scheme: dark; --paper: #16181c; --ink: #e8e8e8; --dim: #9aa0a6; --line: #3a3f46; --panel: #20242a;
  --mark: #5a4a10 }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 13px/1.4 system-ui, sans-serif; display: flex;
  flex-direction: column; height: 100vh }
header { background: var(--panel); border-bottom: 1px solid var(--line); padding: 8px 12px }
h1 { font-size: 16px; margin: 0 0 4px }
#sums { color: var(--dim) }
.tools { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 6px; align-items: center }
input, button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: 4px;
  padding: 2px 8px }
#search { flex: 1 1 220px }
#classes { display: flex; flex-wrap: wrap; gap: 2px 10px; margin-top: 6px; max-height: 96px; overflow: auto }
#classes label { white-space: nowrap }
.chip { display: inline-block; width: 12px; height: 12px; border: 1px solid #0006; vertical-align: -2px; margin-right: 3px }
#map { flex: 1; overflow: auto; position: relative }
.row { position: absolute; left: 0; right: 0; display: flex; gap: 8px; border-top: 1px solid var(--line); overflow: hidden;
  cursor: default; white-space: pre }
.row:hover, .row:focus { outline: 2px solid var(--ink); outline-offset: -2px; z-index: 1 }
.row.hit { background: var(--mark) }
.address { flex: 0 0 20ch; text-align: right; font-family: ui-monospace, monospace; color: var(--dim) }
.fill { flex: 0 0 64px }
.what { font-family: ui-monospace, monospace }
.alarm { font-weight: bold; color: #d00 }
:root[data-theme=dark] .alarm { color: #ff7b72 }
#facts { position: fixed; right: 12px; bottom: 12px; max-width: min(680px, 90vw); background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px;
  padding: 8px 12px; font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  box-shadow: 0 4px 16px #0005; pointer-events: none }
#facts:empty { display: none }
@media print {
  body { display: block; height: auto }
  .tools, #facts { display: none }
  #map { overflow: visible; height: auto !important }
  .row { position: static; height: auto !important; break-inside: avoid }
  .fill { min-height: 14px; print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
</style>
</head>
<body>
<header>
<h1 id="title"></h1>
<div id="sums"></div>
<div class="tools">
<input id="search" type="search" placeholder="Search: 0x7f00…, a name, a class; 0x7f00…-0x7f10… zooms" aria-label="Search">
<button id="next">Next</button>
<button id="in" title="To what was found; a double click or Enter on a range does the same">Zoom in</button>
<button id="out">Zoom out</button>
<button id="user">User half</button>
<button id="kernel">Kernel's half</button>
<button id="all">All</button>
<span id="zoomed"></span>
<label><input id="linear" type="checkbox"> linear</label>
<button id="none">No classes</button>
<button id="every">Every class</button>
<button id="theme">Light / dark</button>
</div>
<div id="classes"></div>
</header>
<div id="map" role="list" aria-label="Address space, highest address first"></div>
<div id="facts" role="status"></div>
<script type="application/json" id="data">)html";

inline constexpr std::string_view vas_page_tail = R"html(</script>
<script>
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const colors = {text: '#d55e00', library_text: '#d55e00', rodata: '#0072b2', relro: '#0072b2',
  library_rodata: '#0072b2', library_relro: '#0072b2',
  data: '#009e73', bss: '#009e73', library_data: '#009e73', library_bss: '#009e73', heap: '#e69f00',
  malloc_arena: '#e69f00', main_stack: '#56b4e9',
  thread_stack: '#56b4e9', shadow_stack: '#56b4e9', dynamic_linker: '#a06aa0', anonymous: '#f0e442',
  named_anonymous: '#f0e442', huge_pages: '#f0e442',
  jit_code: '#ff0000', file_mapping: '#cc79a7', vdso: '#bbbbbb', vvar: '#bbbbbb', vsyscall: '#bbbbbb', kernel_page: '#bbbbbb'};
const empty = new Set(['gap', 'null_page', 'non_canonical', 'stack_growth', 'stack_guard_gap', 'unassigned']);
const closed = new Set(['guard', 'reserved', 'arena_reserve', 'guard_hole']);
function fillOf(kind) {
  if (empty.has(kind)) return 'none';
  if (closed.has(kind)) return 'repeating-linear-gradient(45deg, #888 0 3px, transparent 3px 8px)';
  const color = colors[kind] || (data.kernelClasses.includes(kind) ? '#7a86b8' : '#44aa99');
  if (/rodata|relro/.test(kind)) return `repeating-linear-gradient(0deg, ${color} 0 4px, #fff6 4px 6px), ${color}`;
  if (/data|bss/.test(kind)) return `repeating-linear-gradient(90deg, ${color} 0 6px, #fff6 6px 8px), ${color}`;
  if (/stack/.test(kind)) return `repeating-linear-gradient(135deg, ${color} 0 5px, #fff6 5px 7px), ${color}`;
  return color;
}
const hex = n => '0x' + n.toString(16);
function human(n) {
  let x = Number(n), u = 0;
  while (x >= 1024 && u < 6) { x /= 1024; ++u; }
  return (x >= 100 || Number.isInteger(x) ? x.toFixed(0) : x.toFixed(1)) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'][u];
}
// Rows are stored by what they begin with; each ends where the next begins.
const rows = data.rows.map(r => ({start: BigInt('0x' + r[0]), kind: data.strings[r[1]], why: data.strings[r[2]], more: r[3] || {}}));
const top64 = 1n << 64n;
rows.forEach((r, i) => { r.end = i + 1 < rows.length ? rows[i + 1].start : BigInt('0x' + data.end); r.size = r.end - r.start;
  r.path = r.more.path === undefined ? '' : data.strings[r.more.path]; });
rows.reverse(); // highest first
const kinds = [...new Set(rows.map(r => r.kind))];
const sizes = new Map();
for (const r of rows) sizes.set(r.kind, (sizes.get(r.kind) || 0n) + r.size);
const off = new Set();
const view = {lo: 0n, hi: top64, shown: [], tops: [0]};
function heightOf(r) {
  const lo = r.start > view.lo ? r.start : view.lo, hi = r.end < view.hi ? r.end : view.hi;
  const size = Number(hi - lo);
  if ($('linear').checked) return Math.max(20, Math.min(4000, size / Number(view.hi - view.lo) * 4000));
  return 20 + 5 * Math.max(0, Math.log2(size) - 14);
}
function layout(keep) {
  view.shown = rows.filter(r => r.end > view.lo && r.start < view.hi && !off.has(r.kind));
  view.tops = [0];
  for (const r of view.shown) view.tops.push(view.tops[view.tops.length - 1] + heightOf(r));
  const all = view.lo === 0n && view.hi >= top64;
  $('zoomed').textContent = all ? `${view.shown.length} ranges` : `${view.shown.length} ranges from ${hex(view.lo)} to ${hex(view.hi)}`;
  if (!keep) $('map').scrollTop = 0;
  draw();
}
let everything = false;
function draw() {
  const map = $('map'), tops = view.tops;
  const from = map.scrollTop - 200, to = map.scrollTop + map.clientHeight + 200;
  let i = 0, j = view.shown.length;
  if (!everything) { // only what can be seen has elements
    let lo = 0, hi = view.shown.length;
    while (lo < hi) { const mid = (lo + hi) >> 1; if (tops[mid + 1] < from) lo = mid + 1; else hi = mid; }
    i = lo;
    for (j = i; j < view.shown.length && tops[j] < to; ++j);
  }
  const space = document.createElement('div');
  space.style.height = tops[tops.length - 1] + 'px';
  const made = [space];
  for (; i < j; ++i) made.push(element(view.shown[i], tops[i], tops[i + 1] - tops[i]));
  map.replaceChildren(...made);
}
function element(r, y, height) {
  const row = document.createElement('div'), address = document.createElement('span'), fill = document.createElement('span'),
  what = document.createElement('span');
  row.className = r.hit ? 'row hit' : 'row';
  row.tabIndex = 0;
  row.setAttribute('role', 'listitem');
  row.style.top = y + 'px';
  row.style.height = height + 'px';
  address.className = 'address';
  address.textContent = hex(r.end);
  fill.className = 'fill';
  fill.style.background = fillOf(r.kind);
  what.className = 'what';
  what.textContent = `${r.kind}  ${human(r.size)}${r.more.perms ? '  ' + r.more.perms : ''}${r.more.tid ? '  tid ' + r.more.tid : ''}`
    + (r.path ? '  ' + r.path : '');
  row.append(address, fill, what);
  if (r.more.writable_and_executable) {
    const alarm = document.createElement('span');
    alarm.className = 'alarm';
    alarm.textContent = 'W+X';
    row.append(alarm);
  }
  const tell = () => { $('facts').textContent = factsOf(r); };
  row.addEventListener('mouseenter', tell);
  row.addEventListener('focus', tell);
  row.addEventListener('mouseleave', () => { $('facts').textContent = ''; });
  row.addEventListener('dblclick', () => zoom(r));
  row.addEventListener('keydown', e => { if (e.key === 'Enter') zoom(r); });
  return row;
}
function factsOf(r) {
  const lines = [`${hex(r.start)} – ${hex(r.end)}`, `size       ${human(r.size)} (${r.size} bytes)`, `class      ${r.kind}`,
  `evidence   ${r.why}`];
  if (r.path) lines.push(`path       ${r.path}`);
  if (r.more.perms && r.more.offset === undefined) lines.push('offset     0');
  for (const [key, value] of Object.entries(r.more))
    if (key !== 'path') lines.push(`${key.padEnd(10)} ${typeof value === 'object' ? JSON.stringify(value) : value}`);
  return lines.join('\n');
}
function show(lo, hi) {
  view.lo = lo > 0n ? lo : 0n;
  view.hi = hi < top64 ? hi : top64;
  layout();
}
function zoom(r) { show(r.start - r.size / 2n - 4096n, r.end + r.size / 2n + 4096n); }
function matches(r, text, address) {
  if (address !== null) return r.start <= address && address < r.end;
  return r.kind.includes(text) || r.path.toLowerCase().includes(text) || String(r.more.tid || '') === text;
}
let found = -1;
function search(step) {
  const text = $('search').value.trim().toLowerCase();
  const stretch = text.match(/^(?:0x)?([0-9a-f]+)\s*(-|,|\.\.|–)\s*(0x)?([0-9a-f]+)$/);
  if (stretch && step) { // maps' own way to write it, or an address and a length
    const lo = BigInt('0x' + stretch[1]);
    const other = BigInt((stretch[2] !== ',' || stretch[3] || /[a-f]/.test(stretch[4]) ? '0x' : '') + stretch[4]);
    const hi = stretch[2] === ',' ? lo + other : other;
    if (lo < hi) return show(lo, hi);
  }
  let address = null;
  if (/^(0x)?[0-9a-f]{5,16}$/.test(text)) address = BigInt(text.startsWith('0x') ? text : '0x' + text);
  for (const r of rows) r.hit = text !== '' && matches(r, text, address);
  const hits = view.shown.flatMap((r, i) => r.hit ? [i] : []);
  if (hits.length) {
    found = step ? (found + 1) % hits.length : 0;
    $('map').scrollTop = Math.max(0, view.tops[hits[found]] - 60);
    $('zoomed').textContent = `${found + 1} of ${hits.length} found`;
  } else if (text !== '') {
    $('zoomed').textContent = 'nothing found';
  }
  draw();
}
for (const kind of kinds.slice().sort()) {
  const label = document.createElement('label'), box = document.createElement('input'), chip = document.createElement('span');
  box.type = 'checkbox';
  box.checked = true;
  box.dataset.kind = kind;
  box.addEventListener('change', () => { if (box.checked) off.delete(kind); else off.add(kind); layout(true); });
  chip.className = 'chip';
  chip.style.background = fillOf(kind);
  label.append(box, chip, `${kind} ${human(sizes.get(kind))}`);
  $('classes').append(label);
}
const setAll = on => { for (const box of $('classes').querySelectorAll('input')) { box.checked = on;
  if (on) off.delete(box.dataset.kind); else off.add(box.dataset.kind); } layout(); };
$('none').addEventListener('click', () => setAll(false));
$('every').addEventListener('click', () => setAll(true));
const border = BigInt(data.totals.user_size);
$('all').addEventListener('click', () => show(0n, top64));
$('user').addEventListener('click', () => show(0n, border));
$('kernel').addEventListener('click', () => show(border, top64));
$('in').addEventListener('click', () => {
  const hits = view.shown.filter(r => r.hit);
  if (hits.length) zoom(hits[Math.min(Math.max(found, 0), hits.length - 1)]);
});
$('out').addEventListener('click', () => { const size = view.hi - view.lo; show(view.lo - size, view.hi + size); });
$('linear').addEventListener('change', () => layout());
$('search').addEventListener('input', () => search(false));
$('search').addEventListener('keydown', e => { if (e.key === 'Enter') search(true); });
$('next').addEventListener('click', () => search(true));
$('map').addEventListener('scroll', draw);
addEventListener('resize', draw);
addEventListener('beforeprint', () => { everything = true; draw(); });
addEventListener('afterprint', () => { everything = false; draw(); });
const setTheme = dark => { document.documentElement.dataset.theme = dark ? 'dark' : 'light'; };
setTheme(matchMedia('(prefers-color-scheme: dark)').matches);
$('theme').addEventListener('click', () => setTheme(document.documentElement.dataset.theme !== 'dark'));
$('title').textContent = `Process ${data.tgid} (${data.name})`;
document.title = `${data.tgid} ${data.name}`;
const t = data.totals;
$('sums').textContent = `${t.vmas} vmas map ${human(t.mapped)}; ${t.gaps} gaps leave ${human(t.sparse)} of ${human(t.user_size)} free`
  + (t.vmas_left === undefined ? '' : `; ${t.vmas_left} more vmas are allowed`)
  + (t.rss_kib === undefined ? '' : `; Rss ${human(t.rss_kib * 1024)}`)
  + data.hidden.map(s => `; ${s.file} hidden: ${s.rule}`).join('');
layout();
</script>
</body>
</html>
)html";

/// Bytes that are no UTF-8 as a text that says so.
inline std::string page_text(json const& value)
{
    if (value.is_string()) return value.get<std::string>();
    return value.contains("bytes") ? "bytes " + value["bytes"].get<std::string>() : value.dump();
}

} // namespace detail

/// The page for what `show_vas --json` prints. Names stand in it once, as JSON in which `<` is written `\u003c`, and reach the page
/// through textContent alone.
[[nodiscard]] inline std::string vas_page(json const& picture)
{
    json page = {{"tgid", picture.at("tgid")}, {"name", detail::page_text(picture.at("name"))}, {"totals", picture.at("totals")},
                 {"hidden", picture.value("hidden", json::array())}, {"kernelClasses", json::array()}};
    std::map<std::string, std::size_t> known;
    auto strings = json::array();
    auto const number_of = [&](std::string const& text) {
        auto const [at, is_new] = known.try_emplace(text, strings.size());
        if (is_new) strings.push_back(text);
        return at->second;
    };
    auto rows = json::array();
    std::string end = "0";
    auto const add = [&](json const& r, char const* kind, char const* why) {
        auto const start = r.at("start").get<std::string>().substr(2);
        end = r.at("end").get<std::string>().substr(2);
        json more = json::object();
        for (auto const& [key, value] : r.items()) {
            if (key == "start" || key == "end" || key == kind || key == why) continue;
            if (key == "path" && (value.is_string() && value.get<std::string>().empty())) continue;
            if ((key == "inode" || key == "offset") && value == 0) continue;
            if (key == "dev" && value == "00:00") continue;
            more[key] = key == "path" ? json(number_of(detail::page_text(value))) : value;
        }
        json row = {start, number_of(r.at(kind).get<std::string>()), number_of(r.at(why).get<std::string>())};
        if (!more.empty()) row.push_back(std::move(more));
        rows.push_back(std::move(row));
    };
    for (auto const& r : picture.value("user", json::array())) add(r, "class", "evidence");
    for (auto const& r : picture.value("kernel", json::array())) {
        add(r, "name", "source");
        page["kernelClasses"].push_back(r.at("name"));
    }
    page["rows"] = std::move(rows);
    page["strings"] = std::move(strings);
    page["end"] = end;
    std::string text;
    for (char const c : page.dump(-1, ' ', true)) { // ASCII alone
        if (c == '<') text += "\\u003c";
        else text += c;
    }
    std::string out{detail::vas_page_head};
    return out.append(text).append(detail::vas_page_tail);
}

} // namespace examples
