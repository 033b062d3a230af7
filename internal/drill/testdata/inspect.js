// Runs in the page that TestPageInABrowser generates. It shows each page of `pages` (name, html, width, scheme) in a separate
// frame, inspects the result, and writes the findings as JSON to the element #found.
"use strict";

const found = [];
addEventListener("error", (e) => found.push({ name: "this script", problems: [String(e.message)] }));

for (const page of pages) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${page.width}px; height: 800px; border: 0; color-scheme: ${page.scheme}`;
  frame.srcdoc = page.html;
  document.body.append(frame);
  page.frame = frame;
}

addEventListener("load", () => {
  for (const page of pages) {
    found.push(inspect(page));
    page.frame.remove(); // its text is not to be in what is dumped
  }
  document.getElementById("found").textContent = JSON.stringify(found);
});

function inspect(page) {
  const win = page.frame.contentWindow, doc = win.document, problems = [];
  const dark = win.matchMedia("(prefers-color-scheme: dark)").matches;
  if (dark !== (page.scheme === "dark")) problems.push(`it is not ${page.scheme}`);
  if (doc.scripts.length > 0) problems.push("it has a script");
  for (const r of win.performance.getEntriesByType("resource")) problems.push(`it loads ${r.name}`);
  for (const d of doc.querySelectorAll("details")) d.open = true;
  const root = doc.documentElement;
  if (root.scrollWidth > page.width) problems.push(`it is ${root.scrollWidth} pixels wide, in a window of ${page.width}`);
  const drawings = [...doc.querySelectorAll("svg")];
  for (const svg of drawings) problems.push(...inspectDrawing(svg));
  const texts = withText(doc.body);
  for (const e of texts) problems.push(...inspectColors(win, e));
  return { name: page.name, drawings: drawings.length, texts: texts.length, problems: [...new Set(problems)] };
}

function inspectDrawing(svg) {
  const problems = [], box = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map((e) => ({ text: shown(e), box: e.getBoundingClientRect(), e }));
  const bars = [...svg.querySelectorAll("rect")].map((e) => e.getBoundingClientRect());
  const scale = box.width / svg.viewBox.baseVal.width;
  texts.forEach((t, i) => {
    const b = t.box;
    if (b.left < box.left - 0.5 || b.right > box.right + 0.5 || b.top < box.top - 0.5 || b.bottom > box.bottom + 0.5)
      problems.push(`"${t.text}" is cut off`);
    const size = parseFloat(getComputedStyle(t.e).fontSize) * scale;
    if (size < 9) problems.push(`"${t.text}" is ${size.toFixed(1)} pixels high`);
    for (const other of texts.slice(i + 1)) if (overlap(b, other.box)) problems.push(`"${t.text}" and "${other.text}" overlap`);
    if (bars.some((bar) => overlap(b, bar))) problems.push(`"${t.text}" lies on a bar`);
  });
  return problems;
}

function overlap(a, b) {
  return Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
}

// shown returns the text of an element without its tooltip.
function shown(e) {
  return [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data).join("").trim();
}

function withText(root) {
  return [...root.querySelectorAll("*")].filter((e) => !["title", "style"].includes(e.localName) && shown(e) !== "");
}

// inspectColors checks the contrast that the Web Content Accessibility Guidelines require, 1.4.3.
function inspectColors(win, e) {
  const style = win.getComputedStyle(e);
  let below = e;
  while (below && parse(win.getComputedStyle(below).backgroundColor).alpha === 0) below = below.parentElement;
  const paper = below ? win.getComputedStyle(below).backgroundColor : "rgb(255, 255, 255)";
  const ink = e.localName === "text" ? style.fill : style.color;
  const [light, dim] = [luminance(ink), luminance(paper)].sort((a, b) => b - a);
  const contrast = (light + 0.05) / (dim + 0.05);
  return contrast < 4.5 ? [`"${shown(e).slice(0, 40)}" has a contrast of ${contrast.toFixed(2)}: ${ink} on ${paper}`] : [];
}

function parse(color) {
  const [r, g, b, alpha = 1] = color.match(/[\d.]+/g).map(Number);
  return { r, g, b, alpha };
}

function luminance(color) {
  const { r, g, b } = parse(color);
  const linear = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
