// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A flame graph as one page that needs nothing else. Names reach the page as JSON and are shown through textContent: they cannot
/// become markup.

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
    /// Adds a stack, outermost call first.
    void add(std::vector<std::string> const& calls, std::uint64_t weight)
    {
        auto* at = &root_;
        at->weight += weight;
        for (auto const& call : calls) {
            auto& next = at->calls[call];
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
:root { color-scheme: light dark; --ink: #1d1d1f; --paper: #fff; --edge: #fff; --dim: #6e6e73 }
@media (prefers-color-scheme: dark) { :root { --ink: #f2f2f2; --paper: #17181a; --edge: #17181a; --dim: #98989d } }
body { margin: 0; padding: 12px; background: var(--paper); color: var(--ink); font: 13px system-ui, sans-serif }
header { display: flex; gap: 12px; align-items: baseline; margin-bottom: 8px }
h1 { font-size: 15px; margin: 0; flex: 1 }
#graph { position: relative; width: 100% }
#graph div { position: absolute; box-sizing: border-box; height: 18px; border: 1px solid var(--edge); border-radius: 3px; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis; padding: 0 4px; font-size: 11px; line-height: 16px; color: #1d1d1f; cursor: pointer }
#graph div.above { opacity: .55 }
#graph div.found { background: #b96bff !important }
#told { color: var(--dim); min-height: 1.4em; margin-top: 8px; overflow-wrap: anywhere }
</style></head><body>
<header><h1></h1><input id="search" type="search" placeholder="Search" aria-label="Search"><button id="all">Show all</button></header>
<div id="graph"></div><div id="told"></div>
<script type="application/json" id="data">)html";
    static constexpr char const* tail = R"html(</script>
<script>
"use strict";
const root = JSON.parse(document.getElementById("data").textContent);
const graph = document.getElementById("graph"), told = document.getElementById("told"), search = document.getElementById("search");
document.querySelector("h1").textContent = root.n;
(function link(node, above, depth) { node.up = above; node.d = depth; for (const c of node.c) link(c, node, depth + 1); })(root, null, 0);
let zoomed = root;
function colour(name) {
  let h = 0;
  for (let i = 0; i < name.length; ++i) h = (h * 31 + name.charCodeAt(i)) >>> 0;
  return name.startsWith("[running]") ? "#8fd18f" : name.endsWith("_[k]") ? `hsl(${200 + h % 25} 70% 72%)` : `hsl(${10 + h % 45} 85% ${66 + h % 10}%)`;
}
function draw() {
  graph.textContent = "";
  const width = graph.clientWidth, wanted = search.value.toLowerCase();
  let deepest = 0, found = 0;
  function bar(node, left, span, above) {
    if (span * width < 1.5) return;
    deepest = Math.max(deepest, node.d);
    const div = document.createElement("div");
    div.textContent = node.n;
    div.title = `${node.n}: ${node.w} of ${root.w} (${(100 * node.w / root.w).toFixed(1)} %)`;
    div.style.cssText = `left:${left * 100}%;width:${span * 100}%;top:${node.d * 18}px;background:${colour(node.n)}`;
    if (above) div.className = "above";
    if (wanted && node.n.toLowerCase().includes(wanted)) div.classList.add("found");
    div.onclick = () => { zoomed = node; draw(); };
    div.onmouseover = () => { told.textContent = div.title; };
    graph.append(div);
  }
  function below(node, left, span) {
    bar(node, left, span, false);
    let at = left;
    for (const c of node.c) { const s = span * c.w / node.w; below(c, at, s); at += s; }
  }
  for (let up = zoomed.up; up; up = up.up) bar(up, 0, 1, true);
  below(zoomed, 0, 1);
  graph.style.height = (deepest + 1) * 18 + "px";
  if (wanted) {
    (function count(node) { if (node.n.toLowerCase().includes(wanted)) found += node.w; else node.c.forEach(count); })(root);
    told.textContent = `${found} of ${root.w} (${(100 * found / root.w).toFixed(1)} %) match`;
  }
}
search.oninput = draw;
document.getElementById("all").onclick = () => { zoomed = root; search.value = ""; told.textContent = ""; draw(); };
window.onresize = draw;
draw();
</script></body></html>
)html";
    return head + calls.json(title) + tail;
}

} // namespace examples
