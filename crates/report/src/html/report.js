"use strict";
(() => {
  const raw = document.getElementById("raw");
  raw?.parentElement.addEventListener("toggle", () => {
    raw.textContent = JSON.stringify(JSON.parse(document.getElementById("verdict").textContent), null, 2);
  }, { once: true });

  // What charts show, and the run's time: in a script that is replaced while a run is in progress.
  let known = { node: null, span: [0, 1], charts: [] };
  const data = () => {
    const node = document.getElementById("series");
    if (node !== known.node) known = { node, ...JSON.parse(node.textContent) };
    return known;
  };

  // Values as the report writes them.
  const digits = v => {
    const size = Math.abs(v);
    if (v === 0) return "0";
    if (size < 1e-4 || size >= 1e7) return v.toExponential(2);
    return String(+v.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= .1 ? 3 : 4));
  };
  const seconds = v => {
    const size = Math.abs(v);
    if (size === 0) return "0 s";
    if (size < 1e-3) return digits(v * 1e6) + " µs";
    if (size < 1) return digits(v * 1e3) + " ms";
    return size < 120 ? digits(v) + " s" : digits(v / 60) + " min";
  };
  const bytes = v => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    while (Math.abs(v) >= 1024 && at < units.length - 1) { v /= 1024; at += 1; }
    return digits(v) + " " + units[at];
  };
  const quantity = (v, unit) => ({ s: seconds, bytes, percent: x => digits(x) + " %" }[unit] ?? (x => (digits(x) + " " + unit).trim()))(v);

  // Tables: sorted by a click on a heading, copied with all digits.
  const sortable = table => {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const order = cell => cell.dataset.v === undefined ? cell.textContent : +cell.dataset.v;
    heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [order(a.cells[column]), order(b.cells[column])];
        return (typeof x === typeof y ? x < y ? -1 : +(x > y) : typeof x === "number" ? 1 : -1) * (down ? -1 : 1);
      });
      body.append(...rows);
    }));
    table.closest(".figures").querySelector(".csv").addEventListener("click", async event => {
      const quoted = text => /[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
      const lines = [...table.rows].map(row => [...row.cells].map(c => quoted(c.dataset.v ?? c.textContent)).join(","));
      const button = event.target, before = button.textContent;
      const text = lines.join("\n") + "\n";
      try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
      catch {
        // A page that was opened as a file may not use the clipboard but by this older way.
        const area = document.createElement("textarea");
        area.value = text; button.after(area); area.select();
        button.textContent = document.execCommand("copy") ? "Copied" : "The browser does not allow it";
        area.remove();
      }
      setTimeout(() => { button.textContent = before; }, 2000);
    });
  };

  // Time: one part of the run is shown by all drawings, and one instant is marked in all of them.
  let zoomed = null, marked = null, held = null;
  const shown = () => zoomed ?? data().span;
  const area = svg => svg.dataset.area.split(" ").map(Number);
  const view = svg => svg.querySelector(".view") ?? svg;
  // Drawings with a view of their own keep axis and crosshair outside of it, so these are placed within what is shown.
  const part = (svg, t) => {
    const [start, end] = view(svg) === svg ? data().span : shown();
    return (t - start) / Math.max(1, end - start);
  };
  const place = (svg, t) => { const [left, , right] = area(svg); return left + part(svg, t) * (right - left); };
  const elapsed = s => {
    const two = n => String(n).padStart(2, "0"), [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
    return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  };
  const axis = svg => {
    const group = svg.querySelector(".times");
    if (!group) return;
    group.dataset.whole ??= group.innerHTML;
    if (!zoomed) { group.innerHTML = group.dataset.whole; return; }
    const [start, end] = shown(), zero = data().span[0], [, , , bottom] = area(svg);
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
    const step = 1000 * (steps.find(s => (end - start) / 1000 / s <= 6) ?? 86400);
    group.replaceChildren();
    for (let t = zero + Math.ceil((start - zero) / step) * step; t <= end; t += step) {
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      for (const [name, value] of [["class", "tick"], ["text-anchor", "middle"], ["x", place(svg, t)], ["y", bottom + 14]]) text.setAttribute(name, value);
      text.textContent = elapsed(Math.round((t - zero) / 1000));
      group.append(text);
    }
  };
  const names = svg => {
    const [left, , right] = area(svg);
    for (const name of svg.querySelectorAll("[data-from]")) {
      const [from, to] = [+name.dataset.from, +name.dataset.to].map(t => Math.min(right, Math.max(left, place(svg, t))));
      name.setAttribute("x", from + 2);
      name.setAttribute("visibility", to - from > 6 * name.textContent.length ? "visible" : "hidden");
    }
  };
  const draw = svg => {
    const [left, top, right, bottom] = area(svg), [start, end] = shown(), [first, last] = data().span;
    const length = Math.max(1, last - first), width = right - left;
    view(svg).setAttribute("viewBox", `${left + (start - first) / length * width} ${top} ${(end - start) / length * width} ${bottom - top}`);
    axis(svg);
    names(svg);
    mark(svg);
  };
  const mark = svg => {
    const [left, top, right, bottom] = area(svg), cursor = svg.querySelector(".cursor");
    const [start, end] = shown(), is = marked !== null && marked >= start && marked <= end;
    const x = is ? place(svg, marked) : left;
    for (const [name, value] of [["x1", x], ["x2", x], ["y1", is ? top : 0], ["y2", is ? bottom : 0]]) cursor.setAttribute(name, value);
  };
  const each = work => document.querySelectorAll("svg.timed").forEach(work);
  const marks = () => {
    const [start, end] = shown(), length = Math.max(1, end - start);
    for (const span of document.querySelectorAll(".marks [data-from]")) {
      const [from, to] = [+span.dataset.from, +span.dataset.to].map(t => Math.min(1, Math.max(0, (t - start) / length)));
      span.style.left = from * 100 + "%";
      span.style.width = (to - from) * 100 + "%";
      span.hidden = to <= from;
    }
    for (const button of document.querySelectorAll(".zoom button")) {
      const own = button.dataset.from ? [+button.dataset.from, +button.dataset.to] : null;
      button.setAttribute("aria-pressed", String(own ? zoomed !== null && own[0] === zoomed[0] && own[1] === zoomed[1] : zoomed === null));
    }
  };
  const show = range => { zoomed = range; each(draw); marks(); };
  const time = (svg, event) => {
    const box = svg.getBoundingClientRect(), [left, , right] = area(svg), width = svg === view(svg) ? right - left : svg.viewBox.baseVal.width;
    const x = (event.clientX - box.left) / box.width * width, [start, end] = shown();
    return start + Math.min(1, Math.max(0, (x - left) / (right - left))) * (end - start);
  };
  const tell = (svg, tip, event) => {
    const chart = data().charts.find(c => c.id === svg.dataset.chart);
    if (!chart) return;
    tip.replaceChildren(new Date(marked).toISOString().slice(11, 19) + " UTC");
    for (const line of chart.lines) {
      const near = line.points.reduce((a, b) => Math.abs(b[0] - marked) < Math.abs(a[0] - marked) ? b : a);
      const div = document.createElement("div");
      div.textContent = line.name + "  " + quantity(near[1], chart.unit);
      tip.append(div);
    }
    tip.hidden = false;
    const box = svg.parentElement.getBoundingClientRect(), at = event.clientX - box.left;
    tip.style.top = svg.offsetTop + 10 + "px";
    tip.style.left = (at > box.width / 2 ? Math.max(0, at - tip.offsetWidth - 12) : at + 12) + "px";
  };
  const timed = svg => {
    const tip = document.createElement("div");
    tip.className = "tip"; tip.hidden = true;
    if (svg.dataset.chart) svg.parentElement.append(tip);
    svg.addEventListener("pointerdown", event => { if (event.button === 0 && event.pointerType !== "touch") held = time(svg, event); });
    svg.addEventListener("pointermove", event => { marked = time(svg, event); each(mark); tell(svg, tip, event); });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; marked = null; each(mark); });
    svg.addEventListener("pointerup", event => {
      if (held === null) return;
      const range = [held, time(svg, event)].sort((a, b) => a - b);
      held = null;
      // A click without a move is no choice of a stretch.
      if (range[1] - range[0] > (shown()[1] - shown()[0]) / 50) show(range);
    });
    svg.addEventListener("dblclick", () => show(null));
    if (zoomed) draw(svg);
  };
  document.addEventListener("pointerup", () => { held = null; });
  document.addEventListener("keydown", event => { if (event.key === "Escape" && zoomed) show(null); });
  document.addEventListener("click", event => {
    const button = event.target.closest?.(".zoom button");
    if (button) show(button.dataset.from ? [+button.dataset.from, +button.dataset.to] : null);
  });

  const wire = part => {
    part.querySelectorAll("table.sorted").forEach(sortable);
    part.querySelectorAll("svg.timed").forEach(timed);
    marks();
  };
  wire(document);

  // While the run is in progress: parts that changed, and at the end the report.
  if (!document.documentElement.dataset.live) return;
  const title = details => details.querySelector("summary").textContent;
  const source = new EventSource("events");
  source.addEventListener("parts", event => {
    const parts = JSON.parse(event.data);
    // What charts show comes last in the page and is needed first.
    for (const [name, html] of parts.reverse()) {
      const part = document.querySelector(`[data-part="${name}"]`);
      const open = new Set([...part.querySelectorAll("details[open]")].map(title));
      part.innerHTML = html;
      for (const details of part.querySelectorAll("details")) details.open ||= open.has(title(details));
      wire(part);
    }
  });
  source.addEventListener("end", event => {
    source.close();
    const place = scrollY;
    document.open(); document.write(JSON.parse(event.data)); document.close();
    scrollTo(0, place);
  });
  source.addEventListener("error", () => { document.querySelector(".badge").title = "The run cannot be reached."; });
})();
