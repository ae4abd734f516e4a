// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A flame graph as one page that needs nothing else. Names reach the page as JSON and are shown through textContent: they cannot
/// become markup.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace examples {

/// Stacks with common callers put together: what stands on a call are the calls that it made.
class call_tree {
public:
    static constexpr std::size_t deepest = 1000; ///< of a stack that goes deeper the rest is one call: no screen shows it

    /// Adds a stack, outermost call first.
    void add(std::vector<std::string> const& calls, std::uint64_t weight)
    {
        auto* at = &root_;
        at->weight += weight;
        for (std::size_t depth = 0; depth < calls.size() && depth <= deepest; ++depth) {
            auto& next = at->calls[depth < deepest ? calls[depth] : "[deeper]"];
            if (!next) next = std::make_unique<node>();
            at = next.get();
            at->weight += weight;
        }
    }

    /// `{"n": name, "w": weight, "c": [calls…]}`. A `<` is written as \u003c, so that no name ends the script around it.
    [[nodiscard]] std::string json(std::string const& title) const
    {
        auto text = json_of(title, root_).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
        std::string safe;
        for (char const c : text) {
            if (c == '<') safe += "\\u003c";
            else safe += c;
        }
        return safe;
    }

private:
    struct node {
        std::uint64_t weight = 0;
        std::map<std::string, std::unique_ptr<node>> calls;
    };
    [[nodiscard]] static nlohmann::json json_of(std::string const& name, node const& n)
    {
        auto calls = nlohmann::json::array();
        for (auto const& [call, below] : n.calls) calls.push_back(json_of(call, *below));
        return {{"n", name}, {"w", n.weight}, {"c", std::move(calls)}};
    }

    node root_;
};

/// The page.
[[nodiscard]] inline std::string flame_graph_page(call_tree const& calls, std::string const& title)
{
    static constexpr char const* head = R"html(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Flame graph</title>
<style>
:root { color-scheme: light; --ink: #1d1d1f; --paper: #fff; --dim: #5f5f66; --found: #b96bff }
:root[data-theme=dark] { color-scheme: dark; --ink: #f2f2f2; --paper: #17181a; --dim: #a0a0a6; --found: #c58bff }
body { margin: 0; padding: 12px; background: var(--paper); color: var(--ink); font: 13px system-ui, sans-serif }
header { display: flex; flex-wrap: wrap; gap: 8px; align-items: baseline; margin-bottom: 8px }
h1 { font-size: 15px; margin: 0; flex: 1 }
#told { color: var(--dim); min-height: 1.4em; margin-bottom: 6px; overflow-wrap: anywhere }
#graph { position: relative; width: 100% }
#graph div { position: absolute; box-sizing: border-box; height: 18px; border: 1px solid var(--paper); border-radius: 3px; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis; padding: 0 4px; font-size: 11px; line-height: 16px; color: #1d1d1f; cursor: pointer }
#graph div.above { opacity: .6 }
#graph div.found { background: var(--found) !important }
#graph div:focus-visible { outline: 2px solid var(--ink); z-index: 1 }
</style></head><body>
<header><h1></h1><input id="search" type="search" placeholder="Search" aria-label="Search"><span id="matched" role="status"></span><button id="out">Zoom out</button>
<button id="all">Show all</button><button id="theme">Light / dark</button></header>
<div id="told" role="status"></div><div id="graph" role="tree" aria-label="Calls, outermost on top"></div>
<script type="application/json" id="data">)html";
    static constexpr char const* tail = R"html(</script>
<script>
"use strict";
const root = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
document.querySelector("h1").textContent = document.title = root.n;
for (const todo = [root]; todo.length;) { // calls may nest deeper than functions of this page do
  const node = todo.pop();
  node.d = node.up ? node.up.d + 1 : 0;
  for (const c of node.c) { c.up = node; todo.push(c); }
}
let zoomed = root;
const share = w => `${w} of ${root.w} (${(100 * w / root.w).toFixed(1)} %)`;
const matches = (node, wanted) => wanted !== "" && node.n.toLowerCase().includes(wanted);
function colour(name) {
  let h = 0;
  for (let i = 0; i < name.length; ++i) h = (h * 31 + name.charCodeAt(i)) >>> 0;
  if (name === "[running]") return "#8fd18f";
  if (name.startsWith("[")) return "#c9c9c9";
  if (name.endsWith("_[k]")) return `hsl(${200 + h % 25} 70% 74%)`;
  return `hsl(${10 + h % 45} 85% ${68 + h % 10}%)`;
}
function bar(node, left, span, above) {
  const div = document.createElement("div");
  div.textContent = node.n;
  div.title = `${node.n}: ${share(node.w)}`;
  div.style.cssText = `left:${left * 100}%;width:${span * 100}%;top:${node.d * 18}px;background:${colour(node.n)}`;
  div.tabIndex = 0;
  div.setAttribute("role", "treeitem");
  if (above) div.className = "above";
  if (matches(node, $("search").value.toLowerCase())) div.classList.add("found");
  div.onclick = () => zoom(node);
  div.onkeydown = e => { if (e.key === "Enter") zoom(node); };
  div.onmouseover = div.onfocus = () => { $("told").textContent = div.title; };
  return div;
}
function draw() {
  const width = $("graph").clientWidth, bars = [];
  let deepest = 0;
  for (let up = zoomed.up; up; up = up.up) bars.push(bar(up, 0, 1, true));
  for (const todo = [[zoomed, 0, 1]]; todo.length;) {
    const [node, left, span] = todo.pop();
    if (span * width < 1.5) continue; // what is narrower than a pixel or two is seen by zooming in
    deepest = Math.max(deepest, node.d);
    bars.push(bar(node, left, span, false));
    let at = left;
    for (const c of node.c) { const s = span * c.w / node.w; todo.push([c, at, s]); at += s; }
  }
  $("graph").replaceChildren(...bars);
  $("graph").style.height = (deepest + 1) * 18 + "px";
}
function zoom(node) { zoomed = node; draw(); $("told").textContent = `${node.n}: ${share(node.w)}`; }
function search() {
  const wanted = $("search").value.toLowerCase();
  let found = 0;
  for (const todo = [root]; wanted !== "" && todo.length;) { // a call within one that matches counts once
    const node = todo.pop();
    if (matches(node, wanted)) found += node.w; else todo.push(...node.c);
  }
  draw();
  $("matched").textContent = wanted === "" ? "" : found ? `${share(found)} match` : "nothing matches";
}
$("search").oninput = search;
$("out").onclick = () => zoom(zoomed.up || root);
$("all").onclick = () => { $("search").value = ""; zoomed = root; search(); $("told").textContent = ""; };
addEventListener("keydown", e => { if (e.key === "Escape") $("out").click(); });
const setTheme = dark => { document.documentElement.dataset.theme = dark ? "dark" : "light"; };
setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
$("theme").onclick = () => setTheme(document.documentElement.dataset.theme !== "dark");
onresize = draw;
draw();
</script></body></html>
)html";
    return head + calls.json(title) + tail;
}

} // namespace examples
