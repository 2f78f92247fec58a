// Defines the two halves of the page that shows an explanation; its data, a JSON object, goes between them.
#pragma once

namespace lazuli {

inline constexpr const char* kPageBegin = R"page(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>lazuli explain</title>
<style>
body{font:14px/1.4 system-ui,sans-serif;margin:0;color:#1b2530;background:#f6f8fa}
header{padding:12px 16px;background:#1d4f91;color:#fff}h1{font-size:18px;margin:0}
nav button{font:inherit;padding:8px 14px;border:0;background:none;cursor:pointer}nav button.on{border-bottom:3px solid #1d4f91;font-weight:600}
main{padding:12px 16px}section{display:none}section.on{display:block}
table{border-collapse:collapse;background:#fff}td,th{padding:3px 10px;border:1px solid #d5dce3;text-align:left}
th{cursor:pointer;background:#e9eef3}td.n{text-align:right;font-variant-numeric:tabular-nums}
input,select{font:inherit;padding:4px 8px;margin:0 8px 8px 0}
#stage{position:relative}canvas{background:#fff;border:1px solid #d5dce3;width:100%;height:70vh;display:block;cursor:grab}
#node{position:absolute;right:8px;top:8px;max-width:380px;max-height:66vh;overflow:auto;background:#fffe;border:1px solid #9ab;padding:8px;
white-space:pre-wrap;word-break:break-word;font:12px monospace;display:none}
.bar{display:inline-block;height:18px;background:#1d4f91;vertical-align:middle}
</style></head><body>
<header><h1 id="title"></h1><div id="sub"></div></header>
<nav id="tabs"></nav>
<main>
<section id="graph"><div><select id="which"></select><input id="find" type="search" placeholder="Search ops, shapes, files" size="32">
<button id="next">Next</button> <span id="hits"></span> <button id="in">+</button> <button id="out">&minus;</button> <button id="fit">Fit</button>
<button id="fold">Fold</button> <button id="unfold">Unfold all</button> Repeated layers are one box; a click unfolds it.</div>
<div id="stage"><canvas id="c"></canvas><div id="node"></div></div></section>
<section id="passes"></section><section id="fusions"></section>
<section id="kernels"></section><section id="steps"></section><section id="memory"></section>
</main>
<script id="data" type="application/json">)page";

inline constexpr const char* kPageEnd = R"page(</script>
<script>
'use strict';
const D = JSON.parse(document.getElementById('data').textContent), $ = id => document.getElementById(id);
const MB = b => (b / 1e6).toFixed(2);
$('title').textContent = `${D.mode} of ${D.batch > 1 ? D.batch + ' × ' : ''}${D.tokens} tokens: ${D.model}`;
$('sub').textContent = `${D.architecture}, ${D.dtype} on ${D.device}; ${D.nodes_recorded} nodes recorded, ${D.steps.length} kernels run, ` +
  `predicted peak memory ${MB(D.memory.total)} MB`;
const tabs = {graph: 'Graph', passes: 'Passes', fusions: 'Fused and refused', kernels: 'Kernels', steps: 'Steps', memory: 'Memory'};
function show(id) {
  for (const t in tabs) { $(t).className = t === id ? 'on' : ''; $('tab-' + t).className = t === id ? 'on' : ''; }
  if (id === 'graph') resize();
}
for (const t in tabs) {
  const b = document.createElement('button');
  b.id = 'tab-' + t; b.textContent = tabs[t]; b.onclick = () => show(t); $('tabs').append(b);
}
function table(into, heads, rows) {
  const box = document.createElement('input'), tb = document.createElement('table'), body = document.createElement('tbody');
  box.type = 'search'; box.placeholder = 'Search'; let order = -1, up = 1;
  const text = r => r.map(v => typeof v === 'number' && !Number.isInteger(v) ? v.toFixed(3) : String(v));
  function draw() {
    const q = box.value.toLowerCase(); let list = rows.filter(r => text(r).join(' ').toLowerCase().includes(q));
    if (order >= 0) list = list.slice().sort((a, b) => up * (a[order] < b[order] ? -1 : a[order] > b[order] ? 1 : 0));
    body.replaceChildren(...list.map(r => {
      const tr = document.createElement('tr');
      text(r).forEach((v, k) => { const td = tr.insertCell(); td.textContent = v; if (typeof r[k] === 'number') td.className = 'n'; });
      return tr;
    }));
  }
  const head = tb.createTHead().insertRow();
  heads.forEach((h, k) => {
    const th = document.createElement('th'); th.textContent = h;
    th.onclick = () => { up = order === k ? -up : 1; order = k; draw(); }; head.append(th);
  });
  box.oninput = draw; tb.append(body); $(into).append(box, tb); draw();
}
const ops = o => Object.entries(o).map(([k, v]) => `${k} ${v > 0 ? '+' : ''}${v}`).join(', ');
table('passes', ['pass', 'nodes before', 'nodes after', 'rewrites', 'refusals', 'ms', 'ops'],
  D.passes.map(p => [p.name, p.nodes_before, p.nodes_after, p.rewrites, p.refusals, p.ns / 1e6, p.ran ? ops(p.ops) : '(off)']));
table('fusions', ['fused', 'count'], Object.entries(D.fused));
table('fusions', ['refused', 'at', 'pass', 'count', 'why', 'first recorded at'],
  D.refused.map(r => [r.pattern, r.op, r.pass, r.count, r.reason, r.where]));
table('kernels', ['kernel', 'count', 'MB moved', 'MFLOP', '~ms'], D.kernels.map(k => [k.name, k.count, k.bytes / 1e6, k.flops / 1e6, k.cost_ns / 1e6]));
table('steps', ['step', 'wave', 'kernel', 'what', 'MB moved', 'MFLOP', '~ms', 'recorded at'],
  D.steps.map((s, k) => [k, s.wave, s.kernel + (s.not_run ? ' (not run)' : ''), s.what, s.bytes / 1e6, s.flops / 1e6, s.cost_ns / 1e6, s.where]));
for (const k of ['weights', 'arguments', 'workspace', 'results', 'total']) {
  const d = document.createElement('div'), bar = document.createElement('span');
  bar.className = 'bar'; bar.style.width = 60 * D.memory[k] / D.memory.total + '%';
  d.append(bar, ` ${k} ${MB(D.memory[k])} MB`); $('memory').append(d);
}
const W = 200, H = 44, GX = 24, GY = 34, colours = {leaf: '#fff', source: '#e8e8e8', random: '#ccc', unary: '#f5ecb5', binary: '#f5ecb5',
  ternary: '#f5ecb5', view: '#dff3f7', reduction: '#ffc266', matmul: '#f8a59b', row: '#dfb3df', gather: '#9ad79a', move: '#c3f0c3',
  composite: '#b9dcf0', optimizer: '#ffc9d3', fused: '#ffdf70', folded: '#1d4f91'};
const PARTS = [['sdpa_backward', 'layer, backward'], ['sdpa', 'layer'], ['adamw', 'optimizer'], ['linear_cross_entropy', 'loss']];
function name_of(g, list) {
  const ops = list.map(k => g.nodes[k].op), part = PARTS.find(([op]) => ops.includes(op));
  if (part) return part[1];
  const counts = {}; ops.forEach(o => counts[o] = (counts[o] || 0) + 1);
  return Object.entries(counts).sort((a, b) => b[1] - a[1]).slice(0, 2).map(c => c[0]).join(', ');
}
// Stretches of operations that repeat: the one that covers most, then what lies before and behind it.
function find_blocks(g) {
  const order = [], ids = new Map(); g.blocks = []; g.leaves = {}; g.unfolded = false;
  g.nodes.forEach((v, k) => { if (v.class !== 'leaf') order.push(k); });
  const sign = order.map(k => {
    const v = g.nodes[k], t = [v.op, v.label, shapes(v), v.program].join('|');
    if (!ids.has(t)) ids.set(t, ids.size);
    return ids.get(t);
  });
  const search = (lo, hi) => {
    let best = null;
    for (let p = 1; 2 * p <= hi - lo && hi - lo < 30000; ++p) {
      for (let i = lo, run = 0; i + p <= hi; ++i) {
        if (i + p < hi && sign[i] === sign[i + p]) { ++run; continue; }
        const times = Math.floor(run / p) + 1;
        if (times > 1 && times * p > (best ? best.period * best.times : 5)) best = {from: i - run, period: p, times};
        run = 0;
      }
    }
    if (!best) return;
    search(lo, best.from);
    const parts = Array.from({length: best.times}, (_, r) => order.slice(best.from + r * best.period, best.from + (r + 1) * best.period));
    const name = name_of(g, parts[0]);
    g.blocks.push({name: `${name} × ${best.times}`, list: parts.flat(), each: best.period, open: false,
      parts: parts.map((list, r) => ({name: `${name} ${r + 1} of ${best.times}`, list, open: false}))});
    search(best.from + best.period * best.times, hi);
  };
  search(0, order.length);
}
// The graph as it is shown: boxes in the place of what is folded, without the leaves that boxes alone read.
function view(g) {
  if (!g.blocks) find_blocks(g);
  const n = g.nodes.length, owner = new Array(n).fill(null), readers = Array.from({length: n}, () => new Set()), place = new Int32Array(n).fill(-1);
  for (const b of g.blocks) for (const item of b.open ? b.parts : [b]) if (!item.open) item.list.forEach(k => owner[k] = item);
  g.nodes.forEach((v, k) => v.inputs.forEach(([i]) => readers[i].add(owner[k] || k)));
  const nodes = [], boxes = new Map();
  const groups = new Map();  // leaves with the same readers
  g.nodes.forEach((v, k) => {
    if (v.class !== 'leaf' || (readers[k].size && [...readers[k]].every(r => typeof r === 'object'))) return;
    const key = [...readers[k]].map(r => r.name || r).join();
    groups.set(key, [...(groups.get(key) || []), k]);
  });
  for (const [key, list] of groups) {
    const item = g.leaves[key] ||= {name: `inputs × ${list.length}`, list, open: g.unfolded};
    if (list.length > 1 && !item.open) {
      list.forEach(k => place[k] = nodes.length);
      nodes.push({op: item.name, class: 'folded', item, inputs: [], outputs: [], attrs: {}, id: list[0]});
    } else {
      for (const k of list) { place[k] = nodes.length; nodes.push({...g.nodes[k], id: k}); }
    }
  }
  g.nodes.forEach((v, k) => {
    if (v.class === 'leaf') return;
    const item = owner[k];
    if (item && boxes.has(item)) { place[k] = boxes.get(item); return; }
    place[k] = nodes.length;
    if (item) {
      boxes.set(item, place[k]);
      nodes.push({op: item.name, class: 'folded', item, inputs: [], outputs: [], attrs: {}, id: k});
    } else {
      nodes.push({...v, id: k});
    }
  });
  nodes.forEach((v, at) => {
    const read = v.item ? v.item.list.flatMap(k => g.nodes[k].inputs.map(([i]) => [place[i], 0])) : v.inputs.map(([i, o]) => [place[i], o]);
    const seen = new Set();
    v.inputs = read.filter(([i]) => i >= 0 && i !== at && (!v.item || (!seen.has(i) && seen.add(i))));
    if (v.item) v.words = `${v.item.name} ${v.item.list.map(k => words(g.nodes[k], k)).join(' ')}`.toLowerCase();
  });
  return {nodes};
}
const words = (v, k) => `%${k} ${v.op} ${v.label || ''} ${shapes(v)} ${v.where || ''} ${v.program || ''} ${Object.keys(v.attrs).join(' ')}`;
const title = v => v.item ? v.op : `${v.label || v.op} %${v.id}`;
function layout(g) {
  const n = g.nodes.length, rank = new Int32Array(n), users = Array.from({length: n}, () => []), row = [];
  g.nodes.forEach((v, k) => v.inputs.forEach(([i]) => { rank[k] = Math.max(rank[k], rank[i] + 1); users[i].push(k); }));
  g.nodes.forEach((v, k) => { if (!v.inputs.length && users[k].length) rank[k] = Math.max(0, Math.min(...users[k].map(u => rank[u])) - 1); });
  const x = new Float64Array(n);
  g.nodes.forEach((v, k) => { (row[rank[k]] ||= []).push(k); });
  row.forEach(list => {
    const wish = k => { const i = g.nodes[k].inputs; return i.length ? i.reduce((s, [a]) => s + x[a], 0) / i.length : 1e9; };
    const wishes = new Map(list.map(k => [k, wish(k)]));
    list.sort((a, b) => wishes.get(a) - wishes.get(b));
    let from = -list.length * (W + GX) / 2;
    list.forEach((k, p) => { x[k] = from + p * (W + GX); });
  });
  g.at = g.nodes.map((v, k) => [x[k], rank[k] * (H + GY)]);
  g.users = users;
  g.words = g.nodes.map(v => v.words || words(v, v.id).toLowerCase());
}
const shapes = v => v.outputs.map(o => `${o.dtype} (${o.shape.join(', ')})`).join('; ');
const canvas = $('c'), ctx = canvas.getContext('2d');
let G = null, s = 1, ox = 0, oy = 0, hits = [], hit = -1, picked = -1;
D.graphs.forEach((g, k) => { const o = document.createElement('option'); o.value = k; o.textContent = k ? 'after ' + g.name : g.name; $('which').append(o); });
function draw() {
  const r = devicePixelRatio || 1, w = canvas.width, h = canvas.height;
  ctx.setTransform(1, 0, 0, 1, 0, 0); ctx.clearRect(0, 0, w, h); ctx.setTransform(s * r, 0, 0, s * r, ox * r, oy * r);
  const x0 = -ox / s - W, x1 = (w / r - ox) / s, y0 = -oy / s - H, y1 = (h / r - oy) / s, marked = new Set(hits);
  ctx.strokeStyle = '#8a97a5'; ctx.lineWidth = 1; ctx.beginPath();
  G.nodes.forEach((v, k) => v.inputs.forEach(([i]) => {
    const [ax, ay] = G.at[i], [bx, by] = G.at[k];
    if (Math.max(ay, by) < y0 || Math.min(ay, by) > y1 + H || Math.max(ax, bx) < x0 || Math.min(ax, bx) > x1) return;
    ctx.moveTo(ax + W / 2, ay + H); ctx.lineTo(bx + W / 2, by);
  }));
  ctx.stroke();
  G.nodes.forEach((v, k) => {
    const [x, y] = G.at[k]; if (x < x0 || x > x1 || y < y0 || y > y1) return;
    ctx.fillStyle = colours[v.class] || '#fff'; ctx.fillRect(x, y, W, H);
    ctx.strokeStyle = marked.has(k) ? '#d00' : k === picked ? '#06c' : '#667'; ctx.lineWidth = marked.has(k) || k === picked ? 3 : 1;
    ctx.strokeRect(x, y, W, H);
    if (s < 0.25) return;
    ctx.fillStyle = v.item ? '#fff' : '#123'; ctx.font = '600 13px monospace'; ctx.fillText(title(v), x + 6, y + 17, W - 12);
    const below = v.item ? v.item.each ? `${v.item.each} operations each` : `${v.item.list.length} nodes` : shapes(v);
    ctx.font = '12px monospace'; ctx.fillText(below, x + 6, y + 35, W - 12);
  });
}
function resize() { const r = devicePixelRatio || 1; canvas.width = canvas.clientWidth * r; canvas.height = canvas.clientHeight * r; if (G) draw(); }
function fit(least) {
  const xs = G.at.map(p => p[0]), lo = xs.reduce((a, b) => Math.min(a, b)), hi = xs.reduce((a, b) => Math.max(a, b)) + W;
  s = Math.min(1, Math.max(least, canvas.clientWidth / (hi - lo + 40))); ox = canvas.clientWidth / 2 - s * (lo + hi) / 2; oy = 20; draw();
}
function centre(k) { s = Math.max(s, 0.7); ox = canvas.clientWidth / 2 - s * (G.at[k][0] + W / 2); oy = canvas.clientHeight / 2 - s * (G.at[k][1] + H / 2); pick(k); }
function pick(k) {
  picked = k; const v = G.nodes[k], box = $('node'); box.style.display = v ? 'block' : 'none'; if (!v) return draw();
  const attrs = Object.entries(v.attrs).map(([a, b]) => `\n  ${a} = ${b}`).join('');
  box.textContent = v.item ? `${v.op}\n${v.item.list.length} nodes; a click unfolds them` : `%${v.id} ${v.op}${v.label ? '\nfusion: ' + v.label : ''}\n${shapes(v)}${attrs && '\nattributes' + attrs}` +
    `${v.program ? '\nprogram: ' + v.program : ''}\nreads: ${v.inputs.map(i => title(G.nodes[i[0]])).join(', ') || '-'}` +
    `\nread by: ${G.users[k].map(u => title(G.nodes[u])).join(', ') || '-'}${v.where ? '\nrecorded at ' + v.where : ''}`;
  draw();
}
function find() {
  const q = $('find').value.trim().toLowerCase(); hits = []; hit = -1;
  if (q) G.words.forEach((w, k) => { if (w.includes(q)) hits.push(k); });
  $('hits').textContent = q ? `${hits.length} found` : ''; draw();
}
function next() { if (hits.length) { hit = (hit + 1) % hits.length; $('hits').textContent = `${hit + 1} of ${hits.length}`; centre(hits[hit]); } }
function zoom(f, x, y) { const t = Math.min(4, Math.max(0.02, s * f)); ox = x - (x - ox) * t / s; oy = y - (y - oy) * t / s; s = t; draw(); }
const whole = () => D.graphs[$('which').value].graph;
function refold(first) {
  G = view(whole()); picked = -1; $('node').style.display = 'none'; layout(G); find();
  const k = G.nodes.findIndex(v => v.id === first);
  if (k < 0) fit(0.6); else centre(k);
}
function all(open) {
  whole().unfolded = open;
  for (const b of whole().blocks) { b.open = open; b.parts.forEach(p => p.open = open); }
  for (const k in whole().leaves) whole().leaves[k].open = open;
  refold(-1);
}
function click(k) { const item = k >= 0 && G.nodes[k].item; if (item) { item.open = true; refold(item.list[0]); } else pick(k); }
$('which').onchange = () => refold(-1); $('fold').onclick = () => all(false); $('unfold').onclick = () => all(true);
$('find').oninput = find; $('find').onkeydown = e => { if (e.key === 'Enter') next(); }; $('next').onclick = next; $('fit').onclick = () => fit(0.05);
$('in').onclick = () => zoom(1.4, canvas.clientWidth / 2, canvas.clientHeight / 2); $('out').onclick = () => zoom(1 / 1.4, canvas.clientWidth / 2, canvas.clientHeight / 2);
canvas.onwheel = e => { e.preventDefault(); zoom(Math.exp(-e.deltaY / 400), e.offsetX, e.offsetY); };
let drag = null;
canvas.onpointerdown = e => { drag = {x: e.offsetX, y: e.offsetY, ox, oy, moved: false}; canvas.setPointerCapture(e.pointerId); };
canvas.onpointermove = e => {
  if (!drag) return; const dx = e.offsetX - drag.x, dy = e.offsetY - drag.y; drag.moved ||= Math.abs(dx) + Math.abs(dy) > 4; ox = drag.ox + dx; oy = drag.oy + dy; draw();
};
canvas.onpointerup = e => {
  if (drag && !drag.moved) { const x = (e.offsetX - ox) / s, y = (e.offsetY - oy) / s; click(G.at.findIndex(p => x >= p[0] && x <= p[0] + W && y >= p[1] && y <= p[1] + H)); }
  drag = null;
};
addEventListener('resize', resize);
show('graph'); $('which').value = D.graphs.length - 1; $('which').onchange();
</script></body></html>
)page";

}  // namespace lazuli
