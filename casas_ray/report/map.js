"use strict";
// Every window as a dot on a canvas; texts go in as text, never as HTML.
async function unpacked() {
  const letters = atob(document.getElementById("windows").textContent);
  const bytes = Uint8Array.from(letters, letter => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(plain).text());
}

function map(data) {
  const canvas = document.getElementById("points"), pen = canvas.getContext("2d");
  const colour = document.getElementById("colour"), layout = document.getElementById("layout");
  const told = document.getElementById("told"), legend = document.getElementById("legend");
  const many = data.start.length;
  const firstRun = new Uint32Array(many + 1);
  for (let each = 0; each < many; each++) firstRun[each + 1] = firstRun[each] + data.runs.of[each];
  let alone = -1, at = -1, view = {x: 0, y: 0, scale: 1};

  const place = () => data.layouts[layout.selectedIndex];
  const colouring = () => data.colourings[colour.selectedIndex];
  const right = (each, size) => ((place().x[each] / 10000 - view.x) * view.scale * .97 + .015) * size;
  const down = (each, size) => ((1 - place().y[each] / 10000 - view.y) * view.scale * .97 + .015) * size;

  function draw() {
    const ratio = devicePixelRatio || 1, size = canvas.clientWidth, by = colouring();
    canvas.width = canvas.height = Math.round(size * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const dot = (many > 20000 ? 2 : many > 4000 ? 2.6 : 4) * Math.min(3, Math.sqrt(view.scale));
    for (const front of alone < 0 ? [true] : [false, true]) {
      pen.globalAlpha = front ? .8 : .1;
      for (let each = 0; each < many; each++) {
        if (alone >= 0 && (by.of[each] === alone) !== front) continue;
        pen.fillStyle = by.colours[by.of[each]];
        pen.fillRect(right(each, size) - dot / 2, down(each, size) - dot / 2, dot, dot);
      }
    }
    if (at < 0) return;
    pen.globalAlpha = 1;
    pen.strokeStyle = getComputedStyle(document.body).color;
    pen.lineWidth = 1.5;
    pen.strokeRect(right(at, size) - dot, down(at, size) - dot, 2 * dot, 2 * dot);
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect(), size = box.width, by = colouring();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, least = 14 * 14;
    for (let each = 0; each < many; each++) {
      if (alone >= 0 && by.of[each] !== alone) continue;
      const apart = (right(each, size) - x) ** 2 + (down(each, size) - y) ** 2;
      if (apart < least) [best, least] = [each, apart];
    }
    return best;
  }

  const moment = seconds => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
  const line = (text, kind) => Object.assign(document.createElement(kind), {textContent: text});

  function tell(each) {
    if (each === at || each < 0) return;
    at = each;
    const runs = [];
    for (let run = firstRun[each]; run < firstRun[each + 1]; run++)
      runs.push(`${data.sensors[data.runs.sensor[run]]} ×${data.runs.count[run]}`);
    const facts = data.colourings.filter(by => by.name !== "hour").map(by => `${by.name}: ${by.names[by.of[each]]}`);
    const caption = data.caption[each] < 0 ? "" : data.captions[data.caption[each]];
    told.replaceChildren(
      line(`${moment(data.start[each])}, ${data.seconds[each]} s`, "b"),
      line(facts.join("; "), "div"), line(caption, "p"), line(runs.join(" → "), "div"));
    told.lastChild.className = "soft";
    draw();
  }

  function name() {
    const by = colouring(), counts = new Map();
    for (const each of by.of) counts.set(each, (counts.get(each) || 0) + 1);
    const order = [...counts.keys()].sort((one, other) => by.name === "hour" ? one - other : counts.get(other) - counts.get(one));
    legend.replaceChildren(...order.map(each => {
      const item = document.createElement("li"), button = line("", "button"), key = line("", "i");
      button.type = "button";
      key.className = "key";
      key.style.background = by.colours[each];
      button.append(key, `${by.names[each]} (${counts.get(each).toLocaleString("en")})`);
      button.setAttribute("aria-pressed", alone === each);
      button.addEventListener("click", () => { alone = alone === each ? -1 : each; name(); draw(); });
      item.append(button);
      return item;
    }));
  }

  function zoom(event) {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    const scale = view.scale * 2;
    view = {x: view.x + x / view.scale - .5 / scale, y: view.y + y / view.scale - .5 / scale, scale};
    draw();
  }

  for (const [list, each] of [[colour, data.colourings], [layout, data.layouts]])
    list.replaceChildren(...each.map(({name}) => new Option(name)));
  document.getElementById("still").hidden = true;
  for (const shown of [canvas, told, document.querySelector(".controls")]) shown.hidden = false;
  const begin = () => { alone = -1; name(); draw(); };
  colour.addEventListener("change", begin);
  layout.addEventListener("change", () => {
    document.getElementById("placed").textContent = place().said;
    draw();
  });
  canvas.addEventListener("pointermove", event => tell(nearest(event)));
  canvas.addEventListener("pointerdown", event => tell(nearest(event)));
  canvas.addEventListener("dblclick", zoom);
  document.getElementById("whole").addEventListener("click", () => { view = {x: 0, y: 0, scale: 1}; draw(); });
  canvas.addEventListener("keydown", event => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (step) { tell((Math.max(0, at) + step + many) % many); event.preventDefault(); }
  });
  new ResizeObserver(draw).observe(canvas);
  begin();
}

// Without it the picture stays.
if ("DecompressionStream" in window) unpacked().then(map);
